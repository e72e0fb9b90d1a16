"""The words of an entry: what a search looks through, and what a person reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from clawstate.records.contract import Json

LONGEST = 100_000
"""Characters of one entry that are indexed; words behind them are not found."""

# Base64 and its like: nobody searches for it, and each piece would be a word of its own.
_ENCODED = re.compile(r"[A-Za-z0-9+/=_-]{200,}")
_TEXT_PARTS = ("text", "input_text", "output_text")  # no set: a type may be any JSON
_NOTES = ("summary", "content", "name", "label")
_COMMAND = ("command", "output")


def plain_text(entry: Mapping[str, Json]) -> str:
    """Return the words of *entry*; parts are apart by a line end."""
    return "\n".join(filter(None, _pieces(entry)))


def indexed_text(entry: Mapping[str, Json]) -> str:
    """Return the words of *entry* as they are indexed: bounded, without encoded data."""
    text = plain_text(entry)
    # Bounded before the search for encoded data too, which would go through megabytes of pictures.
    return _ENCODED.sub(" ", text[: 4 * LONGEST])[:LONGEST].replace("\0", " ")


def _pieces(entry: Mapping[str, Json]) -> Iterator[str]:
    body = entry.get("message")
    if entry.get("type") == "message" and isinstance(body, Mapping):
        yield from _texts(body.get("content"))
        for name in _COMMAND:
            if isinstance(text := body.get(name), str):
                yield text
        return
    for name in _NOTES:
        yield from _texts(entry.get(name))


def _texts(content: Json) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, str):
                yield part
            elif isinstance(part, Mapping):
                yield from _part(part)


def _part(part: Mapping[str, Json]) -> Iterator[str]:
    if part.get("type") in _TEXT_PARTS and isinstance(text := part.get("text"), str):
        yield text
    elif part.get("type") == "tool_result":
        yield from _texts(part.get("content"))
