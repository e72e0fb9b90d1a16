"""Messages as people read them."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from clawstate.cli.printing import inline, printable, size, style
from clawstate.clock import to_iso
from clawstate.quantities import number_of
from clawstate.snippets import pieces

if TYPE_CHECKING:
    from clawstate.stores.transcripts import Message, TranscriptHit, TranscriptInfo

_COLOURS = {"user": "cyan", "assistant": "green", "toolResult": "yellow", "tool": "yellow"}
_INDENT = "  "
_MOST_LINES = 12  # of one message on a terminal
_MOST_CHARACTERS = 200  # of a note or the arguments of a tool


def session_line(info: TranscriptInfo) -> str:
    """Return a line that shows the *info* of a session."""
    told = f"{number_of(info.count, 'message')}, {size(info.size)}"
    name = style(info.session_id, fg="cyan")
    return f"{to_iso(info.updated_at)}  {name}  {style(told, dim=True)}"


def message_lines(message: Message, *, full: bool) -> Iterator[str]:
    """Yield the lines that show *message*; long ones are cut on a terminal unless *full*."""
    yield _title(message)
    lines = [line for text in _texts(message) for line in _wrap(text)]
    cut = not full and sys.stdout.isatty() and len(lines) > _MOST_LINES + 1
    yield from lines[:_MOST_LINES] if cut else lines
    if cut:
        left = f"{number_of(len(lines) - _MOST_LINES, 'more line')}; --full shows all"
        yield style(f"{_INDENT}… {left}", dim=True)
    yield ""


def hit_lines(found: TranscriptHit) -> Iterator[str]:
    """Yield the lines that show *found*: who said it where, and the telling part."""
    where = style(found.message.session_id, dim=True)
    yield f"{_title(found.message)}  {where}"
    yield _INDENT + "".join(
        style(inline(text), bold=True, fg="yellow") if is_match else inline(text)
        for text, is_match in pieces(found.snippet, found.matches)
    )
    yield ""


def _title(message: Message) -> str:
    name = inline(message.role or message.kind)
    colour = _COLOURS.get(message.role)
    shown = style(name, fg=colour, bold=True, dim=not message.role)
    moment = to_iso(message.timestamp)[:16].replace("T", " ")
    return f"{shown}  {style(f'{moment}  {inline(message.id)}', dim=True)}"


def _texts(message: Message) -> Iterator[str]:
    content = message.content
    if isinstance(content, list):
        for part in content:
            yield _part(part) if isinstance(part, Mapping) else str(part)
    elif isinstance(content, str) or message.text:
        yield message.text
    else:
        known = {"type", "id", "parentId", "timestamp", "role"}
        rest = {name: value for name, value in message.body.items() if name not in known}
        yield _shorten(", ".join(f"{name}: {value}" for name, value in rest.items()))


def _part(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    if isinstance(text := part.get("text"), str):
        return text
    if kind in {"toolCall", "tool_use", "toolUse"}:
        given = part.get("arguments", part.get("input"))
        return f"[calls {part.get('name')} {_shorten(str(given))}]"
    if isinstance(thought := part.get("thinking"), str):
        return f"[thinks] {_shorten(thought)}"
    if isinstance(data := part.get("data"), str):
        return f"[{kind} {part.get('mimeType', '')} {size(len(data) * 3 / 4)}]"
    return f"[{kind}] {_shorten(str(part.get('content', '')))}"


def _shorten(text: str) -> str:
    folded = " ".join(text[: 2 * _MOST_CHARACTERS].split())
    return folded if len(folded) <= _MOST_CHARACTERS else f"{folded[:_MOST_CHARACTERS]}…"


def _wrap(text: str) -> Iterator[str]:
    width = max(40, min(shutil.get_terminal_size().columns, 110))
    for line in printable(text).split("\n"):
        yield from textwrap.wrap(
            line,
            width,
            initial_indent=_INDENT,
            subsequent_indent=_INDENT,
            drop_whitespace=False,
            replace_whitespace=False,
        ) or [""]
