"""Pages of HTML as passages: saved web pages, exports of other programs, what people wrote."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from clawstate.importers.charsets import charset_of
from clawstate.importers.html_page import Page, PageFacts
from clawstate.importers.json_values import moment_or_none
from clawstate.importers.lines import open_regular
from clawstate.importers.packing import pack
from clawstate.importers.passages import Item, Json, Passage, Problem
from clawstate.quantities import number_of

_HEAD = 256 << 10
_CHUNK = 1 << 20
# A compressed file has one zero in 256 bytes; a text with more of them than half of that is none.
_MOST_ZEROS = 512
_FEW_ZEROS = 3


def read_html(path: Path) -> Iterator[Item]:
    """
    Yield the passages of the page *path*: its text under its headings, tables as rows.

    Scripts, styles, menus, controls and what is not shown are left out. The charset is that of a
    byte order mark, else the one that the page declares, else the one that fits. Raises
    `UnavailableError` when the file cannot be opened.
    """
    with open_regular(path) as stream:
        head = stream.read(_HEAD)
        charset = charset_of(head)
        if not charset.startswith("utf-16") and not charset.startswith("utf-32"):
            zeros = head.count(0)
            if zeros > _FEW_ZEROS and zeros * _MOST_ZEROS > len(head):
                yield Problem(path, None, f"is binary (NUL at byte {head.find(0)})")
                return
        page, damage = _read(stream, charset, is_xml=head.lstrip().startswith(b"<?xml"))
        blocks = list(page.blocks())
        if not blocks and page.left_out:
            # Menus are all there is, as on a page of links: better these than nothing.
            page, damage = _read(stream, charset, everything=True)
            blocks = list(page.blocks())
    if damage:
        places = number_of(damage[1], "place")
        message = f"from here on U+FFFD stands for what is no {charset}, in {places}"
        yield Problem(path, damage[0], message)
    if not blocks and head.strip():
        yield Problem(path, None, "is a page without text", is_by_rule=True)
    facts = page.facts
    title = facts.title or facts.meta.get("og:title", "")
    for position, piece in enumerate(pack(blocks, root=title)):
        yield Passage(
            piece.text,
            heading=piece.heading,
            title=title or None,
            headings=piece.headings,
            names=_names(facts),
            position=position,
            created_at=moment_or_none(facts.date) if facts.date else None,
            metadata=_metadata(facts),
        )


def _read(
    stream: BinaryIO, charset: str, *, is_xml: bool = False, everything: bool = False
) -> tuple[Page, tuple[int, int] | None]:
    """Return the page, and the line of the first damage with the number of its places."""
    stream.seek(0)
    page = Page(is_xml=is_xml, everything=everything)
    text = io.TextIOWrapper(stream, encoding=charset, errors="replace")
    line, first, places = 1, 0, 0
    try:
        while chunk := text.read(_CHUNK):
            if (at := chunk.find("\ufffd")) >= 0:
                first = first or line + chunk.count("\n", 0, at)
                places += chunk.count("\ufffd")
            line += chunk.count("\n")
            page.feed(chunk)
    finally:
        text.detach()
    page.feed("", is_last=True)
    return page, (first, places) if places else None


def _names(facts: PageFacts) -> tuple[str, ...]:
    keywords = facts.meta.get("keywords", "").split(",")
    described = facts.meta.get("description") or facts.meta.get("og:description") or ""
    return tuple(each.strip() for each in (described, *keywords) if each.strip())


def _metadata(facts: PageFacts) -> dict[str, Json]:
    found = {
        "url": facts.address or facts.meta.get("og:url", ""),
        "author": facts.meta.get("author", ""),
    }
    return {name: value for name, value in found.items() if value}
