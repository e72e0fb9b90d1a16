"""
What an OpenClaw accepts in its configuration; for one thing that it does not, it refuses all.

The files in `accepted/` hold names, kinds and bounds of two releases, as `openclaw config schema`
prints them: the last of the file era that is supported, and the newest of the SQLite era.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from clawstate.openclaw.owner import Era, Owner

Path = tuple[str | int, ...]

VERSIONS = {Era.FILES: "2026.2.26", Era.SQLITE: "2026.9.6"}
"""The release whose settings are those of an era."""

_KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
}


class Problem(Enum):
    """Why something is refused."""

    UNKNOWN = "unknown"
    VALUE = "value"
    MISSING = "missing"


class Refusal(NamedTuple):
    """What stands at *path*, or is missing there, makes the whole configuration invalid."""

    path: Path
    problem: Problem


@dataclass(frozen=True, slots=True, eq=False)
class Accepted:
    """What the OpenClaw *version* accepts."""

    version: str
    _root: dict[str, Any]
    _shared: list[Any]

    def refusals(self, value: Any) -> tuple[Refusal, ...]:
        """Return what is refused of the configuration *value*, nothing below of what is."""
        # Several schemas may apply to one value and refuse it for the same.
        return tuple(dict.fromkeys(self._check(value, self._root, ())))

    def _check(self, value: Any, schema: Any, path: Path) -> Iterator[Refusal]:
        if isinstance(schema, bool):
            if not schema:
                yield Refusal(path, Problem.UNKNOWN)
            return
        rules = self._shared[schema] if isinstance(schema, int) else schema
        if not _is_fitting(value, rules):
            yield Refusal(path, Problem.VALUE)
            return
        yield from self._of_arms(value, rules, path)
        if isinstance(value, dict):
            yield from self._of_members(value, rules, path)
        if isinstance(value, list) and "items" in rules:
            for index, item in enumerate(value):
                yield from self._check(item, rules["items"], (*path, index))

    def _of_arms(self, value: Any, rules: dict[str, Any], path: Path) -> Iterator[Refusal]:
        for each in rules.get("allOf", ()):
            yield from self._check(value, each, path)
        if "anyOf" not in rules:
            return
        arms = [list(self._check(value, arm, path)) for arm in rules["anyOf"]]
        near = [arm for arm in arms if all(each.path != path for each in arm)]
        if all(arms):
            # The arm that it was meant for is the one that refuses least of it.
            yield from min(near, key=len, default=[Refusal(path, Problem.VALUE)])

    def _of_members(
        self, value: dict[str, Any], rules: dict[str, Any], path: Path
    ) -> Iterator[Refusal]:
        known = rules.get("properties", {})
        rest = rules.get("additionalProperties", True)
        for key, item in value.items():
            below = known.get(key, rest)
            # A key of a wrong form is as unknown as any other.
            if key not in known and any(self._check(key, rules.get("propertyNames", {}), ())):
                below = False
            yield from self._check(item, below, (*path, key))
        for key in rules.get("required", ()):
            if key not in value:
                yield Refusal((*path, key), Problem.MISSING)


def find_accepted(owner: Owner) -> Accepted | None:
    """Return what the program accepts that *owner* says the directory is of, if it is of one."""
    version = VERSIONS.get(owner.era)
    return None if version is None else read_accepted(version)


@cache
def read_accepted(version: str) -> Accepted:
    """Return what *version*, one of `VERSIONS`, accepts."""
    file = resources.files("clawstate.openclaw") / "accepted" / f"{version}.json"
    document = json.loads(file.read_text("utf-8"))
    return Accepted(version, document["root"], document["shared"])


def _is_fitting(value: Any, rules: dict[str, Any]) -> bool:
    kinds = rules.get("type", ())
    if kinds and not any(_is_of(value, kind) for kind in _as_list(kinds)):
        return False
    if "const" in rules and not _is_same(value, rules["const"]):
        return False
    if "enum" in rules and not any(_is_same(value, each) for each in rules["enum"]):
        return False
    if isinstance(value, str):
        return _is_long(len(value), rules, "Length") and _is_like(value, rules.get("pattern", ""))
    if isinstance(value, list):
        return _is_long(len(value), rules, "Items")
    return isinstance(value, bool) or not isinstance(value, int | float) or _is_in(value, rules)


def _as_list(kinds: str | list[str]) -> list[str]:
    return [kinds] if isinstance(kinds, str) else kinds


def _is_of(value: Any, kind: str) -> bool:
    if kind in {"number", "integer"}:
        # JSON Schema: a number without a fraction is an integer, also when it is written as 1.0.
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        # JSON5 has Infinity and NaN as well, which have no fraction either, but are no integers.
        return is_number and (
            kind == "number" or isinstance(value, int) or float(value).is_integer()
        )
    return isinstance(value, _KINDS[kind])


def _is_same(one: Any, other: Any) -> bool:
    # For Python True is 1; in JSON they are two values.
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _is_long(length: int, rules: dict[str, Any], what: str) -> bool:
    least, most = rules.get(f"min{what}", 0), rules.get(f"max{what}", length)
    return bool(least <= length <= most)


def _is_like(text: str, pattern: str) -> bool:
    # As JavaScript searches: anywhere in the text, and `\d` and `\w` are ASCII.
    return re.search(pattern, text, re.ASCII) is not None


def _is_in(number: float, rules: dict[str, Any]) -> bool:
    above = rules.get("exclusiveMinimum")
    least, most = rules.get("minimum", number), rules.get("maximum", number)
    return bool((above is None or number > above) and least <= number <= most)
