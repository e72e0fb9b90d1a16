"""
Key paths: which value of a configuration is meant, and how it is read and changed there.

The rules of change are those of `openclaw config set` and `unset` (version 2026.2.26), except
that no value is ever overwritten because a path leads through it.
"""

from __future__ import annotations

from typing import Any

from clawstate.errors import InvalidError, NotFoundError
from clawstate.json5.path_grammar import (
    EXAMPLE,
    KeyPath,
    format_key_path,
    parse_key_path,
    require_allowed,
)
from clawstate.quantities import number_of

__all__ = [
    "KeyPath",
    "format_key_path",
    "get_at",
    "parse_key_path",
    "place_in",
    "set_at",
    "unset_at",
]

_KINDS = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def place_in(value: Any, step: str | int) -> str | int | None:
    """
    Return the key or index that *step* means in *value*; whether it is there is another question.

    A negative index counts from the end. `None`: such a step leads nowhere in such a value.
    """
    if isinstance(value, dict):
        if isinstance(step, str):
            return step
        return str(step) if step >= 0 else None
    if isinstance(value, list) and isinstance(step, int):
        index = step if step >= 0 else step + len(value)
        return index if index >= 0 else None
    return None


def get_at(value: Any, path: KeyPath) -> Any:
    """
    Return what stands in *value* at *path*.

    Raises `NotFoundError`, which tells the first step that leads nowhere, and names like it.
    """
    for depth, step in enumerate(path):
        place = place_in(value, step)
        if place is None or not _holds(value, place):
            raise _not_found(value, path, depth)
        value = value[place]
    return value


def set_at(value: Any, path: KeyPath, new: Any) -> Any:
    """
    Return *value* with *new* at *path*; nothing is changed in place.

    What is missing on the way is made: an array for an integer, an object for a key. An index may
    be the length of an array, which appends. Raises `InvalidError` where a step does not fit the
    value that it meets, or skips elements.
    """
    if not path:
        return new
    require_allowed(path)  # not for what is read or removed: there such a key does no harm
    box, parent, place = _copy_along(value, path, create=True)
    _put(parent, place, new)
    return box[0]


def unset_at(value: Any, path: KeyPath) -> Any:
    """
    Return *value* without what stands at *path*; nothing is changed in place.

    The elements behind it close the gap. Raises `NotFoundError` if nothing stands there, and
    `InvalidError` where a step does not fit the value that it meets.
    """
    box, parent, place = _copy_along(value, path, create=False)
    if not _holds(parent, place):
        raise _not_found(parent, path, len(path) - 1)
    del parent[place]
    return box[0]


def _copy_along(value: Any, path: KeyPath, *, create: bool) -> tuple[list[Any], Any, Any]:
    """Return a box with a copy of *value*, of which all that *path* passes is new, and the end."""
    if not path:
        raise InvalidError("config path", "names the whole document", EXAMPLE)
    # Copied along the path alone: all else is shared, for whole configurations are large.
    # A box, so that the whole document is replaced in the way in which a member is.
    box = [value]
    parent: Any = box
    place: Any = 0
    for depth in range(len(path)):
        child = _child(parent, place, path, depth, create=create)
        _put(parent, place, child)
        parent, place = child, _fitting_place(child, path, depth, create=create)
    return box, parent, place


def _child(parent: Any, place: Any, path: KeyPath, depth: int, *, create: bool) -> Any:
    if _holds(parent, place):
        child = parent[place]
        return child.copy() if isinstance(child, dict | list) else child
    if not create:
        raise _not_found(parent, path, depth - 1)
    return [] if isinstance(path[depth], int) else {}


def _fitting_place(value: Any, path: KeyPath, depth: int, *, create: bool) -> str | int:
    place, step = place_in(value, path[depth]), path[depth]
    if isinstance(value, list) and isinstance(step, int):
        if isinstance(place, int) and place <= len(value):
            return place
        raise _gap(value, path, depth) if create else _not_found(value, path, depth)
    if place is not None:
        return place
    raise _misfit(value, path, depth, "an object" if isinstance(step, str) else "an array")


def _put(parent: Any, place: Any, new: Any) -> None:
    if isinstance(parent, list) and place == len(parent):
        parent.append(new)
    else:
        parent[place] = new


def _holds(value: Any, place: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(place, int) and place < len(value)
    return place in value


def _not_found(value: Any, path: KeyPath, depth: int) -> NotFoundError:
    return NotFoundError("config path", format_key_path(path), _why(value, path, depth))


def _why(value: Any, path: KeyPath, depth: int) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - for who slipped; slow to load

    name, step = _name(path[:depth]), path[depth]
    if isinstance(value, list) and isinstance(step, int):
        return f"{name} has {number_of(len(value), 'element')}"
    if not isinstance(value, dict):
        return f"{name} is {_kind(value)}"
    near = [format_key_path((key,)) for key in get_close_matches(str(step), value, 3)]
    missing = f"{name} has no {format_key_path((step,))}"
    return f"{missing}; did you mean {' or '.join(near)}?" if near else missing


def _misfit(value: Any, path: KeyPath, depth: int, wanted: str) -> InvalidError:
    problem = f"{_name(path[:depth])} is {_kind(value)}, not {wanted}"
    return InvalidError(f"config path {format_key_path(path)}", problem, "choose another path")


def _gap(value: list[Any], path: KeyPath, depth: int) -> InvalidError:
    step, count = path[depth], len(value)
    has = f"{_name(path[:depth])} has {number_of(count, 'element')}"
    problem = f"{has}, so nothing can be put at index {step}"
    hint = f'write ["{step}"] if a key is meant, or [{count}] to append'
    return InvalidError(f"config path {format_key_path(path)}", problem, hint)


def _name(path: KeyPath) -> str:
    return format_key_path(path) or "the document"


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), type(value).__name__)
