"""Every place that the JSON Schema describes, for tests that try them all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Spot:
    """A place of the configuration, its schema, and what must stand beside it to get there."""

    path: Path
    schema: dict[str, Any]
    beside: tuple[tuple[Path, Any], ...] = ()

    def __str__(self) -> str:
        return ".".join(map(str, self.path))

    def config(self, value: Any) -> Any:
        """Return a configuration with *value* in this place."""
        root: Any = {}
        for path, item in (*self.beside, (self.path, value)):
            _put(root, path, item)
        return root


def spots(schema: dict[str, Any]) -> Iterator[Spot]:
    """Yield every place below the root."""
    yield from _below(Spot((), schema), schema["$defs"])


def arms(schema: dict[str, Any], defs: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the alternatives of *schema*, with its references followed."""
    if "$ref" in schema:
        return arms(defs[schema["$ref"].rpartition("/")[2]], defs)
    choices = schema.get("anyOf") or schema.get("oneOf")
    return [arm for each in choices for arm in arms(each, defs)] if choices else [schema]


def _below(spot: Spot, defs: dict[str, Any]) -> Iterator[Spot]:
    for arm in arms(spot.schema, defs):
        properties = arm.get("properties", {})
        beside = [
            ((*spot.path, key), below["const"])
            for key, below in properties.items()
            if "const" in below
        ]
        inside = {**properties}
        for key, part in (("default", "patternProperties"), ("any-key", "additionalProperties")):
            below = arm.get(part)
            if isinstance(below, dict):
                inside[key] = next(iter(below.values())) if key == "default" else below
        steps = [*inside.items(), *([(0, arm["items"])] if arm.get("items") else [])]
        for step, below in steps:
            path = (*spot.path, step)
            apart = tuple(each for each in (*spot.beside, *beside) if each[0] != path)
            found = Spot(path, below, apart)
            yield found
            yield from _below(found, defs)


def _put(root: Any, path: Path, value: Any) -> None:
    holder = root
    for step, after in pairwise(path):
        empty: Any = [] if isinstance(after, int) else {}
        if isinstance(step, int):
            if not holder:
                holder.append(empty)
            holder = holder[0]
        else:
            holder = holder.setdefault(step, empty)
    if isinstance(path[-1], int):
        holder.append(value)
    else:
        holder[path[-1]] = value
