"""The style of a JSON5 text: how its writer sets line ends, indents, quotes, keys and commas."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from clawstate.json5.comments import without_words
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
    for words in (without_words(text), text):
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
    if mark not in _QUOTES or BARE_KEY.fullmatch(item.key or ""):
        yield "bare key", mark not in _QUOTES
    gap = text[item.key_end : item.node.start]
    if not gap.replace(":", "", 1).strip(" \t"):
        yield "colon", gap
