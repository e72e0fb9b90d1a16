"""Which keys may stand where, read off the documents; finds the keys that nobody knows."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from clawstate.json5.path_grammar import KeyPath


class UnknownKey(NamedTuple):
    """A key that nobody knows, and those that are known in its place."""

    path: KeyPath
    known: tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """
    The keys of an object, or the elements of a list.

    *rest* is what stands under any other key, *items* what stands in a list; `None` for none that
    are known. *kinds* are the objects of a union, by the value of their key *tag*.
    """

    keys: Mapping[str, Shape] = field(default_factory=dict)
    rest: Shape | None = None
    items: Shape | None = None
    tag: str = ""
    kinds: Mapping[str, Shape] = field(default_factory=dict)


ANYTHING = Shape()
"""A scalar, or what is not looked into."""


def unknown_keys(value: Any, model: type[BaseModel]) -> Iterator[UnknownKey]:
    """Yield the unknown keys of *value*, read as a *model*, in their order; none below them."""
    return _unknown((), value, shape_of(model))


def is_named(path: KeyPath, model: type[BaseModel]) -> bool:
    """Tell whether each key of *path* is one that the *model* names, and no name of the user's."""
    shape = shape_of(model)
    for step in path:
        below = shape.keys.get(step) if isinstance(step, str) else shape.items
        if below is None:
            return False
        shape = below
    return True


def _unknown(path: KeyPath, value: Any, shape: Shape) -> Iterator[UnknownKey]:
    if isinstance(value, list) and shape.items is not None:
        for index, item in enumerate(value):
            yield from _unknown((*path, index), item, shape.items)
    if not isinstance(value, dict):
        return
    if shape.kinds:
        kind = value.get(shape.tag)
        shape = shape.kinds.get(kind, ANYTHING) if isinstance(kind, str) else ANYTHING
    if not shape.keys and shape.rest is None:
        return
    for key, item in value.items():
        below = shape.keys.get(key, shape.rest)
        if below is None:
            yield UnknownKey((*path, key), tuple(shape.keys))
        else:
            yield from _unknown((*path, key), item, below)


@cache
def shape_of(annotation: Any) -> Shape:
    """Return the shape of values of the type *annotation*."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return shape_of(arguments[0])
    if origin in {Union, types.UnionType}:
        return _union([shape_of(each) for each in arguments])
    if origin is list:
        return Shape(items=shape_of(arguments[0]))
    if origin is dict:
        return Shape(rest=shape_of(arguments[1]))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _document(annotation)
    return ANYTHING


def _document(model: type[BaseModel]) -> Shape:
    named = model.model_fields.items()
    fields: dict[str, Any] = {each.alias or name: each.annotation for name, each in named}
    shape = Shape({key: shape_of(annotation) for key, annotation in fields.items()}, _rest(model))
    for key, annotation in fields.items():
        values = get_args(annotation) if get_origin(annotation) is Literal else ()
        if len(values) == 1:
            return Shape(tag=key, kinds={values[0]: shape})
    return shape


def _rest(model: type[BaseModel]) -> Shape | None:
    """Return the shape under keys that the *model* does not name, if it has a word on them."""
    extra = get_type_hints(model).get("__pydantic_extra__")
    return shape_of(get_args(extra)[1]) if get_origin(extra) is dict else None


def _union(shapes: list[Shape]) -> Shape:
    return Shape(
        keys={key: below for shape in shapes for key, below in shape.keys.items()},
        rest=next((shape.rest for shape in shapes if shape.rest is not None), None),
        items=next((shape.items for shape in shapes if shape.items is not None), None),
        tag=next((shape.tag for shape in shapes if shape.tag), ""),
        kinds={kind: below for shape in shapes for kind, below in shape.kinds.items()},
    )
