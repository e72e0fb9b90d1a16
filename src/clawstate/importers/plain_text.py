"""Plain text as passages: paragraphs, packed; also those of text that was read as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from clawstate.importers.blobs import Blobs
from clawstate.importers.encodings import as_utf8, damage_of
from clawstate.importers.lines import TextLine, find_nul, open_regular, text_lines
from clawstate.importers.packing import Block, BlockBuilder, pack
from clawstate.importers.passages import MAXIMUM_LENGTH, Item, Passage, Problem

Cutter: TypeAlias = Callable[[Iterator[TextLine]], Iterator[Passage]]
"""Makes passages of numbered lines."""


def read_plain_text(path: Path) -> Iterator[Item]:
    """
    Yield the passages of the text file *path*: whole paragraphs, packed up to the target.

    Raises `UnavailableError` when the file cannot be opened.
    """
    return read_running_text(path, _passages)


def text_pieces(text: str) -> Iterator[str]:
    """Yield *text* whole when it fits into one passage, else its paragraphs packed."""
    if len(text) <= MAXIMUM_LENGTH:
        yield text
    else:
        lines = enumerate(text.split("\n"), start=1)
        yield from (piece.text for piece in pack(_paragraphs(lines)))


def _passages(lines: Iterator[TextLine]) -> Iterator[Passage]:
    for position, piece in enumerate(pack(_paragraphs(lines))):
        yield Passage(piece.text, piece.start_line, piece.end_line, position=position)


def _paragraphs(lines: Iterable[TextLine]) -> Iterator[Block]:
    builder = BlockBuilder()
    for number, text in lines:
        if text.strip():
            yield from builder.add(number, text)
        else:
            yield from builder.close()
            builder.add_blank(text)
    yield from builder.close()


def read_running_text(path: Path, cutter: Cutter) -> Iterator[Item]:
    """
    Yield the passages that *cutter* makes of *path*, and a problem for every damaged line.

    A file with a NUL byte is no text: it yields one problem and nothing else.
    """
    with open_regular(path) as opened:
        stream = as_utf8(opened)
        # Looked for first: half of a file that turns out to be binary would be in the memory by
        # then.
        nul = find_nul(stream)
        if nul is not None:
            yield Problem(path, None, f"is binary (NUL at byte {nul})")
            return
        problems: list[Problem] = []
        blobs = Blobs()
        lines = blobs.leave_out(text_lines(path, stream))
        for passage in cutter(_drop_damage(lines, problems)):
            # Between passages, where they stand in the file.
            yield from problems
            problems.clear()
            yield passage
        yield from problems
        yield from damage_of(path, stream)
        if (told := blobs.describe()) is not None:
            yield Problem(path, None, told, is_by_rule=True)


def _drop_damage(
    lines: Iterator[TextLine | Problem], problems: list[Problem]
) -> Iterator[TextLine]:
    for line in lines:
        if isinstance(line, Problem):
            problems.append(line)
        else:
            yield line
