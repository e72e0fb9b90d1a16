"""Plain text as passages: paragraphs, packed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from clawstate.importers.blocks import BlockBuilder
from clawstate.importers.lines import TextLine
from clawstate.importers.packing import Block, pack
from clawstate.importers.passages import MAXIMUM_LENGTH, Item, Passage
from clawstate.importers.running_text import read_running_text


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
