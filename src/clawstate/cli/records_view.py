"""Records and hits as people read them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clawstate.cli.printing import inline, printable, strip_styles, style
from clawstate.clock import to_iso
from clawstate.memory.query_words import word_query
from clawstate.memory.records import Hit, MemoryRecord
from clawstate.memory.stemming import written_forms
from clawstate.memory.versions import RecordVersion
from clawstate.snippets import pieces, snippet
from clawstate.wire.memory import export_form

_INDENT = "      "


def hit_lines(hit: Hit, query: str) -> Iterator[str]:
    """Yield the lines that show *hit*: score, place and tags, and the telling part of its text."""
    score = style(f"{hit.score:.2f}", fg="green" if hit.score >= 0.5 else None, bold=True)
    yield f"{score}  {_title(hit.record)}"
    asked = word_query(query)
    words = (each for _, written in asked.spellings for each in written)
    terms = (*asked.terms, *written_forms(words, hit.record.text))
    yield from _wrap(hit.record.text, terms, width=2 * _width())


def record_lines(record: MemoryRecord) -> Iterator[str]:
    """Yield the lines that show *record* briefly."""
    yield _title(record)
    yield from _wrap(record.text, (), width=_width())


def version_lines(version: RecordVersion) -> Iterator[str]:
    """Yield the lines that show *version*: when it was so, what came then, and its text."""
    until = "now" if version.until is None else to_iso(version.until)
    parts = [
        f"{to_iso(version.since)} - {until}",
        style(inline(version.record.id), fg="cyan"),
        "" if version.ending is None else style(version.ending, bold=True),
        "by " + ", ".join(map(inline, version.successors)) if version.successors else "",
        style("changed: " + ", ".join(version.changed), dim=True) if version.changed else "",
    ]
    yield "  ".join(part for part in parts if part)
    yield from _wrap(version.record.text, (), width=_width())


def full_lines(record: MemoryRecord) -> Iterator[str]:
    """Yield the lines that show all of *record*."""
    document = export_form(record)
    text = document.pop("text")
    for name, value in document.items():
        if value not in (None, [], {}):
            yield f"{style(name, dim=True)}: {inline(_readable(value))}"
    yield ""
    yield from printable(str(text)).split("\n")


def _readable(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def place(record: MemoryRecord) -> str:
    """Return where *record* comes from: a path with lines, relative when that is shorter."""
    if record.source is None:
        return ""
    first, last = record.metadata.get("start_line"), record.metadata.get("end_line")
    lines = "" if first is None else f":{first}" if last in {None, first} else f":{first}-{last}"
    return short_source(record.source) + lines


def _title(record: MemoryRecord) -> str:
    heading = inline(str(record.metadata.get("heading", ""))).rpartition(" > ")[2]
    parts = [
        style(inline(place(record) or record.id), fg="cyan"),
        style(heading or inline(record.title or ""), dim=True),
        _speaker(record),
        " ".join(style(f"#{inline(tag)}", fg="magenta") for tag in record.tags),
        style(inline(record.id), dim=True) if record.source is not None else "",
    ]
    return "  ".join(part for part in parts if strip_styles(part))


def _speaker(record: MemoryRecord) -> str:
    """Return who said the message *record*, and on which day; empty for other records."""
    role = record.metadata.get("role")
    if not isinstance(role, str) or record.thread is None:
        return ""
    return style(f"{inline(role)}, {to_iso(record.created_at)[:10]}", dim=True)


def short_source(source: str) -> str:
    """Return *source*, a path relative to where we are if it lies below."""
    if not os.path.isabs(source):  # noqa: PTH117 - a source need not be a path
        return source
    relative = os.path.relpath(source, Path.cwd())
    return source if relative.startswith("..") else relative


def _wrap(text: str, terms: tuple[str, ...], *, width: int) -> Iterator[str]:
    line, length = "", 0
    for piece, is_match in pieces(*snippet(printable(text), terms, width=width)):
        for word in _words(piece):
            if length + len(word) > _width() and length and word != "…":
                yield _INDENT + line.rstrip()
                line, length = "", 0
                word = word.lstrip()  # noqa: PLW2901 - a line starts without a blank
            line += style(word, bold=True, fg="yellow") if is_match else word
            length += len(word)
    if strip_styles(line).strip():
        yield _INDENT + line.rstrip()


def _words(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = text.find(" ", start + 1)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end


def _width() -> int:
    return max(40, min(shutil.get_terminal_size().columns, 110) - len(_INDENT))
