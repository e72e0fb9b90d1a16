"""Text that no file can hold: half of a surrogate pair, which has no form in UTF-8."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clawstate.errors import InvalidError

_ENOUGH = 4  # bytes
_PROBLEM = "holds half a surrogate pair, which no file can hold"
_HINT = "decode the bytes with errors='replace'"


def is_utf8(text: str) -> bool:
    """Tell whether *text* can be written as UTF-8: it holds no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_utf16(start: bytes) -> bool:
    """Tell whether a file of text that begins with *start* is UTF-16, with or without a mark."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    # Text of JSON begins with ASCII: one byte of each pair is zero then.
    pair = start[:2]
    return len(start) >= _ENOUGH and pair.count(0) == 1 and start[:4:2].count(0) in {0, 2}


def require_whole(name: str, value: Any) -> None:
    """
    Refuse text that cannot be written as UTF-8, at any depth of *value*.

    Raises `InvalidError` that tells where, as *name*, keys and indices, and never the text itself.
    """
    seen: set[int] = set()  # a value may hold itself, or one part in many places
    rest: list[_Part] = [(None, name, value)]
    while rest:
        part = rest.pop()
        each = part[2]
        if isinstance(each, str):
            if not each.isascii() and not is_utf8(each):
                raise InvalidError(_where(part), _PROBLEM, _HINT)
        elif id(each) not in seen:
            seen.add(id(each))
            rest += _inside(part, each)


_Part = tuple["_Part | None", str, Any]
"""Where a part of a value lies: in which other part, and its step from there."""


def _inside(part: _Part, value: Any) -> Iterator[_Part]:
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str) and not key.isascii() and not is_utf8(key):
                raise InvalidError(_where(part), f"has a key that {_PROBLEM}", _HINT)
            if isinstance(item, str | dict | list | tuple):
                yield part, f".{key}", item
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            if isinstance(item, str | dict | list | tuple):
                yield part, f"[{index}]", item


def _where(part: _Part) -> str:
    steps: list[str] = []
    up: _Part | None = part
    while up is not None:
        steps.append(up[1])
        up = up[0]
    return "".join(reversed(steps))
