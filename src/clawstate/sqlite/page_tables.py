"""`PageTables`: the tables of a database whose list of them is lost, by its pages."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import apsw

from clawstate.sqlite.page_file import PageFile
from clawstate.sqlite.pages import (
    INDEX_INTERIOR,
    TABLE_INTERIOR,
    TABLE_LEAF,
    OddPageError,
    TreePage,
    varint,
)

Row = tuple[Any, ...]
_SCHEMA_COLUMNS = 5
_KINDS = {"table", "index", "view", "trigger"}
_SAMPLE = 64  # rows of a tree that are compared with what tables may hold
_FITTING = {
    "INT": (int,), "INTEGER": (int,), "REAL": (int, float), "TEXT": (str,), "BLOB": (bytes,),
}  # fmt: skip


class Listed(NamedTuple):
    """One line of the list of tables; `root` is the first page, 0 where none is known."""

    kind: str
    name: str
    table: str
    root: int
    sql: str


@dataclass(frozen=True, slots=True)
class _Shape:
    """What rows of a table look like in its pages: columns in the order in which they lie there."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    needed: tuple[bool, ...]
    number: int | None
    """Which column is the number of the row, that the pages have beside it."""
    fewest: int
    """How many columns the oldest rows have, before others were added."""
    has_rowid: bool

    def fits(self, row: Row) -> bool:
        """Tell whether *row* may be one of this table."""
        if not self.fewest <= len(row) <= len(self.names):
            return False
        return all(
            self._fits(place, value, self.types[place], self.needed[place])
            for place, value in enumerate(row)
        )

    def _fits(self, place: int, value: object, kind: str, needed: bool) -> bool:  # noqa: FBT001 - of one column
        if place == self.number:
            return value is None
        if value is None:
            return not needed
        return kind not in _FITTING or isinstance(value, _FITTING[kind])


class PageTables:
    """
    The rows of *file* by table, found without SQLite.

    A table whose line in the list of tables is found has the pages of its tree. Trees of which
    nobody knows the table, and pages that nothing leads to any more, are those of the one table
    that their rows fit. Pages of the free list are left out: what was deleted stays so.
    """

    def __init__(self, file: PageFile) -> None:
        self._file = file
        self._free = file.free()
        # The first byte of each page of a tree; 0 for all others.
        self._kinds = bytearray(file.count + 1)
        self._children: dict[int, list[int]] = {}
        self._parents: dict[int, int] = {}
        self._seen: set[int] = set()
        self._roots: dict[str, int] = {}
        self._lost: dict[str, list[int]] = {}
        found: dict[str, list[Listed]] = defaultdict(list)
        for number in range(1, file.count + 1):
            if number in self._free or (page := file.tree_page(number)) is None:
                continue
            self._kinds[number] = page.kind
            if page.kind in {TABLE_INTERIOR, INDEX_INTERIOR}:
                self._children[number] = [*page.children()]
            elif page.kind == TABLE_LEAF and b"CREATE " in page.page:
                self._add_lines(page, found)
        for number, below in self._children.items():
            self._parents.update(dict.fromkeys(below, number))
        self._listed = {name: self._choose(lines) for name, lines in found.items()}

    def lines(self) -> list[Listed]:
        """Return the lines of the list of tables that are found."""
        return [*self._listed.values()]

    def assign(self, made: apsw.Connection) -> None:
        """Find the pages of each table of *made*, a database that has all of them, empty."""
        shapes = {name: shape(made, name) for name in table_names(made)}
        for each in self._listed.values():
            if each.root and self._kinds[each.root]:
                self._roots[each.name] = each.root
                self._visit(each.root)
        # A table that is there already, and lacks nothing, has no part elsewhere.
        lacking = {name for name in shapes if not self.is_whole(name)}
        for root in self._orphans() if lacking else ():
            rows = [row for _, row in self._sample(root)]
            has_rowid = self._kinds[root] in {TABLE_LEAF, TABLE_INTERIOR}
            fitting = [
                name
                for name, one in shapes.items()
                if one.has_rowid == has_rowid
                and name in lacking
                and rows
                and all(map(one.fits, rows))
            ]
            longest = max((len(shapes[each].names) for each in fitting), default=0)
            exact = [each for each in fitting if len(shapes[each].names) == len(rows[0])]
            chosen = exact or [each for each in fitting if len(shapes[each].names) == longest]
            if len(chosen) == 1:
                self._lost.setdefault(chosen[0], []).append(root)

    def rows(self, name: str, one: _Shape) -> Iterator[tuple[Sequence[str], Row]]:
        """Yield the rows of the table *name*, with the names of their columns."""
        roots = [self._roots[name]] if name in self._roots else []
        for root in (*roots, *self._lost.get(name, ())):
            for number, row in self._walk(root, set()):
                if len(row) > len(one.names):
                    continue
                values = list(row)
                if one.number is not None and one.number < len(values):
                    values[one.number] = number
                yield one.names[: len(values)], tuple(values)

    def is_whole(self, name: str) -> bool:
        """Tell whether no page of the table *name* is known to be lost."""
        return name in self._roots and not self._lacks(self._roots[name])

    def _add_lines(self, page: TreePage, found: dict[str, list[Listed]]) -> None:
        for _, row in self._cells(page):
            if len(row) != _SCHEMA_COLUMNS or row[0] not in _KINDS:
                continue
            kind, name, table, root, sql = row
            if not (isinstance(name, str) and isinstance(table, str) and isinstance(root, int)):
                continue
            if sql is None or (isinstance(sql, str) and sql.startswith("CREATE ")):
                # An index that SQLite made by itself has no statement.
                is_root = 0 <= root <= self._file.count
                found[name].append(Listed(kind, name, table, root if is_root else 0, sql or ""))

    def _choose(self, lines: Sequence[Listed]) -> Listed:
        # A page that was freed may hold a line as it was before, with another root.
        for each in reversed(lines):
            if each.root and self._kinds[each.root] and each.root not in self._parents:
                return each
        return lines[-1]._replace(root=0)

    def _visit(self, root: int) -> None:
        waiting = [root]
        while waiting:
            number = waiting.pop()
            if number not in self._seen:
                self._seen.add(number)
                waiting += self._children.get(number, ())

    def _lacks(self, root: int) -> bool:
        waiting, seen = [root], set[int]()
        while waiting:
            number = waiting.pop()
            if number in seen:
                continue
            seen.add(number)
            if not 0 < number < len(self._kinds) or not self._kinds[number]:
                return True
            waiting += self._children.get(number, ())
        return False

    def _orphans(self) -> list[int]:
        """Return the roots of what no known tree leads to."""
        return [
            number
            for number in range(2, len(self._kinds))
            if self._kinds[number]
            and number not in self._seen
            and (number not in self._parents or self._parents[number] in self._seen)
        ]

    def _sample(self, root: int) -> list[tuple[int, Row]]:
        found = []
        for each in self._walk(root, set()):
            found.append(each)
            if len(found) >= _SAMPLE:
                break
        return found

    def _walk(self, root: int, seen: set[int]) -> Iterator[tuple[int, Row]]:
        waiting = [root]
        while waiting:
            number = waiting.pop()
            if number in seen or (page := self._file.tree_page(number)) is None:
                continue
            seen.add(number)
            yield from self._cells(page)
            waiting += reversed(self._children.get(number, []))

    def _cells(self, page: TreePage) -> Iterator[tuple[int, Row]]:
        """Yield the rows of *page* that can be read, each with its number, 0 for none."""
        if page.kind == TABLE_INTERIOR:
            return
        for cell in page.cells():
            try:
                number = 0
                if page.kind == TABLE_LEAF:
                    _, at = varint(page.page, cell.place)
                    number, _ = varint(page.page, at)
                payload = self._file.payload(
                    page, cell.content, cell.payload, cell.local, cell.overflow
                )
                row = values_of(payload)
            except (OddPageError, struct.error, IndexError, UnicodeDecodeError):
                continue
            yield number - (1 << 64) if number >> 63 else number, row


