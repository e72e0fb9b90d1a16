"""`PageFile`: the pages of a damaged database, its log on top, whatever its header still says."""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import apsw

from clawstate.sqlite.pages import HEADER, TREES, OddPageError, Shape, TreePage

_MAGIC = b"SQLite format 3\0"
_LOG_MAGIC = 0x377F0682  # the lowest bit tells the order of bytes of its sums
_LOG_HEADER, _FRAME_HEADER = 32, 24
_USUAL = 4096
_SIZES: Final = (_USUAL, 8192, 16_384, 32_768, 65_536, 2048, 1024, 512)
_SAMPLE = 400  # pages that are looked at where nothing tells how large they are


class PageFile:
    """
    The pages of the database at *path* by their numbers, as the file and its log have them.

    For a `with` block; nothing is written. Where the header is lost, the log or the pages
    themselves tell how large they are; where bytes of the first page are cut off, the pages are
    counted from the end. Raises `apsw.Error` for a file that cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.count = 0
        """How many pages there are."""

    def __enter__(self) -> Self:
        # As SQLite opens it: closing another descriptor on it would drop its locks.
        self._file = _open(self._path, "", apsw.SQLITE_OPEN_MAIN_DB)
        self._log: apsw.VFSFile | None = None
        self._logged: dict[int, int] = {}
        try:
            self._bytes = self._file.xFileSize()
            self._missing = 0
            log_size = self._open_log()
            header = self._file.xRead(min(HEADER, self._bytes), 0)
            self.has_header = is_header(header)
            if self.has_header:
                self.shape = Shape.of(header)
            else:
                size, self._missing = self._find_size(log_size)
                self.shape = Shape(size, size)
            # What is cut off at the end is no whole page; what is cut off at the beginning is.
            found = (self._bytes + self._missing) // self.shape.size
            self.count = max(self.count, found)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.xClose()
        if self._log is not None:
            self._log.xClose()

    def is_database(self) -> bool:
        """Tell whether there is anything of a database: a header, a log, or a page of a tree."""
        if self.has_header or self._logged:
            return True
        pages = map(self.tree_page, range(1, self.count + 1))
        return any(page is not None and _is_filled(page) for page in pages)

    def read(self, number: int) -> bytes:
        """Return the page *number*, the first is 1; zeros where the file lacks it."""
        size = self.shape.size
        if self._log is not None and number in self._logged:
            return self._log.xRead(size, self._logged[number])
        start = (number - 1) * size - self._missing
        if start < 0:
            return bytes(-start) + self._file.xRead(size + start, 0)
        if start >= self._bytes:
            return bytes(size)
        return self._file.xRead(min(size, self._bytes - start), start).ljust(size, b"\0")

    def tree_page(self, number: int) -> TreePage | None:
        """Return the page *number* if it may be a page of a tree, even without a cell."""
        if not 0 < number <= self.count:
            return None
        page = TreePage(self.read(number), HEADER if number == 1 else 0, self.shape)
        return None if _count_cells(page) is None else page

    def payload(self, page: TreePage, content: int, size: int, local: int, overflow: int) -> bytes:
        """Return the *size* bytes that begin in *page*; raises `OddPageError` where some lack."""
        if not 0 <= size <= self.count * self.shape.size:
            raise OddPageError("a payload larger than the file")
        parts = [page.page[content : content + local]]
        left = size - len(parts[0])
        while left > 0:
            if not 1 < overflow <= self.count:
                raise OddPageError("a payload that goes on nowhere")
            more = self.read(overflow)
            (overflow,) = struct.unpack_from(">I", more)
            parts.append(more[4 : 4 + min(left, self.shape.usable - 4)])
            left -= len(parts[-1])
        return b"".join(parts)

    def free(self) -> set[int]:
        """Return the pages that nothing uses: what was deleted may still be read there."""
        if self.has_header:
            (number,) = struct.unpack_from(">I", self.read(1), 32)
            return self._follow(number)
        # Where the list begins is lost: a page that lists others, each of them once, is of it.
        found: set[int] = set()
        for number in range(2, self.count + 1):
            page = self.read(number)
            if page[0] == 0 and (listed := self._free_list(page)):
                found |= {number, *listed}
        return found

    def _follow(self, number: int) -> set[int]:
        found: set[int] = set()
        while 1 < number <= self.count and number not in found:
            page = self.read(number)
            found |= {number, *self._free_list(page)}
            (number,) = struct.unpack_from(">I", page)
        return found

    def _free_list(self, page: bytes) -> tuple[int, ...]:
        following, count = struct.unpack_from(">II", page)
        if following > self.count or not 0 < count <= self.shape.usable // 4 - 2:
            return ()
        listed = struct.unpack_from(f">{count}I", page, 8)
        if len(set(listed)) < count or min(listed) < 2 or max(listed) > self.count:
            return ()
        return listed

    def _open_log(self) -> int:
        """Take the pages of the log that were committed; return how large it says they are."""
        path = self._path.with_name(f"{self._path.name}-wal")
        if not path.is_file() or path.stat().st_size < _LOG_HEADER:
            return 0
        self._log = _open(self._path, "-wal", apsw.SQLITE_OPEN_WAL)
        header = self._log.xRead(_LOG_HEADER, 0)
        magic, _, size = struct.unpack_from(">III", header)
        if magic & ~1 != _LOG_MAGIC or size not in _SIZES:
            return 0
        order = ">" if magic & 1 else "<"
        sums = _sums(header[:24], order, (0, 0))
        if sums != struct.unpack_from(">II", header, 24):
            return 0
        begun: dict[int, int] = {}
        end = self._log.xFileSize() - size - _FRAME_HEADER
        for at in range(_LOG_HEADER, end + 1, size + _FRAME_HEADER):
            frame = self._log.xRead(_FRAME_HEADER + size, at)
            number, pages = struct.unpack_from(">II", frame)
            sums = _sums(frame[:8], order, sums)
            sums = _sums(frame[_FRAME_HEADER:], order, sums)
            if frame[8:16] != header[16:24] or sums != struct.unpack_from(">II", frame, 16):
                break
            begun[number] = at + _FRAME_HEADER
            if pages:  # the end of a transaction
                self._logged.update(begun)
                self.count = pages
                begun.clear()
        return int(size)

    def _find_size(self, of_log: int) -> tuple[int, int]:
        """Return how large the pages are, and how many bytes of the first are cut off."""
        votes: Counter[tuple[int, int]] = Counter()
        for size in (of_log,) if of_log else _SIZES:
            for missing in dict.fromkeys((0, -self._bytes % size)):
                votes[size, missing] = self._count_sound(size, missing)
        # Of equals the first, which is the usual one.
        return votes.most_common(1)[0][0]

    def _count_sound(self, size: int, missing: int) -> int:
        shape = Shape(size, size)
        pages = (self._bytes + missing) // size
        found = 0
        for number in range(1, pages, max(pages // _SAMPLE, 1)):
            page = self._file.xRead(size, number * size - missing)
            found += _is_filled(TreePage(page.ljust(size, b"\0"), 0, shape))
        return found


def has_pages(path: Path) -> bool:
    """Tell whether the file *path* has a header, a log or a page of a database at all."""
    try:
        with PageFile(path) as file:
            return file.is_database()
    except apsw.Error:
        return False


def is_header(header: bytes) -> bool:
    """Tell whether *header*, the first bytes of a file, says how large its pages are."""
    if len(header) < HEADER or not header.startswith(_MAGIC):
        return False
    shape = Shape.of(header)
    return shape.size in _SIZES and shape.usable >= 480


def _count_cells(page: TreePage) -> int | None:
    """Return how many cells *page* has; `None` where it is not laid out as one of a tree."""
    if page.kind not in TREES:
        return None
    try:
        page.free_ranges()
        return sum(cell.place > 0 for cell in page.cells())
    except (OddPageError, struct.error, IndexError):
        return None


def _is_filled(page: TreePage) -> bool:
    """Tell whether *page* is one of a tree with a cell, or a free place, at its very end."""
    if not _count_cells(page):
        return False
    # A page of another size would have its cells elsewhere.
    ends = [*(end for _, end in page.free_ranges()), *(cell.end for cell in page.cells())]
    return max(ends) == page.shape.usable


def _open(path: Path, suffix: str, kind: int) -> apsw.VFSFile:
    return apsw.VFSFile("", os.fspath(path) + suffix, [apsw.SQLITE_OPEN_READWRITE | kind, 0])


def _sums(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    one, other = sums
    words: Iterator[int] = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for first in words:
        one = (one + first + other) & 0xFFFFFFFF
        other = (other + next(words) + one) & 0xFFFFFFFF
    return one, other
