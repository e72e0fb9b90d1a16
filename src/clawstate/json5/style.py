"""The style of a JSON5 text (line ends, indents, quotes, commas), and values written in it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from clawstate.arguments import require_whole
from clawstate.errors import InvalidError
from clawstate.json5.edits import strip_words
from clawstate.json5.layout import has_line_end, indent_at, is_blank
from clawstate.json5.parse import Item, Node

BARE_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*+")
"""A key that can stand without quotes, whoever reads it."""

_LINE_ENDS = ("\n", "\r\n", "\r")
_QUOTES = ('"', "'")

_T = TypeVar("_T")
_Votes = Counter[tuple[str, object]]

_MOST_ITEMS = 10_000  # of a container that is looked into for its style


@dataclass(frozen=True, slots=True)
class TextStyle:
    """
    What most places of a text do; where a text does not tell, what `JSON.stringify` does.

    *colon* and *padding* are what stands between key and value, and beside the brackets of an
    object on one line. *flat_kinds* are the containers of scalars that stay on one line.
    """

    line_end: str = "\n"
    indent: str = "  "
    quote: str = '"'
    key_quote: str = '"'
    bare_keys: bool = False
    colon: str = ": "
    padding: str = ""
    last_comma: bool = False
    flat_kinds: frozenset[str] = frozenset()

    @property
    def gap(self) -> str:
        """What follows a comma within a line."""
        return " " if self.colon.endswith(" ") else ""


def style_of(text: str, root: Node) -> TextStyle:
    """Return the style of *text*, whose tree is *root*."""
    votes: _Votes = Counter(_votes(text, root))
    quote = _most(votes, "quote", '"')
    return TextStyle(
        line_end=line_end_of(text),
        indent=_indent(text, root),
        quote=quote,
        key_quote=_most(votes, "key quote", quote),
        bare_keys=_most(votes, "bare key", False),
        colon=_most(votes, "colon", ": "),
        padding=_most(votes, "padding", ""),
        last_comma=_most(votes, "last comma", False),
        flat_kinds=frozenset(kind for kind in ("array", "object") if _most(votes, kind, False)),
    )


def line_end_of(text: str) -> str:
    """Return the line end that *text* has most, if it can outside of strings and comments."""
    for words in (strip_words(text), text):
        windows = words.count("\r\n")
        counts = (words.count("\n") - windows, windows, words.count("\r") - windows)
        if any(counts):
            return _LINE_ENDS[counts.index(max(counts))]
    return "\n"


def _most(votes: _Votes, topic: str, default: _T) -> _T:
    found = [(count, value) for (about, value), count in votes.items() if about == topic]
    if not found:
        return default
    most = max(count for count, _ in found)
    # Of a draw the one that comes first in the text: a `Counter` keeps the order.
    return next(value for count, value in found if count == most)  # type: ignore[return-value]


def _indent(text: str, root: Node) -> str:
    for node in _nodes(root):
        if node.items and has_line_end(text, node.start, node.items[0].start):
            outer = indent_at(text, node.start)
            inner = indent_at(text, node.items[0].start)
            if inner.startswith(outer) and inner != outer:
                return inner.removeprefix(outer)
    return "  "


def _nodes(root: Node) -> Iterator[Node]:
    todo = [root]
    while todo:
        node = todo.pop()
        if node.is_filled and len(node.value) > _MOST_ITEMS:
            continue  # its parts are not looked for: such a long list is data, and tells no style
        yield node
        todo += [item.node for item in reversed(node.items)]


def _votes(text: str, root: Node) -> Iterator[tuple[str, object]]:
    for node in _nodes(root):
        if node.kind == "string":
            yield "quote", text[node.start]
        elif node.items:
            yield from _container_votes(text, node)
            if node.kind == "object":
                for item in node.items:
                    yield from _key_votes(text, item)


def _container_votes(text: str, node: Node) -> Iterator[tuple[str, object]]:
    first = node.items[0]
    spread = has_line_end(text, node.start, first.start)
    if spread:
        yield "last comma", node.items[-1].comma is not None
    elif node.kind == "object" and is_blank(text, node.start + 1, first.start):
        yield "padding", text[node.start + 1 : first.start]
    if not any(item.node.is_filled for item in node.items):
        yield node.kind, not spread


def _key_votes(text: str, item: Item) -> Iterator[tuple[str, object]]:
    mark = text[item.start]
    if mark in _QUOTES:
        yield "key quote", mark
    # A key that needs quotes tells nothing of how others are written.
    if mark not in _QUOTES or BARE_KEY.fullmatch(item.key or ""):
        yield "bare key", mark not in _QUOTES
    gap = text[item.key_end : item.node.start]
    if not gap.replace(":", "", 1).strip(" \t"):
        yield "colon", gap


_WIDTH = 100
_MOST_DIGITS = 4300
_MOST_BITS = 15_000  # a little more than so many digits need
# What does not show, and U+2028 and U+2029, which end a line in ECMAScript 5.
_SPECIAL = re.compile("[\\\\\x00-\x1f\x7f\u2028\u2029\ufeff]")
_LETTERS = {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def render_value(value: Any, style: TextStyle, *, indent: str, spread: bool) -> str:
    """
    Return the text of *value* for a line that begins with *indent*.

    A container takes several lines if *spread*. Numbers are those of JSON, and integers keep all
    digits. Raises `InvalidError`, which tells no content, for what JSON cannot hold: NaN and the
    infinities, lone surrogates, integers of more than 4,300 digits.
    """
    try:
        return _value_text(value, style, indent, spread)
    except RecursionError:
        problem = "is nested too deeply"
    raise InvalidError("config value", problem, "flatten it")


def render_entry(
    key: str | None, value: Any, style: TextStyle, *, indent: str, spread: bool
) -> str:
    """Return the text of a member with *key*, or of an element; else as `render_value`."""
    head = "" if key is None else _key_text(key, style) + style.colon
    return head + render_value(value, style, indent=indent, spread=spread)


def _value_text(value: Any, style: TextStyle, indent: str, spread: bool) -> str:  # noqa: FBT001
    if not isinstance(value, dict | list):
        return _scalar(value, style)
    if not value:
        return "{}" if isinstance(value, dict) else "[]"
    spread = spread and not _stays_flat(value, style, indent)
    inner = indent + style.indent if spread else indent
    parts = []
    # Loops and not comprehensions, which would take a second stack frame for each level.
    if isinstance(value, dict):
        for key, item in value.items():
            parts.append(
                _key_text(key, style) + style.colon + _value_text(item, style, inner, spread)
            )
        return _enclose("{}", parts, style, indent, spread=spread)
    for item in value:
        parts.append(_value_text(item, style, inner, spread))  # noqa: PERF401
    return _enclose("[]", parts, style, indent, spread=spread)


def _stays_flat(value: Any, style: TextStyle, indent: str) -> bool:
    items = value.values() if isinstance(value, dict) else value
    if any(isinstance(item, dict | list) and item for item in items):
        return False
    kind = "object" if isinstance(value, dict) else "array"
    return kind in style.flat_kinds and len(indent + _value_text(value, style, "", False)) <= _WIDTH


def _enclose(
    brackets: str, parts: list[str], style: TextStyle, indent: str, *, spread: bool
) -> str:
    if not spread:
        padding = style.padding if brackets == "{}" else ""
        return brackets[0] + padding + f",{style.gap}".join(parts) + padding + brackets[1]
    line = style.line_end + indent
    inner = line + style.indent
    last = "," if style.last_comma else ""
    return brackets[0] + inner + f",{inner}".join(parts) + last + line + brackets[1]


def _key_text(key: str, style: TextStyle) -> str:
    if style.bare_keys and BARE_KEY.fullmatch(key):
        return key
    return _string_text(key, style.key_quote)


def _scalar(value: Any, style: TextStyle) -> str:
    if isinstance(value, str):
        return _string_text(value, style.quote)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _number(value)


def _number(value: float) -> str:
    problem = "has a number that is not finite"
    if isinstance(value, int):
        digits = _digits(value)
        if digits:
            return digits
        problem = "has an integer of too many digits"
    elif math.isfinite(value):
        return repr(value)
    raise InvalidError("config value", problem, "write it as text")


def _digits(value: int) -> str:
    """Return the digits of *value*, or nothing if no text is read with so many."""
    if value.bit_length() > _MOST_BITS:
        return ""
    try:
        digits = repr(value)
    except ValueError:
        return ""
    return digits if len(digits.lstrip("-")) <= _MOST_DIGITS else ""


def _string_text(text: str, quote: str) -> str:
    require_whole("config value", text)
    escaped = _SPECIAL.sub(_escape, text)
    return quote + escaped.replace(quote, "\\" + quote) + quote


def _escape(match: re.Match[str]) -> str:
    return _LETTERS.get(match[0]) or f"\\u{ord(match[0]):04x}"
