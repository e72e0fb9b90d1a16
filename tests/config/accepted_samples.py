"""Configurations made of what a release of OpenClaw accepts: each key, and each kind of value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clawstate.openclaw.accepted import Accepted

_DEEPEST = 12
_FREE = "name"


def samples(accepted: Accepted) -> Iterator[dict[str, Any]]:
    """Yield configurations with one thing each that *accepted* names, and what that requires."""
    for each in _Samples(accepted._shared).of(accepted._root, 0):
        if not accepted.refusals(each):
            yield each


class _Samples:
    def __init__(self, shared: list[Any]) -> None:
        self._shared = shared

    def of(self, schema: Any, depth: int) -> Iterator[Any]:
        if isinstance(schema, bool):
            yield from ["text"] if schema else []
            return
        rules = self._shared[schema] if isinstance(schema, int) else schema
        if depth > _DEEPEST:
            return
        if "const" in rules or "enum" in rules:
            yield from rules.get("enum", [rules.get("const")])
            return
        for arm in rules.get("anyOf", ()):
            yield from self.of(arm, depth + 1)
        kinds = rules.get("type", "object" if "properties" in rules else [])
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            yield from self._of_kind(kind, rules, depth)

    def _of_kind(self, kind: str, rules: dict[str, Any], depth: int) -> Iterator[Any]:
        if kind == "boolean":
            yield True
        elif kind in {"number", "integer"}:
            yield max(rules.get("minimum", 1), rules.get("exclusiveMinimum", 0) + 1)
        elif kind == "string":
            yield "x" * max(1, rules.get("minLength", 1))
        elif kind == "array":
            yield from ([each] for each in self.of(rules.get("items", True), depth + 1))
        elif kind == "object":
            yield from self._objects(rules, depth)

    def _objects(self, rules: dict[str, Any], depth: int) -> Iterator[dict[str, Any]]:
        known = rules.get("properties", {})
        base: dict[str, Any] = {}
        for key in rules.get("required", ()):
            base[key] = next(self.of(known.get(key, True), depth + 1), None)
        yield dict(base)
        rest = rules.get("additionalProperties", True)
        for key, below in [*known.items(), *([] if isinstance(rest, bool) else [(_FREE, rest)])]:
            yield from ({**base, key: each} for each in self.of(below, depth + 1))
