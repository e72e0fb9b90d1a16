"""`PageRows`: what can be saved of a database that SQLite does not read any more, by its pages."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Sequence
from typing import Any

import apsw

from clawstate.sqlite.page_file import PageFile
from clawstate.sqlite.page_tables import PageTables, shape, table_names

Row = tuple[Any, ...]


class PageRows:
    """What is found of a database by the pages of *file*; *made* has all its tables, empty."""

    def __init__(self, file: PageFile, made: apsw.Connection) -> None:
        self._file = file
        self._made = made
        self._tables = PageTables(file)
        self.count = 0
        """How many rows were saved."""

    def is_ours(self) -> bool:
        """Tell whether a table that is expected is found, or none by its name."""
        names = {each.name for each in self._tables.lines()}
        return not names or not names.isdisjoint(table_names(self._made))

    def schema(self) -> list[Row]:
        """Return kind, name, table and statement of all that is found, or has to be there."""
        found = {each.name: each for each in self._tables.lines()}
        lines: list[Row] = [(each.kind, each.name, each.table, each.sql) for each in found.values()]
        expected: list[Row] = self._made.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
        ).fetchall()
        lines += [line for line in expected if line[1] not in found]
        # A line that lies on a page with others that are older may be of a table that went.
        tables = {name for kind, name, *_ in lines if kind == "table"}
        order = {"table": 0, "index": 1, "view": 2, "trigger": 3}
        kept = [line for line in lines if line[3] and line[2] in tables]
        return sorted(kept, key=lambda line: order[line[0]])

    def number(self, pragma: str) -> int:
        """Return a number that the header has, or would have."""
        if pragma == "page_size":
            return self._file.shape.size
        if not self._file.has_header:
            return int(self._made.pragma(pragma))
        (found,) = struct.unpack_from(">i", self._file.read(1), _PLACES[pragma])
        return int(found)

    def save_tables(self, saved: apsw.Connection, names: Sequence[str]) -> set[str]:
        """Copy the rows of the tables *names*; return those of which not all could be read."""
        self._tables.assign(saved)
        for each in names:
            self.count += put_rows(self._tables, saved, each)
        return {each for each in names if not self._tables.is_whole(each)}

    def save_numbers(self, saved: apsw.Connection) -> None:
        """Copy which numbers of rows were given out: none of them is given out again."""
        rows = [row for _, row in self._tables.rows("sqlite_sequence", shape(saved, _NUMBERS))]
        for name, number in (row for row in rows if len(row) == 2):
            if isinstance(name, str) and isinstance(number, int):
                sql = "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?"
                saved.execute(sql, (number, name))
                sql = "INSERT INTO sqlite_sequence SELECT ?1, ?2 WHERE NOT EXISTS"
                sql += " (SELECT 1 FROM sqlite_sequence WHERE name = ?1)"
                saved.execute(sql, (name, number))


_NUMBERS = "sqlite_sequence"
_PLACES = {"user_version": 60, "application_id": 68}


def put_rows(tables: PageTables, saved: apsw.Connection, name: str) -> int:
    """Put the rows of the table *name* into *saved*, unless they are there; return how many."""
    before = saved.total_changes()
    for columns, row in tables.rows(name, shape(saved, name)):
        listed = ", ".join(f'"{each}"' for each in columns)
        marks = ", ".join("?" * len(row))
        # A value of another type than the column has is damage that SQLite did not notice.
        with contextlib.suppress(apsw.ConstraintError, apsw.MismatchError):
            saved.execute(f'INSERT OR IGNORE INTO "{name}" ({listed}) VALUES ({marks})', row)
    return saved.total_changes() - before
