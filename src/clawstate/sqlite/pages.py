"""What the pages of a database file hold, as its format has it (https://sqlite.org/fileformat2.html)."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from operator import sub
from typing import Final

from clawstate.sqlite.errors import DamagedValueError

INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF = 2, 5, 10, 13
TREES: Final = frozenset({INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF})
"""The first byte of a page of a tree; of all others in use it is 0 up to `MOST` pages."""

MOST: Final = 1 << 24
"""From so many pages on the number of another page may begin like a page of a tree."""

HEADER: Final = 100
"""Bytes of the file's own header, which stand before the first page's."""

_LEAVES = frozenset({INDEX_LEAF, TABLE_LEAF})
_HEAD = struct.Struct(">HHHB")
_PAIR = struct.Struct(">HH")
_NUMBER = struct.Struct(">I")
_TRUNK = struct.Struct(">II")

Range = tuple[int, int]
"""Bytes of a page, from the first up to the one behind the last."""


class OddPageError(DamagedValueError):
    """A page that is not as the format has it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the pages of a file are, and how many bytes of each are used."""

    size: int
    usable: int

    @classmethod
    def of(cls, header: bytes) -> Shape:
        """Return the shape that the *header* of a file tells."""
        (size,) = struct.unpack_from(">H", header, 16)
        size = 65_536 if size == 1 else size
        return cls(size, size - header[20])


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a cell lies, how long its payload is, and where that goes on (0: nowhere)."""

    place: int
    end: int
    content: int  # where the payload begins
    payload: int
    local: int  # how much of the payload lies in the page
    overflow: int


@dataclass(frozen=True, slots=True)
class TreePage:
    """A page of a tree; *at* is where its head begins."""

    page: bytes
    at: int
    shape: Shape

    @property
    def kind(self) -> int:
        """The first byte."""
        return self.page[self.at]

    def free_ranges(self) -> list[Range]:
        """Return the bytes that hold nothing; raises `OddPageError`."""
        free, count, content, fragments = _HEAD.unpack_from(self.page, self.at + 1)
        content = content or 65_536
        begin = self.at + self._head() + 2 * count
        if not begin <= content <= self.shape.usable:
            raise OddPageError("the head of a page")
        found = [(begin, content)]
        while free:
            # Four bytes of each say where the next is, and how long this one.
            if not content <= free <= self.shape.usable - 4:
                raise OddPageError("a free place outside of its page")
            following, size = _PAIR.unpack_from(self.page, free)
            end = free + size
            if size < 4 or end > self.shape.usable or (following and following < end):
                raise OddPageError("free places that overlap")
            found.append((free + 4, end))
            free = following
        return [*found, *self._fragments(found, content)] if fragments else found

    def overflows(self) -> Iterator[tuple[int, int]]:
        """Yield the first page of each payload that goes on, and how many bytes are there."""
        if self.kind == TABLE_INTERIOR or not self._may_overflow():
            return
        for cell in self.cells():
            if cell.overflow:
                yield cell.overflow, cell.payload - cell.local

    def cells(self) -> Iterator[Cell]:
        """Yield the cells in their order; raises `OddPageError`."""
        try:
            yield from map(self._cell, self._places())
        except (IndexError, struct.error) as error:
            raise OddPageError("a cell outside of its page") from error

    def children(self) -> Iterator[int]:
        """Yield the pages below this one."""
        if self.kind not in _LEAVES:
            for place in self._places():
                yield _NUMBER.unpack_from(self.page, place)[0]
            yield _NUMBER.unpack_from(self.page, self.at + 8)[0]

    def _head(self) -> int:
        return 8 if self.kind in _LEAVES else 12

    def _places(self) -> tuple[int, ...]:
        (count,) = struct.unpack_from(">H", self.page, self.at + 3)
        try:
            return struct.unpack_from(f">{count}H", self.page, self.at + self._head())
        except struct.error as error:
            raise OddPageError("more cells than there is room for") from error

    def _may_overflow(self) -> bool:
        # Most pages have small cells alone, and to look at each takes ten times as long.
        places = sorted(self._places())
        return bool(places) and (
            max(map(sub, [*places[1:], self.shape.usable], places)) >= self._least_local()
        )

    def _least_local(self) -> int:
        return (self.shape.usable - 12) * 32 // 255 - 23

    def _fragments(self, known: list[Range], content: int) -> list[Range]:
        """Return the rest of what no cell has: places of up to three bytes that no list has."""
        freed = [(begin - 4, end) for begin, end in known[1:]]
        taken = sorted([*freed, *((cell.place, cell.end) for cell in self.cells())])
        found: list[Range] = []
        for begin, end in taken:
            if begin < content:
                raise OddPageError("cells that overlap")
            if content < begin:
                found.append((content, begin))
            content = end
        if content > self.shape.usable:
            raise OddPageError("a cell outside of its page")
        return [*found, (content, self.shape.usable)]

    def _cell(self, place: int) -> Cell:
        page, usable, kind = self.page, self.shape.usable, self.kind
        at = place if kind in _LEAVES else place + 4
        payload, at = varint(page, at)
        if kind == TABLE_INTERIOR:  # the number was that of a row
            return Cell(place, at, at, 0, 0, 0)
        if kind == TABLE_LEAF:
            _, at = varint(page, at)
        most = usable - 35 if kind == TABLE_LEAF else (usable - 12) * 64 // 255 - 23
        if payload <= most:
            end = at + payload
            return Cell(place, max(end, place + 4), at, payload, payload, 0)
        least = self._least_local()
        local = least + (payload - least) % (usable - 4)
        local = local if local <= most else least
        (overflow,) = _NUMBER.unpack_from(page, at + local)
        return Cell(place, at + local + 4, at, payload, local, overflow)


@dataclass(frozen=True, slots=True)
class Trunk:
    """A page of the list of free pages: the next of its kind, and free pages."""

    following: int
    free: array[int]
    rest: Range

    @classmethod
    def of(cls, page: bytes, shape: Shape) -> Trunk:
        """Return what *page* lists; raises `OddPageError`."""
        following, count = _TRUNK.unpack_from(page)
        end = 8 + 4 * count
        if end > shape.usable:
            raise OddPageError("more free pages than there is room for")
        return cls(following, numbers(page[8:end]), (end, shape.usable))


def numbers(data: bytes) -> array[int]:
    """Return the numbers of pages that *data* lists."""
    found = array("I")
    found.frombytes(data)
    if sys.byteorder == "little":
        found.byteswap()
    return found


def varint(page: bytes, at: int) -> tuple[int, int]:
    """Return the number of one to nine bytes at *at*, and where the next begins."""
    value = 0
    for place in range(at, at + 8):
        byte = page[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    return value << 8 | page[at + 8], at + 9