def values_of(payload: bytes) -> Row:
    """
    Return the values of one row as it lies in a page.

    Raises `OddPageError`, `IndexError`, `struct.error` or `UnicodeDecodeError` for what is none.
    """
    size, at = varint(payload, 0)
    if not at <= size <= len(payload):
        raise OddPageError("a row without a head")
    place, found = size, []
    while at < size:
        kind, at = varint(payload, at)
        length = _length(kind)
        if place + length > len(payload):
            raise OddPageError("a row that is cut off")
        found.append(_value(kind, payload[place : place + length]))
        place += length
    if place != len(payload):
        raise OddPageError("a row longer than its values")
    return tuple(found)


def shape(made: apsw.Connection, name: str) -> _Shape:
    """Return what rows of the table *name* of *made* look like in its pages."""
    columns: list[Row] = made.execute(
        'SELECT name, upper(type), "notnull", dflt_value, pk FROM pragma_table_info(?)', (name,)
    ).fetchall()
    sql = "SELECT wr FROM pragma_table_list WHERE name = ? AND schema = 'main'"
    has_rowid = not made.execute(sql, (name,)).get
    keys = [each for each in columns if each[4]]
    number = None
    if has_rowid and len(keys) == 1 and keys[0][1] == "INTEGER":
        number = columns.index(keys[0])
    if not has_rowid:
        columns = sorted(keys, key=lambda each: each[4]) + [each for each in columns if not each[4]]
    fewest = len(columns)
    while fewest and (columns[fewest - 1][3] is not None or not columns[fewest - 1][2]):
        fewest -= 1
    needed = tuple(bool(each[2]) or (not has_rowid and bool(each[4])) for each in columns)
    names, types = (tuple(str(each[place]) for each in columns) for place in (0, 1))
    return _Shape(names, types, needed, number, max(fewest, 1), has_rowid)


def table_names(made: apsw.Connection) -> list[str]:
    """Return the tables of *made*, virtual ones apart."""
    found = made.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
    ).fetchall()
    return [str(row[0]) for row in found]


def _length(kind: int) -> int:
    if kind >= 12:
        return (kind - 12) // 2
    return (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)[kind]


def _value(kind: int, data: bytes) -> object:
    if kind == 0:
        return None
    if kind in {8, 9}:
        return kind - 8
    if kind == 7:
        return float(struct.unpack(">d", data)[0])
    if kind < 7:
        return int.from_bytes(data, "big", signed=True)
    if kind < 12:
        raise OddPageError("a value of no kind")
    return data.decode() if kind & 1 else data
