"""
JSON5 text, read as the npm package `json5` reads it, with the place of everything it says.

A `Node` is a value and its span; whoever changes a text needs the spans, all others the value.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from clawstate.errors import CorruptError
from clawstate.json5.scan import (
    ScanError,
    read_key,
    read_mark,
    read_value,
    skip_blank,
)

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["object", "array", "string", "number", "boolean", "null"]

# Half of the frames that Python lets functions recurse by default: some who walk a document do.
MAX_DEPTH = 500
"""No document is nested deeper."""

_BOM = "\ufeff"
# Not `splitlines`, which takes more signs for a line end than editors do.
_LINE_END = re.compile(r"\r\n?|\n")
_OPENERS: Mapping[str, Kind] = {"{": "object", "[": "array"}
_CLOSERS = {"object": "}", "array": "]"}
_SCAN_JSON = json.JSONDecoder().raw_decode
# What Python's JSON reads as another value than JSON5 has it: -0, and halves of characters. And
# whole numbers that may be too long, which have an error of their own.
_NOT_ALIKE = re.compile(r"(?:\A|[\[,:\s])-0(?![0-9])|[\ud800-\udfff]|[0-9]{301}")
# What begins as no JSON does is not tried at all.
_BEGINS_AS_JSON = re.compile(r'\{[ \t\n\r]*+["}]|\[[ \t\n\r]*+["{\[\]0-9tfnNI-]')
_MOST_VAIN = 4  # times the length of the text may be read in vain before JSON is not tried any more
_FASTER = 64  # than reading is the search for a line that `JSONDecodeError` begins with


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


class Node:
    """
    A value, written as `text[start:end]`; offsets are code points.

    *items* are those of an object or array in the order of the text, equal keys included. The
    *value* of a container holds the very values of its items. Nodes are equal only to
    themselves, and do not show their value, which may be a secret.
    """

    __slots__ = ("_items", "end", "kind", "start", "value")

    def __init__(
        self,
        kind: Kind,
        start: int,
        end: int,
        value: Any,
        items: tuple[Item, ...] | Callable[[Node], tuple[Item, ...]] = (),
    ) -> None:
        self.kind: Kind = kind
        self.start = start
        self.end = end
        self.value = value
        self._items = items

    @property
    def items(self) -> tuple[Item, ...]:
        """The items; those of plain JSON are looked for when somebody first asks for them."""
        if not isinstance(self._items, tuple):
            self._items = self._items(self)
        return self._items

    @property
    def is_filled(self) -> bool:
        """Whether there are items, without looking for them."""
        return self.kind in _CLOSERS and bool(self.value)

    @property
    def is_flat(self) -> bool:
        """Whether it is an array that holds neither objects nor arrays, which costs no items."""
        return self.kind == "array" and not any(
            isinstance(each, dict | list) for each in self.value
        )

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
    decoded = _decode(text, path) if isinstance(text, bytes) else text
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


def _levels(value: Any, *, most: int) -> int:
    """Return how many levels of objects and arrays *value* has, at most *most*."""
    count, level = 0, [value]
    while count < most and (level := [each for each in level if isinstance(each, dict | list)]):
        count += 1
        level = [
            child
            for each in level
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, dict | list)
        ]
    return count


def _decode(raw: bytes, path: Path) -> str:
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


class _Plain:
    """The containers of a text that are plain JSON, which Python reads many times faster."""

    def __init__(self, text: str) -> None:
        self._text = text
        # Nested containers that are plain JSON up to a detail near their end would be read once for
        # each level; so what is read in vain is counted, and the time stays linear.
        self._left = 0 if _NOT_ALIKE.search(text) else _MOST_VAIN * len(text)

    def at(self, start: int, depth: int) -> Node | None:
        """Return the container at *start*, below *depth* others, or `None` if it is not plain."""
        if self._left <= 0 or not _BEGINS_AS_JSON.match(self._text, start):
            return None
        # Most of a document is plain JSON, which Python's own scanner reads ten times faster; where
        # it stumbles, only what it read in vain is lost.
        try:
            value, end = _SCAN_JSON(self._text, start)
        except json.JSONDecodeError as error:
            # The error looks for its line from the very start of the text.
            self._left -= error.pos - start + error.pos // _FASTER + 1
        except (ValueError, RecursionError):
            self._left = 0
        else:
            if depth + _levels(value, most=MAX_DEPTH - depth + 1) <= MAX_DEPTH:
                return self._node(start, end, value)
            self._left = 0  # the longer way tells where it is too deep
        return None

    def _node(self, start: int, end: int, value: Any) -> Node:
        return Node(_OPENERS[self._text[start]], start, end, value, self._items)

    def _items(self, node: Node) -> tuple[Item, ...]:
        """Return the items of *node*, found once more in the text, which is known to be sound."""
        found = self._members(node) if node.kind == "object" else self._elements(node)
        return tuple(found)

    def _elements(self, node: Node) -> Iterator[Item]:
        text, position = self._text, node.start + 1
        for value in node.value:
            below = self._below(position)
            # The objects of the value itself, not equal ones: a `Node` promises that.
            below.value = value
            mark, position = read_mark(text, below.end)
            yield Item(None, below.start, below.start, below, position if mark == "," else None)
            position += 1

    def _members(self, node: Node) -> list[Item]:
        text, position, found = self._text, node.start + 1, list[Item]()
        mark = "," if node.value else ""
        while mark == ",":
            _, key, start, key_end = read_key(text, position)
            _, colon = read_mark(text, key_end)
            below = self._below(colon + 1)
            mark, position = read_mark(text, below.end)
            comma = position if mark == "," else None
            found.append(Item(key, start, key_end, below, comma))
            position += 1
        # Of equal keys only the last has its value in the object.
        for key, last in {each.key: each.node for each in found}.items():
            last.value = node.value[key]
        return found

    def _below(self, position: int) -> Node:
        kind, value, start, end = read_value(self._text, position)
        if kind in _OPENERS:
            value, end = _SCAN_JSON(self._text, start)
            return self._node(start, end, value)
        return Node(cast("Kind", kind), start, end, value)


class _Reading:
    """One pass over a text, with a stack of its own, so that depth costs no recursion."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._open: list[_Container] = []
        self._plain = _Plain(text)

    def root(self) -> Node:
        node = self._item()
        while node is None or self._open:
            node = self._item() if node is None else self._attach(node)
        end = skip_blank(self._text, self._position)
        if end < len(self._text):
            raise ScanError(end, "the end of the text")
        return node

    def _item(self) -> Node | None:
        """Read one word, after its key; return the node that it completes, if it does."""
        top = self._open[-1] if self._open else None
        if top is not None and top.kind == "object" and not self._has_key(top):
            return self._close()
        kind, value, start, self._position = read_value(self._text, self._position)
        if kind == "]":
            if top is None or top.kind == "object":
                raise ScanError(start, "a value")
            return self._close()
        if kind not in _OPENERS:
            return Node(cast("Kind", kind), start, self._position, value)
        node = self._plain.at(start, len(self._open))
        if node is None:
            self._enter(_OPENERS[kind], start)
        else:
            self._position = node.end
        return node

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
            raise ScanError(start, f"at most {MAX_DEPTH:,} levels", "is nested too deeply")
        self._open.append(_Container(kind, start))

    def _attach(self, node: Node) -> Node | None:
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
        return self._close()

    def _close(self) -> Node:
        top = self._open.pop()
        return Node(top.kind, top.start, self._position, top.value, tuple(top.items))
