"""Plain values: trees of what JSON knows, compared as strictly as a text tells them apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clawstate.errors import InvalidError
from clawstate.json5.parse import MAX_DEPTH

_SCALARS = frozenset({str, int, float, bool, type(None)})


def require_plain(value: Any, *, above: int) -> None:
    """
    Refuse a value that is no tree of `dict`, `list`, `str`, `int`, `float`, `bool` and `None`.

    Subclasses are refused too, as a text does not keep them. With the levels that are *above* it,
    *value* may not be deeper than `MAX_DEPTH`. The `InvalidError` names types and no content.
    """
    todo = [(value, above)]
    while todo:
        current, depth = todo.pop()
        is_scalar = type(current) in _SCALARS
        if depth > MAX_DEPTH - (not is_scalar):
            raise InvalidError(
                "config value", "is nested too deeply", f"at most {MAX_DEPTH:,} levels"
            )
        if not is_scalar:
            todo += [(child, depth + 1) for child in _children(current)]


def measure(value: Any) -> tuple[int, int]:
    """Return how many levels of objects and arrays that are not empty *value* has, and members."""
    levels = members = 0
    level = [value]
    while level := [each for each in level if isinstance(each, dict | list) and each]:
        levels += 1
        members += sum(len(each) for each in level if isinstance(each, dict))
        level = [
            child
            for each in level
            for child in (each.values() if isinstance(each, dict) else each)
            if isinstance(child, dict | list)
        ]
    return levels, members


def is_same(first: Any, second: Any, *, ordered: bool = True) -> bool:
    """
    Tell whether two values are alike in type, sign, and, if *ordered*, in the order of keys.

    NaN is like NaN, but neither is 1 like 1.0 or `True`, nor 0.0 like -0.0.
    """
    pairs = [(first, second)]  # no recursion: values are as deep as a text may be
    while pairs:
        one, other = pairs.pop()
        # Most of what an edit compares is shared between the two: `set_at` copies only what it
        # passes.
        if one is other:
            continue
        if type(one) is not type(other) or not _alike(one, other, ordered=ordered):
            return False
        if isinstance(one, dict):
            pairs += [(item, other[key]) for key, item in one.items()]
        elif isinstance(one, list):
            pairs += zip(one, other, strict=True)
    return True


def common_ends(first: list[Any], second: list[Any]) -> tuple[int, int]:
    """Return how many elements two lists share at the start, and behind those at the end."""
    most = min(len(first), len(second))
    start = 0
    while start < most and is_same(first[start], second[start], ordered=False):
        start += 1
    end = 0
    while end < most - start and is_same(first[-1 - end], second[-1 - end], ordered=False):
        end += 1
    return start, end


def align_keys(old: Any, new: Any) -> Any:
    """
    Return *new* with the keys that *old* has too first, in the order in which they stand there.

    The order of members means nothing, so no member moves, and with it its comments. Elements
    between those that are shared at both ends are matched one by one.
    """
    box = [new]
    todo: list[tuple[Any, Any, Any, Any]] = [(old, new, box, 0)]
    while todo:
        before, after, holder, place = todo.pop()
        if isinstance(before, dict) and isinstance(after, dict):
            kept = {key: after[key] for key in before if key in after}
            holder[place] = copy = kept | after
            todo += [(before[key], item, copy, key) for key, item in kept.items()]
        elif isinstance(before, list) and isinstance(after, list):
            holder[place] = elements = list(after)
            todo += [(before[i], after[j], elements, j) for i, j in _matches(before, after)]
    return box[0]


def _children(value: Any) -> list[Any]:
    if type(value) is list:
        return value
    if type(value) is not dict:
        kind = type(value).__name__
        raise InvalidError(
            "config value",
            f"is a Python {kind}, which JSON does not have",
            "convert it before writing",
        )
    if any(type(key) is not str for key in value):
        raise InvalidError("config value", "has a key that is no text", "make it a string")
    return list(value.values())


def _alike(one: Any, other: Any, *, ordered: bool) -> bool:
    """Compare what two values of one type are, without what they hold."""
    if isinstance(one, dict):
        return list(one) == list(other) if ordered else one.keys() == other.keys()
    if isinstance(one, list):
        return len(one) == len(other)
    # The digits tell -0.0 from 0.0, and NaN is NaN in them.
    return repr(one) == repr(other) if isinstance(one, float) else bool(one == other)


def _matches(old: list[Any], new: list[Any]) -> Iterator[tuple[int, int]]:
    _, end = common_ends(old, new)
    middle = min(len(old), len(new)) - end
    yield from ((index, index) for index in range(middle))
    yield from ((len(old) - end + i, len(new) - end + i) for i in range(end))
