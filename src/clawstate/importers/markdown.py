"""Markdown as passages: sections under their headings, blocks kept whole where they fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from clawstate.importers.front_matter import without_front_matter
from clawstate.importers.lines import TextLine
from clawstate.importers.markdown_blocks import markdown_blocks
from clawstate.importers.packing import pack
from clawstate.importers.passages import Item, Json, Passage
from clawstate.importers.running_text import read_running_text


def read_markdown(path: Path) -> Iterator[Item]:
    """
    Yield the passages of the Markdown file *path*, which keep its lines as they are.

    Tags of the front matter go to every passage, its title into the metadata and above all
    headings. Raises `UnavailableError` when the file cannot be opened.
    """
    return read_running_text(path, _passages)


def _passages(lines: Iterator[TextLine]) -> Iterator[Passage]:
    front, rest = without_front_matter(lines)
    metadata: dict[str, Json] = {"title": front.title} if front.title else {}
    for position, piece in enumerate(pack(markdown_blocks(rest), root=front.title)):
        yield Passage(
            piece.text,
            piece.start_line,
            piece.end_line,
            heading=piece.heading,
            position=position,
            tags=front.tags,
            metadata=metadata,
        )
