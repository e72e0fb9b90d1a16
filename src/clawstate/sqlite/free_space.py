"""Overwrite what lies in the free space of a database, page by page, beside others who use it."""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

import apsw

from clawstate.sqlite.compaction import outside_of_a_transaction
from clawstate.sqlite.connections import BUSY_MS
from clawstate.sqlite.pages import HEADER, MOST, TREES, OddPageError, Shape, TreePage, Trunk
from clawstate.sqlite.part import Part

Note = Callable[[apsw.Connection, int], object]
"""Writes something, such as the number of the page that was reached, in a transaction."""

_SLICE = 1_024  # pages that are looked at while others wait: some 20 ms
_SHORT = 50  # milliseconds that a reader of the log is waited for while writers wait
_PAUSE = 0.02
_LOG_HEADER = 32
_FRAME_HEADER = 24
_NORMAL: Final = 2  # SQLITE_SYNC_NORMAL, which apsw does not name


def is_overwritable(connection: apsw.Connection) -> bool:
    """Tell whether `overwrite_free_space` knows the file: one with a log, below 64 GB."""
    return (
        connection.pragma("journal_mode") == "wal"
        and connection.pragma("page_count") < MOST
        and not connection.pragma("auto_vacuum")
    )


def overwrite_free_space(
    part: Part,
    note: Note,
    *,
    patience: float,
    cancelled: Callable[[], bool] = lambda: False,
) -> bool:
    """
    Leave zeros wherever the file of *part*, which has a log, holds nothing; tell whether it is so.

    In slices, between which others write; neither its memory nor the time of a slice grow with the
    file. What is free when it begins is zeros when it ends; killed anywhere it may begin anew.
    Where somebody reads the log all the time it gives up after *patience* (seconds). Raises what
    `Part.writing` raises; `CorruptError` for pages that are not as the format has them.
    """
    # Only bytes that no page uses are changed, of pages as they lie in the file: a cut in the
    # middle of it leaves the same database, and a reader does not look at them (decision 41).
    run, end = _Run(part.path, note), time.monotonic() + patience
    while not run.is_done:
        if cancelled():
            return False
        with part.writing() as connection:
            done = outside_of_a_transaction(connection, run.overwrite_slice)
        if not done:
            if time.monotonic() >= end:
                return False
            time.sleep(_PAUSE)
    return True


class _Run:
    def __init__(self, path: Path, note: Note) -> None:
        self.is_done = False
        self._path = path
        self._note = note
        self._next = 1
        self._log: bytes | None = None  # the head of the log as the last slice left it

    def overwrite_slice(self) -> bool:
        """Overwrite the free space of the next pages; tell whether nobody was in the way."""
        # A connection of its own each time: none that is used again may have pages in its memory as
        # they were before, since it would write them again with the next change.
        flags = apsw.SQLITE_OPEN_READWRITE
        with contextlib.closing(apsw.Connection(os.fspath(self._path), flags=flags)) as one:
            again = self._find_written()
            # All that was written lies in the file then, and nobody reads a page from the log.
            if again is None or not _empty_log(one):
                return self._begin_anew()
            one.set_busy_timeout(BUSY_MS)
            # What is written into the file is synced by the next who empties the log.
            one.pragma("synchronous", 1)
            one.execute("BEGIN IMMEDIATE")
            if _size(self._path, "-wal"):  # a program that does not know our lock was faster
                return self._begin_anew()
            with _Opened(self._path, "", apsw.SQLITE_OPEN_MAIN_DB) as opened:
                file = _File(opened)
                self._overwrite(file, again)
                # The commit makes everybody else forget the pages that they have in memory.
                self._note(one, self._next)
                one.execute("COMMIT")
                if self.is_done:
                    file.sync()
            self._log = self._log_header()
        return True

    def _begin_anew(self) -> bool:
        self._next, self._log = 1, None
        return False

    def _overwrite(self, file: _File, again: Collection[int]) -> None:
        end = min(self._next + _SLICE, file.count + 1)
        wanted = {*again, *range(self._next, end)}
        free: set[int] = set()
        trunks: set[int] = set()
        for number, trunk in file.trunks():
            trunks.add(number)
            free |= wanted.intersection(trunk.free)
        for number in sorted(wanted):
            if number > file.count:
                continue
            page = file.read(number)
            if number in free:
                file.overwrite(number, page, [(0, len(page))])
            elif number in trunks:
                file.overwrite(number, page, [Trunk.of(page, file.shape).rest])
            else:
                self._overwrite_used(file, number, page)
        self._next = end
        self.is_done = end > file.count

    @staticmethod
    def _overwrite_used(file: _File, number: int, page: bytes) -> None:
        at = HEADER if number == 1 else 0
        if page[at] not in TREES:
            return  # where a long payload goes on: its last page is found from its first
        tree = TreePage(page, at, file.shape)
        file.overwrite(number, page, tree.free_ranges())
        for first, size in tree.overflows():
            last, used = file.last_of(first, size)
            file.overwrite(last, file.read(last), [(used, file.shape.usable)])

    def _find_written(self) -> set[int] | None:
        """
        Return the pages that others wrote since the last slice; None where that is not known.

        Balancing a tree moves free space from page to page, also behind the place that was reached.
        """
        if self._log is None:
            return set()
        if self._log_header() != self._log:
            return None
        return set(self._frames())

    def _frames(self) -> Iterator[int]:
        with _Opened(self._path, "-wal", apsw.SQLITE_OPEN_WAL) as log:
            header = log.xRead(_LOG_HEADER, 0)
            (size,) = struct.unpack_from(">I", header, 8)
            salts = header[16:24]
            for at in range(_LOG_HEADER, log.xFileSize() - _FRAME_HEADER, size + _FRAME_HEADER):
                frame = log.xRead(_FRAME_HEADER, at)
                if frame[8:16] == salts:
                    yield struct.unpack_from(">I", frame)[0]

    def _log_header(self) -> bytes:
        if not _size(self._path, "-wal"):
            return b""
        with _Opened(self._path, "-wal", apsw.SQLITE_OPEN_WAL) as log:
            return log.xRead(_LOG_HEADER, 0)


