"""
What a disk was told: each block write, flush and report of a victim, in their order.

A disk keeps what was written before its last flush. Of what came later it may keep anything: all
of it in order, or any part of it, in pieces of 4 KiB.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from clawstate.errors import InvalidError
from faults.victim import whole_lines

WRITE, FLUSH, REPORT = 1, 2, 3
_HEADER = struct.Struct("<BQI")
_PIECE = 4096
_CHUNK = 1 << 16
_READY = b"READY\n"


def header(kind: int, offset: int, length: int) -> bytes:
    """Return what stands before the data of an entry in a log."""
    return _HEADER.pack(kind, offset, length)


@dataclass(frozen=True)
class Entry:
    """One order to the disk: write *data* at *offset*, or flush; or a report of the victim."""

    kind: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class BlockLog:
    """The log of a disk of *size* bytes that was empty at first."""

    size: int
    entries: tuple[Entry, ...]

    @classmethod
    def load(cls, path: Path, *, size: int) -> BlockLog:
        """Return the log in the file *path* of a disk of *size* bytes."""
        return cls(size, tuple(_entries(path.read_bytes())))

    @property
    def positions(self) -> range:
        """
        Return where the power can be cut: from `READY` to the end, before or behind any entry.

        Raises `InvalidError` if the victim was never ready.
        """
        for place, entry in enumerate(self.entries):
            if entry.kind == REPORT and _READY in entry.data:
                return range(place + 1, len(self.entries) + 1)
        raise InvalidError("log", "the victim printed no READY", "look what it complained of")

    def reported(self, position: int) -> tuple[str, ...]:
        """Return the lines that the victim had printed before *position*."""
        said = b"".join(each.data for each in self.entries[:position] if each.kind == REPORT)
        return whole_lines(said.decode())

    def cut(self, position: int, image: Path, *, lose: int | None = None) -> Path:
        """
        Write the disk as a power cut at *position* leaves it to *image*, and return that.

        Without *lose* every write before *position* is there. With it, a seed, each piece that
        was not flushed is lost with a chance of one half.
        """
        descriptor = os.open(image, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.truncate(descriptor, self.size)
            for offset, data in chain(self._base, self._kept(position, lose)):
                os.pwrite(descriptor, data, offset)
        finally:
            os.close(descriptor)
        return image

    @cached_property
    def _base(self) -> list[tuple[int, bytes]]:
        """The disk at the last flush before `READY`, without what is zero."""
        disk = bytearray(self.size)
        for entry in self.entries[: self._flushed(self.positions.start)]:
            data = _to_write(entry)
            disk[entry.offset : entry.offset + len(data)] = data
        chunks = (
            (start, bytes(disk[start : start + _CHUNK])) for start in range(0, self.size, _CHUNK)
        )
        return [(start, chunk) for start, chunk in chunks if any(chunk)]

    def _kept(self, position: int, lose: int | None) -> Iterator[tuple[int, bytes]]:
        flushed = self._flushed(position)
        chance = random.Random(lose)
        for place in range(self._flushed(self.positions.start), position):
            for offset, piece in _pieces(self.entries[place]):
                if place < flushed or lose is None or chance.random() < 0.5:
                    yield offset, piece

    def _flushed(self, position: int) -> int:
        flushes = (p for p in reversed(range(position)) if self.entries[p].kind == FLUSH)
        return next(flushes, 0)


def _entries(log: bytes) -> Iterator[Entry]:
    place = 0
    while place < len(log):
        kind, offset, length = _HEADER.unpack_from(log, place)
        place += _HEADER.size
        yield Entry(kind, offset, log[place : place + length])
        place += length


def _to_write(entry: Entry) -> bytes:
    return entry.data if entry.kind == WRITE else b""


def _pieces(entry: Entry) -> Iterator[tuple[int, bytes]]:
    data = _to_write(entry)
    for start in range(0, len(data), _PIECE):
        yield entry.offset + start, data[start : start + _PIECE]
