"""The rows of a damaged database as SQLite still reads them: around what is damaged."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw

from clawstate.sqlite.page_file import PageFile
from clawstate.sqlite.page_rows import put_rows
from clawstate.sqlite.page_tables import PageTables

Row = tuple[Any, ...]

UNREADABLE = (apsw.CorruptError, apsw.NotADBError, apsw.IOError, UnicodeDecodeError)
"""What SQLite raises over damage, and Python over a text that is none."""

_TRIES = 20_000  # ranges of one table that are tried: each costs some tens of microseconds


class SqlRows:
    """What SQLite reads of the database of *damaged*, and by its pages what it does not reach."""

    def __init__(self, damaged: apsw.Connection) -> None:
        self._damaged = damaged

    def schema(self) -> list[Row]:
        """Return kind, name, table and statement of all that there is; raises `apsw.Error`."""
        return self._damaged.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
        ).fetchall()

    def number(self, pragma: str) -> int:
        """Return a number that the header has."""
        return int(self._damaged.pragma(pragma))

    def save_tables(self, saved: apsw.Connection, names: Sequence[str]) -> set[str]:
        """Copy the rows of the tables *names*; return those of which not all could be read."""
        cut = {name for name in names if not _save_table(self._damaged, saved, name)}
        if cut:
            # A page that leads to others may be lost, and they be whole.
            with PageFile(Path(self._damaged.filename)) as file:
                tables = PageTables(file)
                tables.assign(saved)
                for name in cut:
                    put_rows(tables, saved, name)
        return cut

    def save_numbers(self, saved: apsw.Connection) -> None:
        """Copy which numbers of rows were given out: none of them is given out again."""
        with contextlib.suppress(*UNREADABLE, apsw.SQLError):
            rows = self._damaged.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
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
        with contextlib.suppress(*UNREADABLE):
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
    except UNREADABLE:
        return following
    return None


def _bounds(damaged: apsw.Connection, name: str) -> tuple[int, int]:
    # Asked of every index too: the table itself may be damaged at its ends.
    low, high = 0, 1 << 20
    indexes = damaged.execute("SELECT name FROM pragma_index_list(?)", (name,)).fetchall()
    for source in (f'"{name}"', *(f'"{name}" INDEXED BY "{index}"' for (index,) in indexes)):
        with contextlib.suppress(*UNREADABLE, apsw.SQLError):
            found = damaged.execute(f"SELECT min(rowid), max(rowid) FROM {source}").get
            low, high = min(low, found[0] or 0), max(high, found[1] or 0)
    return low, high


def _list(names: Sequence[str]) -> str:
    return ", ".join(f'"{each}"' for each in names)
