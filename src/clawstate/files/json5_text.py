"""
JSON5 text, read as the npm package `json5` reads it, with the place of everything it says.

A `Node` is a value and its span; whoever changes a text needs the spans, all others the value.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from clawstate.errors import CorruptError
from clawstate.files.json5_scan import (
    ScanError,
    read_key,
    read_mark,
    read_value,
    skip_blank,
)

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["object", "array", "string", "number", "boolean", "null"]

MAX_DEPTH = 500
"""No document is nested deeper."""

_BOM = "\ufeff"
_LINE_END = re.compile(r"\r\n?|\n")
_CLOSERS = {"object": "}", "array": "]"}


class Place(NamedTuple):
    """A line and a column for people, both from 1; a column is a code point."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Item:
    """
    A member of an object, or an element of an array, which has no *key*.

    `text[start:key_end]` is the key as it is written; in an array it is empty. The item ends
    where its node does; *comma* is the offset of the comma behind it, if there is one.
    """

    key: str | None
    start: int
    key_end: int
    node: Node
    comma: int | None

    @property
    def end(self) -> int:
        """Where the item ends, without its comma."""
        return self.node.end


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Node:
    """
    A value, written as `text[start:end]`; offsets are code points.

    *items* are those of an object or array in the order of the text, equal keys included. The
    *value* of a container holds the very values of its items. Nodes are equal only to
    themselves, and do not show their value, which may be a secret.
    """

    kind: Kind
    start: int
    end: int
    value: Any
    items: tuple[Item, ...] = ()

    def item(self, step: str | int) -> Item | None:
        """
        Return the item of a key or an index, or `None`.

        The last of equal keys counts, as it does for the value, and -1 is the last index. A key
        finds nothing in an array, nor an index in an object.
        """
        if isinstance(step, str):
            return next((each for each in reversed(self.items) if each.key == step), None)
        if self.kind != "array" or not -len(self.items) <= step < len(self.items):
            return None
        return self.items[step]

    def duplicates(self) -> tuple[str, ...]:
        """Return the keys that this object has more than once, in the order of the text."""
        counts = Counter(each.key for each in self.items if each.key is not None)
        return tuple(key for key, count in counts.items() if count > 1)


def parse_json5(text: str | bytes, *, path: Path) -> Any:
    """
    Return the value of the JSON5 *text* that was read from *path*.

    The last of two equal keys wins, integers keep all digits, and numbers with a point or an
    exponent are floats. A byte order mark is white space. Raises `CorruptError`, which names the
    path and the place but never the content, for anything that is not JSON5: also for bytes that
    are not UTF-8, integers of more than 4,300 digits, or nesting beyond `MAX_DEPTH`.
    """
    decoded = _decoded(text, path) if isinstance(text, bytes) else text
    return parse_document(decoded, path=path).value


def parse_document(text: str, *, path: Path) -> Node:
    """
    Return the tree of the JSON5 *text* that was read from *path*.

    Between the spans stand only white space, comments, colons, commas and brackets. Raises
    `CorruptError` as `parse_json5` does.
    """
    # Errors are answered outside of their handlers: their frames hold the text, maybe a secret.
    try:
        return _Reading(text).root()
    except ScanError as error:
        problem, position, expected = error.problem, error.position, error.expected
    raise CorruptError(str(path), f"{problem} ({place_of(text, position)}): expected {expected}")


def place_of(text: str, position: int) -> Place:
    """
    Return the line and column of the offset *position* in *text*.

    Lines end at LF, CRLF or CR, as editors count them. A byte order mark takes no column.
    """
    ends = [match.end() for match in _LINE_END.finditer(text, 0, position)]
    start = ends[-1] if ends else int(position > 0 and text.startswith(_BOM))
    return Place(len(ends) + 1, position - start + 1)


def _decoded(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
    raise CorruptError(str(path), f"is not UTF-8 ({place_of(before, len(before))})")


class _Container:
    """An object or array whose end is not reached; *key* is the one read last."""

    __slots__ = ("items", "key", "key_end", "key_start", "kind", "start", "value")

    def __init__(self, kind: Kind, start: int) -> None:
        self.kind = kind
        self.start = start
        self.value: Any = {} if kind == "object" else []
        self.items: list[Item] = []
        self.key: str | None = None
        self.key_start = self.key_end = 0

    def add(self, node: Node, comma: int | None) -> None:
        if self.key is None:
            self.value.append(node.value)
            self.items.append(Item(None, node.start, node.start, node, comma))
        else:
            self.value[self.key] = node.value
            self.items.append(Item(self.key, self.key_start, self.key_end, node, comma))


class _Reading:
    """One way through a text; what is open lies on a stack, so that depth costs no recursion."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._open: list[_Container] = []

    def root(self) -> Node:
        node = self._item()
        while node is None or self._open:
            node = self._item() if node is None else self._attached(node)
        end = skip_blank(self._text, self._position)
        if end < len(self._text):
            raise ScanError(end, "the end of the text")
        return node

    def _item(self) -> Node | None:
        """Read one word, after its key; return the node that it completes, if it does."""
        top = self._open[-1] if self._open else None
        if top is not None and top.kind == "object" and not self._has_key(top):
            return self._closed()
        kind, value, start, self._position = read_value(self._text, self._position)
        if kind == "]":
            if top is None or top.kind == "object":
                raise ScanError(start, "a value")
            return self._closed()
        if kind in {"{", "["}:
            self._enter("object" if kind == "{" else "array", start)
            return None
        return Node(cast("Kind", kind), start, self._position, value)

    def _has_key(self, top: _Container) -> bool:
        kind, top.key, top.key_start, top.key_end = read_key(self._text, self._position)
        self._position = top.key_end
        if kind == "}":
            return False
        mark, position = read_mark(self._text, self._position)
        if mark != ":":
            raise ScanError(position, "':'")
        self._position = position + 1
        return True

    def _enter(self, kind: Kind, start: int) -> None:
        if len(self._open) == MAX_DEPTH:
            raise ScanError(start, f"at most {MAX_DEPTH} levels", "is nested too deeply")
        self._open.append(_Container(kind, start))

    def _attached(self, node: Node) -> Node | None:
        """Put *node* into what is open, and return that if it ends here."""
        top = self._open[-1]
        mark, position = read_mark(self._text, self._position)
        self._position = position + 1
        if mark == ",":
            top.add(node, position)
            return None
        if mark != _CLOSERS[top.kind]:
            raise ScanError(position, f"',' or '{_CLOSERS[top.kind]}'")
        top.add(node, None)
        return self._closed()

    def _closed(self) -> Node:
        top = self._open.pop()
        return Node(top.kind, top.start, self._position, top.value, tuple(top.items))
