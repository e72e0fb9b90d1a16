"""Save the rows of a damaged database that can still be read, and keep the damaged file."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from clawstate.files.atomic import create_private_file, make_private_dir
from clawstate.sqlite.connections import BUSY_MS
from clawstate.sqlite.migrations import PartFormat
from clawstate.sqlite.part import Part

Row = tuple[Any, ...]
Mend = Callable[[apsw.Connection, AbstractSet[str]], None]
"""
Makes what was saved of one part fit together again: counts, indexes, rows that lost others.

It is told the names of the tables of which not all could be read.
"""


@dataclass(frozen=True, slots=True)
class Saved:
    """What was saved of a part: of those `noted` some are `kept`; `notes` tell of other losses."""

    noted: int
    kept: int
    notes: tuple[str, ...] = ()


_UNREADABLE = (apsw.CorruptError, apsw.NotADBError, apsw.IOError, UnicodeDecodeError)
_TRIES = 20_000  # ranges of one table that are tried: each costs some tens of microseconds
_QUARANTINE = ".quarantine"
UPGRADED = ".before-upgrade"
"""The directory of copies from before upgrades, beside their databases."""


def salvage(part: Part, mends: Sequence[Mend], *, is_damaged: Callable[[], bool]) -> Path | None:
    """
    Keep in the database of *part* what can be read of it; return where the damaged file is kept.

    `None` where it is not damaged any more: *is_damaged* is asked when all other writers wait.

    *mends* make of the saved rows what all other code expects. Other processes see one change: the
    pages are replaced in a transaction of SQLite's, never the file, whose log they may have open.
    Raises `CorruptError`, with nothing changed, where the list of tables itself cannot be read.
    """
    with part.alone() as known, contextlib.closing(_connect(part.path)) as damaged:
        # Damage may hide which format it is; a file that says it is another's stays as it is.
        with contextlib.suppress(apsw.CorruptError):
            known.require_known(damaged)
        if not is_damaged():  # two may have found it
            return None
        return _salvage(damaged, known, mends)


def kept_copies(path: Path) -> list[Path]:
    """Return the copies of the database *path* that were kept: damaged ones, and upgraded ones."""
    folders = (path.parent / each for each in (_QUARANTINE, UPGRADED))
    found = (each for folder in folders for each in folder.glob(f"{path.name}.*"))
    return sorted(each for each in found if each.suffix != ".json")


def set_aside(path: Path) -> Path:
    """Keep the database *path*, of which nothing can be read, under another name; return that."""
    folder = path.parent / _QUARANTINE
    make_private_dir(folder)
    aside = _free_name(folder, path.name)
    # The log first: beside another file of this name it would be taken for the log of that.
    for end in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
    return aside


def _connect(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(BUSY_MS)
    # SQLite reads a file that is too short, or whose list of tables is partly damaged, only for
    # somebody who says that he repairs it.
    connection.pragma("writable_schema", 1)
    return connection


def _salvage(damaged: apsw.Connection, known: PartFormat, mends: Sequence[Mend]) -> Path:
    # In memory: a file would hold texts elsewhere, and be left behind by a cut.
    with contextlib.closing(apsw.Connection(":memory:")) as saved:
        _save(damaged, saved, known, mends)
        folder = known.path.parent / _QUARANTINE
        make_private_dir(folder)
        aside = _free_name(folder, known.path.name)
        _copy(damaged, aside)
        # All pages in one step, which is one transaction: a cut leaves the damaged state whole.
        with damaged.backup("main", saved, "main") as backup:
            backup.step(-1)
    return aside


def _free_name(folder: Path, name: str) -> Path:
    number = 1
    while (path := folder / f"{name}.{number}").exists():
        number += 1
    return path


def _copy(damaged: apsw.Connection, aside: Path) -> None:
    create_private_file(aside)
    # By SQLite's own copy, page by page: closing a file descriptor on a live database would give
    # its locks away.
    with (
        contextlib.closing(apsw.Connection(str(aside), flags=apsw.SQLITE_OPEN_READWRITE)) as copy,
        copy.backup("main", damaged, "main") as backup,
    ):
        while not backup.done:
            backup.step(1000)


def _save(
    damaged: apsw.Connection, saved: apsw.Connection, known: PartFormat, mends: Sequence[Mend]
) -> None:
    schema: list[Row] = damaged.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
    ).fetchall()
    virtual = {name for kind, name, _, sql in schema if kind == "table" and _is_virtual(sql)}
    # What belongs to a virtual table is made with it, and filled anew by whoever derives it.
    tables = {
        name: sql
        for kind, name, _, sql in schema
        if kind == "table"
        and name not in virtual
        and not name.startswith("sqlite_")
        and not any(name.startswith(f"{each}_") for each in virtual)
    }
    # The log of a database only takes pages of the size that it has.
    saved.pragma("page_size", damaged.pragma("page_size"))
    saved.execute("BEGIN")
    for sql in tables.values():
        saved.execute(sql)
    # Before the rows: of two that damage made equal the first is kept.
    for kind, name, table, sql in schema:
        if name in virtual or (kind != "table" and table in tables):
            saved.execute(sql)
    cut = {name for name in tables if not _save_table(damaged, saved, name)}
    _save_numbers(damaged, saved)
    for pragma in ("user_version", "application_id"):
        saved.pragma(pragma, damaged.pragma(pragma))
    known.assume_newest(saved)
    known.migrate(saved)
    for mend in mends:
        mend(saved, cut)
    saved.execute("COMMIT")


def _is_virtual(sql: str) -> bool:
    return sql.upper().startswith("CREATE VIRTUAL")


def _save_numbers(damaged: apsw.Connection, saved: apsw.Connection) -> None:
    # A number that was given out once must not be given out again.
    with contextlib.suppress(*_UNREADABLE, apsw.SQLError):
        rows = damaged.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
        saved.execute("DELETE FROM sqlite_sequence")
        saved.executemany("INSERT INTO sqlite_sequence VALUES (?, ?)", rows)


def _save_table(damaged: apsw.Connection, saved: apsw.Connection, name: str) -> bool:
    """Copy the rows of a table; tell whether all of it could be read."""
    columns = [row[1:6:4] for row in damaged.execute(f'PRAGMA table_info("{name}")')]
    names = [column for column, _ in columns]
    key = [column for column, place in sorted(columns, key=lambda each: each[1]) if place]
    insert = f'INSERT OR IGNORE INTO "{name}" ({_list(names)}) VALUES ({_list(["?"] * len(names))})'
    insert = insert.replace('"?"', "?")

    def take(row: Row) -> None:
        # A value of another type than the column has is damage that SQLite did not notice.
        with contextlib.suppress(apsw.ConstraintError):
            saved.execute(insert, row)

    if _has_rowid(damaged, name):
        return _read_by_number(damaged, name, names, take)
    sources = f'"{name}"', *_covering_indexes(damaged, name, names)
    return any(_read_by_key(damaged, source, names, key, take) for source in sources)


def _has_rowid(damaged: apsw.Connection, name: str) -> bool:
    sql = "SELECT wr FROM pragma_table_list WHERE name = ? AND schema = 'main'"
    return not damaged.execute(sql, (name,)).get


def _covering_indexes(damaged: apsw.Connection, name: str, names: Sequence[str]) -> Iterator[str]:
    """Yield the indexes, as a FROM clause, that hold all columns of a table without row numbers."""
    sql = "SELECT name FROM pragma_index_list(?) WHERE origin = 'c' AND NOT partial"
    for (index,) in damaged.execute(sql, (name,)).fetchall():
        held = damaged.execute("SELECT name FROM pragma_index_xinfo(?)", (index,)).fetchall()
        if set(names) <= {column for (column,) in held}:
            yield f'"{name}" INDEXED BY "{index}"'


def _read_by_key(
    damaged: apsw.Connection,
    source: str,
    names: Sequence[str],
    key: Sequence[str],
    take: Callable[[Row], None],
) -> bool:
    # From both ends up to the damage: between two keys of text there is no middle to try.
    for order in ("", " DESC"):
        keys = ", ".join(f'"{each}"{order}' for each in key)
        by = "" if "INDEXED" in source else f" ORDER BY {keys}"
        with contextlib.suppress(*_UNREADABLE):
            for row in damaged.execute(f"SELECT {_list(names)} FROM {source}{by}"):
                take(row)
            return not order
    return False


def _read_by_number(
    damaged: apsw.Connection, name: str, names: Sequence[str], take: Callable[[Row], None]
) -> bool:
    """Take the rows that can be read: from both ends up to the damage, then around it."""
    sql = f'SELECT rowid, {_list(names)} FROM "{name}" WHERE rowid BETWEEN ? AND ? ORDER BY rowid'
    # The widest range is tried first, so that a limit to the tries leaves out the least.
    ranges = deque([_bounds(damaged, name)])
    is_whole = True
    for _ in range(_TRIES):
        if not ranges:
            break
        low, high = ranges.popleft()
        bad = _take_run(damaged, sql, (low, high), take, step=1)
        if bad is None:
            continue
        is_whole = False
        top = _take_run(damaged, f"{sql} DESC", (bad, high), take, step=-1)
        if top is not None and bad < top:
            middle = (bad + top) // 2
            ranges += [(bad, middle), (middle + 1, top)]
    return is_whole


def _take_run(
    damaged: apsw.Connection,
    sql: str,
    bounds: tuple[int, int],
    take: Callable[[Row], None],
    *,
    step: int,
) -> int | None:
    """Take rows until the damage, and return the next number after the last; None at the end."""
    following = bounds[0] if step > 0 else bounds[1]
    try:
        number: Any
        for number, *row in damaged.execute(sql, bounds):
            take(tuple(row))
            following = number + step
    except _UNREADABLE:
        return following
    return None


def _bounds(damaged: apsw.Connection, name: str) -> tuple[int, int]:
    # Asked of every index too: the table itself may be damaged at its ends.
    low, high = 0, 1 << 20
    indexes = damaged.execute("SELECT name FROM pragma_index_list(?)", (name,)).fetchall()
    for source in (f'"{name}"', *(f'"{name}" INDEXED BY "{index}"' for (index,) in indexes)):
        with contextlib.suppress(*_UNREADABLE, apsw.SQLError):
            found = damaged.execute(f"SELECT min(rowid), max(rowid) FROM {source}").get
            low, high = min(low, found[0] or 0), max(high, found[1] or 0)
    return low, high


def _list(names: Sequence[str]) -> str:
    return ", ".join(f'"{each}"' for each in names)
