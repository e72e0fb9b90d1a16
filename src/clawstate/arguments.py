"""What callers hand in, refused with a typed error before anything is done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from clawstate.errors import InvalidError

C = TypeVar("C", bound=Callable[..., Any])
M = TypeVar("M", bound=Mapping[Any, Any])
V = TypeVar("V")

# Half of what a signed integer of 64 bits holds, as SQLite's are: a sum with the present fits too.
_MOST = 1 << 62
_HALF = "holds half a surrogate pair, which no file can hold"
_HALF_HINT = "decode the bytes with errors='replace'"


def require_text(name: str, value: object) -> str:
    """Return *value*, which has to be text; raises `InvalidError` for the argument *name*."""
    if not isinstance(value, str):
        raise InvalidError(name, f"is {type(value).__name__}, not text", "give a str")
    return value


def require_whole_text(name: str, value: object) -> str:
    """Return *value*, text that UTF-8 can hold; raises `InvalidError` for the argument *name*."""
    text = require_text(name, value)
    require_whole(name, text)
    return text


def require_texts(name: str, value: Iterable[str]) -> tuple[str, ...]:
    """Return the texts of *value*, which is no single text; raises `InvalidError`."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise InvalidError(name, f"is {type(value).__name__}, not a list of texts", "give a list")
    return tuple(require_text(name, each) for each in value)


def require_callable(name: str, value: C) -> C:
    """Return *value*, which has to be a function; raises `InvalidError`."""
    if not callable(value):
        raise InvalidError(name, f"is {type(value).__name__}, no function", "give a function")
    return value


def require_callables(**given: Callable[..., object] | None) -> None:
    """Raise `InvalidError` for those of *given* that are neither a function nor None."""
    for name, value in given.items():
        if value is not None:
            require_callable(name, value)


def require_mapping(name: str, value: M) -> M:
    """Return *value*, which has to be a mapping such as a dict; raises `InvalidError`."""
    if not isinstance(value, Mapping):
        raise InvalidError(name, f"is {type(value).__name__}, not a mapping", "give a dict")
    return value


def require_kind(name: str, value: V, kind: type) -> V:
    """Return *value*, which has to be a *kind*; raises `InvalidError`."""
    if not isinstance(value, kind):
        problem = f"is {type(value).__name__}, not {kind.__name__}"
        raise InvalidError(name, problem, "give what this store returned")
    return value


def require_seconds(name: str, value: object) -> float:
    """Return *value*, a finite number of seconds that is not negative; raises `InvalidError`."""
    # For Python a truth value is a number.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidError(name, f"is {type(value).__name__}, not a number", "give seconds")
    if not 0 <= value < _MOST:
        raise InvalidError(
            name, f"{describe(value)} is out of range", f"give 0 to {_MOST - 1} seconds"
        )
    return value


def require_count(name: str, value: object, *, least: int = 0) -> int:
    """Return *value*, a whole number of *least* or more; raises `InvalidError`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidError(name, f"is {type(value).__name__}, not a whole number", "give a number")
    if not least <= value < _MOST:
        raise InvalidError(
            name, f"{describe(value)} is out of range", f"give {least} to {_MOST - 1}"
        )
    return value


def describe(value: object) -> str:
    """Return *value* as an error may show it: as Python writes it, and not much of that."""
    try:
        return f"{value!r:.60}"
    # Python writes out no whole number of more than 4,300 digits, and no list of a great depth.
    except (ValueError, RecursionError):
        bits = f"of {value.bit_length():,} bits" if isinstance(value, int) else "too deep to show"
        return f"a value {bits}"


def is_utf8(text: str) -> bool:
    """Tell whether *text* can be written as UTF-8: it holds no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_whole(name: str, value: Any) -> None:
    """
    Refuse text that cannot be written as UTF-8, at any depth of *value*.

    Raises `InvalidError` that tells where, as *name*, keys and indices, and never the text itself.
    """
    seen: set[int] = set()  # a value may hold itself, or one part in many places
    # A stack and no recursion, because a value may be nested deeper than functions can be. A part
    # knows the one around it, and its place is only put together for an error.
    rest: list[_Part] = [(None, name, value)]
    while rest:
        part = rest.pop()
        each = part[2]
        if isinstance(each, str):
            if not each.isascii() and not is_utf8(each):
                raise InvalidError(_where(part), _HALF, _HALF_HINT)
        elif id(each) not in seen:
            seen.add(id(each))
            rest += _inside(part, each)


_Part = tuple["_Part | None", str, Any]
"""Where a part of a value lies: in which other part, and its step from there."""


def _inside(part: _Part, value: Any) -> Iterator[_Part]:
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str) and not key.isascii() and not is_utf8(key):
                raise InvalidError(_where(part), f"has a key that {_HALF}", _HALF_HINT)
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
