"""Save the rows of a damaged database that can still be read, and keep the damaged file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import apsw

from clawstate.files.atomic import create_private_file, make_private_dir
from clawstate.sqlite.connections import BUSY_MS
from clawstate.sqlite.migrations import PartFormat
from clawstate.sqlite.page_file import PageFile
from clawstate.sqlite.page_rows import PageRows
from clawstate.sqlite.part import Part
from clawstate.sqlite.salvage_rows import UNREADABLE, SqlRows

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


class Source(Protocol):
    """Whoever reads a damaged database: `SqlRows`, `PageRows`."""

    def schema(self) -> list[Row]:
        """Return kind, name, table and statement of all that there is; raises `apsw.Error`."""

    def number(self, pragma: str) -> int:
        """Return a number that the header has."""

    def save_tables(self, saved: apsw.Connection, names: Sequence[str]) -> set[str]:
        """Copy the rows of the tables *names*; return those of which not all could be read."""

    def save_numbers(self, saved: apsw.Connection) -> None:
        """Copy which numbers of rows were given out: none of them is given out again."""


_QUARANTINE = ".quarantine"
UPGRADED = ".before-upgrade"
"""The directory of copies from before upgrades, beside their databases."""


def salvage(
    part: Part,
    mends: Sequence[Mend],
    *,
    is_damaged: Callable[[], bool],
    beside: Sequence[PartFormat] = (),
) -> Path | None:
    """
    Keep in the database of *part* what can be read of it; return where the damaged file is kept.

    `None` where it is not damaged any more: *is_damaged* is asked when all other writers wait.

    *mends* make of the saved rows what all other code expects. Other processes see one change: the
    pages are replaced in a transaction of SQLite's, never the file, whose log they may have open.
    Where SQLite does not know the file as a database any more, a new file takes its name, and what
    can be read is found by its pages; *beside* are the parts that lie in the same file, whose
    tables are known by them. Raises `CorruptError`, with nothing changed, where nothing is found.
    """
    with part.alone() as known, contextlib.closing(_connect(part.path)) as damaged:
        # Damage may hide which format it is; a file that says it is another's stays as it is.
        with contextlib.suppress(apsw.CorruptError, apsw.NotADBError):
            known.require_known(damaged)
        if not is_damaged():  # two may have found it
            return None
        return _salvage(damaged, known, mends, beside)


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


def _salvage(
    damaged: apsw.Connection,
    known: PartFormat,
    mends: Sequence[Mend],
    beside: Sequence[PartFormat],
) -> Path:
    # In memory: a file would hold texts elsewhere, and be left behind by a cut.
    with _in_memory() as saved:
        try:
            _save(SqlRows(damaged), saved, known, mends)
        except UNREADABLE as unreadable:
            return _salvage_by_pages(damaged, known, mends, beside, unreadable)
        return _replace_pages(damaged, saved, known.path)


def _salvage_by_pages(
    damaged: apsw.Connection,
    known: PartFormat,
    mends: Sequence[Mend],
    beside: Sequence[PartFormat],
    unreadable: Exception,
) -> Path:
    _take_log_back(known.path)
    with _in_memory() as saved:
        with PageFile(known.path) as file, _in_memory() as made:
            for each in (known, *beside):
                each.migrate(made)
            rows = PageRows(file, made)
            if not rows.is_ours():
                raise unreadable
            _save(rows, saved, known, mends)
            if not rows.count:
                raise unreadable
        try:
            return _replace_pages(damaged, saved, known.path)
        except (apsw.NotADBError, apsw.CorruptError):
            # So the log is written into the file, if nobody else has it open.
            damaged.close()
            return _replace_file(saved, known.path)


@contextlib.contextmanager
def _in_memory() -> Iterator[apsw.Connection]:
    with contextlib.closing(apsw.Connection(":memory:")) as connection:
        yield connection


def _replace_pages(damaged: apsw.Connection, saved: apsw.Connection, path: Path) -> Path:
    folder = path.parent / _QUARANTINE
    make_private_dir(folder)
    aside = _free_name(folder, path.name)
    try:
        _copy(damaged, aside)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    # All pages in one step, which is one transaction: a cut leaves the damaged state whole.
    with damaged.backup("main", saved, "main") as backup:
        backup.step(-1)
    return aside


def _replace_file(saved: apsw.Connection, path: Path) -> Path:
    """Put what was *saved* in the place of the file *path*; return where that is kept."""
    folder = path.parent / _QUARANTINE
    make_private_dir(folder)
    fresh = folder / f"{path.name}.saving"
    for end in ("", "-journal"):
        fresh.with_name(fresh.name + end).unlink(missing_ok=True)
    create_private_file(fresh)
    flags = apsw.SQLITE_OPEN_READWRITE
    with (
        contextlib.closing(apsw.Connection(os.fspath(fresh), flags=flags)) as new,
        new.backup("main", saved, "main") as backup,
    ):
        backup.step(-1)
    aside = _free_name(folder, path.name)
    # Under both names before the log goes aside, which a cut here leaves there: see
    # `_take_log_back`. It would be taken for the log of the new file.
    aside.hardlink_to(path)
    for end in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
    _sync(folder)
    fresh.replace(path)
    _sync(path.parent)
    return aside


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _take_log_back(path: Path) -> None:
    """Undo what a cut left of `_replace_file`: a damaged file under two names, its log aside."""
    for aside in (path.parent / _QUARANTINE).glob(f"{path.name}.*"):
        if aside.suffix.removeprefix(".").isdecimal() and aside.samefile(path):
            with contextlib.suppress(FileNotFoundError):
                aside.with_name(f"{aside.name}-wal").rename(path.with_name(f"{path.name}-wal"))
            aside.unlink()


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


def _save(source: Source, saved: apsw.Connection, known: PartFormat, mends: Sequence[Mend]) -> None:
    schema = source.schema()
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
    saved.pragma("page_size", source.number("page_size"))
    saved.execute("BEGIN")
    for sql in tables.values():
        saved.execute(sql)
    # Before the rows: of two that damage made equal the first is kept.
    for kind, name, table, sql in schema:
        if name in virtual or (kind != "table" and table in tables):
            saved.execute(sql)
    cut = source.save_tables(saved, [*tables])
    source.save_numbers(saved)
    for pragma in ("user_version", "application_id"):
        saved.pragma(pragma, source.number(pragma))
    known.assume_newest(saved)
    known.migrate(saved)
    for mend in mends:
        mend(saved, cut)
    saved.execute("COMMIT")


def _is_virtual(sql: str) -> bool:
    return sql.upper().startswith("CREATE VIRTUAL")