class _File:
    """The file by its pages."""

    def __init__(self, file: apsw.VFSFile) -> None:
        self._file = file
        self.header = self._file.xRead(HEADER, 0)
        self.shape = Shape.of(self.header)
        self.count = self._file.xFileSize() // self.shape.size

    def read(self, number: int) -> bytes:
        """Return the page *number*."""
        if not 0 < number <= self.count:
            raise OddPageError("a page behind the end")
        return self._file.xRead(self.shape.size, (number - 1) * self.shape.size)

    def trunks(self) -> Iterator[tuple[int, Trunk]]:
        """Yield the pages that list the free ones."""
        (number,) = struct.unpack_from(">I", self.header, 32)
        for _ in range(self.count):
            if not number:
                return
            trunk = Trunk.of(self.read(number), self.shape)
            yield number, trunk
            number = trunk.following
        raise OddPageError("a list of free pages without an end")

    def last_of(self, number: int, size: int) -> tuple[int, int]:
        """Return the last page of a payload of *size* bytes from *number* on, and where it ends."""
        room = self.shape.usable - 4
        while size > room:
            place = (number - 1) * self.shape.size
            (number,) = struct.unpack(">I", self._file.xRead(4, place))
            size -= room
        return number, 4 + size

    def overwrite(self, number: int, page: bytes, ranges: Collection[tuple[int, int]]) -> None:
        """Write zeros over *ranges* of a *page* where others stand."""
        for begin, end in ranges:
            if page[begin:end].strip(b"\0"):
                place = (number - 1) * self.shape.size + begin
                self._file.xWrite(bytes(end - begin), place)

    def sync(self) -> None:
        """Wait until all of it is on disk."""
        self._file.xSync(_NORMAL)


class _Opened:
    """A file of a database as SQLite itself opens it: closing another would drop its locks."""

    def __init__(self, path: Path, suffix: str, kind: int) -> None:
        flags = [apsw.SQLITE_OPEN_READWRITE | kind, 0]
        self._file = apsw.VFSFile("", os.fspath(path) + suffix, flags)

    def __enter__(self) -> apsw.VFSFile:
        return self._file

    def __exit__(self, *_: object) -> None:
        self._file.xClose()


def _empty_log(connection: apsw.Connection) -> bool:
    connection.set_busy_timeout(_SHORT)
    with contextlib.suppress(apsw.BusyError):
        refused, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").get
        return not refused
    return False


def _size(path: Path, suffix: str) -> int:
    try:
        return path.with_name(path.name + suffix).stat().st_size
    except FileNotFoundError:
        return 0
