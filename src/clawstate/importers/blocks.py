"""Gathering numbered lines into blocks, within bounds of memory."""

from __future__ import annotations

from collections.abc import Iterator

from clawstate.importers.packing import Block
from clawstate.importers.passages import MAXIMUM_LENGTH
from clawstate.importers.splitting import Pauses

_LONGEST_BLOCK = 64 * 1024


class BlockBuilder:
    """
    The block that is being read.

    A block is handed out early when it grows beyond 64 KiB, as a fence that is never closed
    would: it is cut into several passages in any case.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._first = 0
        self._size = 0
        self._gap: list[str] = []
        self._gap_size = 0

    def add(self, number: int, text: str, *, pauses: Pauses = Pauses.PROSE) -> Iterator[Block]:
        """Take a line; yield the block so far when the line cannot be a part of it."""
        follows = number == self._first + len(self.lines)
        if self.lines and (not follows or self._size > _LONGEST_BLOCK):
            yield from self.close(pauses=pauses)
        if not self.lines:
            self._first = number
        self.lines.append(text)
        self._size += len(text) + 1

    def add_blank(self, text: str) -> None:
        """Take a blank line that lies between two blocks."""
        self._gap.append(text)
        self._gap_size += len(text) + 1
        # Blocks so far apart share no passage, so nobody will ask for the lines between.
        if self._gap_size > MAXIMUM_LENGTH:
            self._gap, self._gap_size = [], 0

    def close(
        self, *, pauses: Pauses = Pauses.PROSE, level: int = 0, title: str = ""
    ) -> Iterator[Block]:
        """Yield the block, if there is one; blank lines at its ends are left to the gaps."""
        lines, first = self.lines, self._first
        self.lines, self._size = [], 0
        leading, trailing = _blank_ends(lines)
        for line in lines[:leading]:
            self.add_blank(line)
        if leading < len(lines):
            body = tuple(lines[leading : len(lines) - trailing])
            gap, self._gap, self._gap_size = tuple(self._gap), [], 0
            yield Block(first + leading, body, gap, pauses, level, title)
            for line in lines[len(lines) - trailing :]:
                self.add_blank(line)


def _blank_ends(lines: list[str]) -> tuple[int, int]:
    filled = [index for index, line in enumerate(lines) if line.strip()]
    return (filled[0], len(lines) - 1 - filled[-1]) if filled else (len(lines), 0)
