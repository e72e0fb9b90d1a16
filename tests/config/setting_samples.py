"""A value for every setting that the schema describes, each in every form that it may have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clawstate.config.schema.root import json_schema
from clawstate.config.schema.storage import KEY, STORE
from clawstate.quantities import DURATION, SIZE

Path = tuple[str | int, ...]

_TEXTS = {DURATION: "30d", SIZE: "10mb", STORE: "sqlite", KEY: "off"}


def samples() -> Iterator[tuple[Path, Any]]:
    """Yield key paths, each with a value that may stand there."""
    schema = json_schema()
    yield from _samples(schema, schema["$defs"])


def _samples(rules: dict[str, Any], known: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
    if "$ref" in rules:
        yield from _samples(known[rules["$ref"].rpartition("/")[2]], known)
    elif arms := rules.get("anyOf") or rules.get("oneOf"):
        for arm in arms:
            yield from _samples(arm, known)
    elif "const" in rules or "enum" in rules:
        yield from (((), each) for each in rules.get("enum", [rules.get("const")]))
    elif rules.get("type") == "array":
        for path, value in _samples(rules.get("items", {}), known):
            yield (0, *path), value
    elif rules.get("type") == "object":
        yield from _members(rules, known)
    else:
        yield from (((), each) for each in _scalars(rules))


def _members(rules: dict[str, Any], known: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
    for key, below in rules.get("properties", {}).items():
        for path, value in _samples(below, known):
            yield (key, *path), value
    rest = rules.get("additionalProperties")
    if isinstance(rest, dict) and rest:
        for path, value in _samples(rest, known):
            yield ("name", *path), value
    elif not rules.get("properties"):
        yield (), {}


def _scalars(rules: dict[str, Any]) -> list[Any]:
    kind = rules.get("type")
    if kind == "string":
        return [_TEXTS.get(rules.get("pattern", ""), "abc")]
    if kind == "boolean":
        return [True, False]
    if kind in {"integer", "number"}:
        least = rules.get("minimum", rules.get("exclusiveMinimum", 0) + 1)
        return [rules.get("maximum", least)]
    return ["anything"]
