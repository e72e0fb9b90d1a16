"""Blocks of a text, and neighbouring ones packed into pieces of a readable size."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from clawstate.importers.passages import MAXIMUM_LENGTH, TARGET_LENGTH
from clawstate.importers.splitting import Pauses, is_boundary, spans

_LONGEST_TITLE = 120

# A bound for memory: a fence that is never closed reaches to the end of the file.
_LONGEST_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together; *gap* are the blank lines right before the *first* one."""

    first: int
    lines: tuple[str, ...]
    gap: tuple[str, ...] = ()
    pauses: Pauses = Pauses.PROSE
    level: int = 0
    title: str = ""

    @property
    def size(self) -> int:
        """Return the number of characters, with line ends."""
        return sum(map(len, self.lines)) + len(self.lines) - 1

    @property
    def gap_size(self) -> int:
        """Return the number of characters between this block and the one before it."""
        return sum(map(len, self.gap)) + len(self.gap) + 1


@dataclass(frozen=True, slots=True)
class Piece:
    """A text, the lines it stands in (both included), and the headings above it."""

    text: str
    start_line: int
    end_line: int
    heading: str
    headings: tuple[str, ...]


def pack(blocks: Iterable[Block], *, root: str = "") -> Iterator[Piece]:
    """
    Yield the text of *blocks* in pieces of about `TARGET_LENGTH` characters.

    A heading (a block with a *level*) starts a piece, unless only headings stand in it yet.
    Blocks share a piece only when nothing but blank lines lies between them. *root* is the first
    part of every heading, as the title of a document.
    """
    packer = _Packer(_Trail(root))
    for block in blocks:
        yield from packer.add(block)
    yield from packer.finish()


class _Trail:
    def __init__(self, root: str) -> None:
        self._root = root
        self._titles: dict[int, str] = {}

    def enter(self, block: Block) -> None:
        # A heading ends those of its own level and below.
        above = {level: title for level, title in self._titles.items() if level < block.level}
        self._titles = {**above, block.level: _shorten(block.title)}

    def titles(self) -> tuple[str, ...]:
        return tuple(title for title in self._titles.values() if title)

    def __str__(self) -> str:
        titles = self.titles()
        above = (self._root,) if self._root and titles[:1] != (self._root,) else ()
        return " > ".join((*above, *titles))


class _Packer:
    def __init__(self, trail: _Trail) -> None:
        self._trail = trail
        self._reset()

    def add(self, block: Block) -> Iterator[Piece]:
        if self._lines and not self._takes(block):
            yield from self.finish()
        self._append(block)
        if self._size > MAXIMUM_LENGTH:
            yield from self.finish()

    def finish(self) -> Iterator[Piece]:
        yield from _pieces(self._lines, self._first, self._pauses, self._trail)
        self._reset()

    def _reset(self) -> None:
        self._lines: list[str] = []
        self._first = 0
        self._size = 0
        self._only_headings = True
        self._pauses = Pauses.PROSE

    def _takes(self, block: Block) -> bool:
        # A line between them was damaged or left out: the lines of a piece must be those of the
        # file.
        if block.first - len(block.gap) != self._first + len(self._lines):
            return False
        if block.level and not self._only_headings:
            return False
        total = self._size + block.gap_size + block.size
        # A long block is cut in any case, so it takes its heading along if that is short.
        if self._only_headings and block.size > MAXIMUM_LENGTH:
            return self._size + block.gap_size < TARGET_LENGTH // 4
        # A short opening ("Do this:") stays with what it opens, even above the target.
        generous = self._only_headings or self._size < TARGET_LENGTH // 2
        return total <= (MAXIMUM_LENGTH if generous else TARGET_LENGTH)

    def _append(self, block: Block) -> None:
        if self._lines:
            self._size += block.gap_size + block.size
            self._lines.extend(block.gap)
        else:
            self._size, self._first = block.size, block.first
        self._lines.extend(block.lines)
        self._pauses = block.pauses
        if block.level:
            self._trail.enter(block)
        else:
            self._only_headings = False


def _pieces(lines: list[str], first: int, pauses: Pauses, trail: _Trail) -> Iterator[Piece]:
    text = "\n".join(lines)
    heading, headings = str(trail), trail.titles()
    if len(text) <= MAXIMUM_LENGTH:
        if text:
            yield Piece(text, first, first + len(lines) - 1, heading, headings)
        return
    # Where each line begins in the text, so that a cut is told as lines of the file.
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))[:-1]
    for start, end in spans(text, pauses):
        first_line = first + bisect_right(starts, start) - 1
        last_line = first + bisect_right(starts, end - 1) - 1
        yield Piece(text[start:end], first_line, last_line, heading, headings)


def _shorten(title: str) -> str:
    plain = " ".join(title[: _LONGEST_TITLE * 2].split())
    if len(plain) <= _LONGEST_TITLE:
        return plain
    end = next(at for at in range(_LONGEST_TITLE, -1, -1) if is_boundary(plain, at))
    return plain[:end].rstrip() + "…"


def fence_lines(lines: Sequence[str], language: str = "") -> tuple[str, ...]:
    """Return *lines* of code between fences that stand in none of them."""
    fence = "```"
    while any(fence in line for line in lines):
        fence += "`"
    return (f"{fence}{language}", *lines, fence)


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
