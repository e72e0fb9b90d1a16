"""
Write down what the settings of an OpenClaw may be, from the JSON Schema that it prints.

    openclaw config schema > schema.json
    python tests/interop/accepted_settings.py schema.json accepted/VERSION.json

Kept are names, kinds and bounds, no title and no description. What stands several times is written
once, under its number in `shared`.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

_PLAIN = ("type", "enum", "const", "minimum", "exclusiveMinimum", "maximum", "minLength")
_LIMITS = ("maxLength", "minItems", "maxItems")
_MAPS = ("properties",)
_ONE = ("items", "additionalProperties", "propertyNames")
_SEVERAL = ("anyOf", "oneOf", "allOf")
_LARGEST = 2**53 - 1  # every whole number of JavaScript: no bound at all
_WORTH_SHARING = 24  # characters


def stripped(schema: Any) -> Any:
    """Return what *schema* says about names, kinds and bounds."""
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if (key in (*_PLAIN, *_LIMITS) and value != _LARGEST) or (
            key == "pattern" and _is_python(value)
        ):
            kept[key] = value
        elif key in _MAPS:
            kept[key] = {name: stripped(each) for name, each in value.items()}
        elif key in _ONE and not isinstance(value, list):
            kept[key] = stripped(value)
        elif key in _SEVERAL:
            kept["anyOf" if key == "oneOf" else key] = [stripped(each) for each in value]
    required = [name for name in schema.get("required", ()) if not _has_default(schema, name)]
    return kept | ({"required": required} if required else {})


def shared(schema: Any) -> dict[str, Any]:
    """Return *schema* with the parts that it has several times as numbers into a list."""
    counts: Counter[str] = Counter()
    _count(schema, counts)
    numbers: dict[str, int] = {}
    parts: list[Any] = []

    def written(part: Any) -> Any:
        if not isinstance(part, dict):
            return part
        text = _text(part)
        if counts[text] < 2 or len(text) <= _WORTH_SHARING:
            return _mapped(part, written)
        if text not in numbers:
            whole = _mapped(part, written)
            numbers[text] = len(parts)
            parts.append(whole)
        return numbers[text]

    return {"root": _mapped(schema, written), "shared": parts}


def _count(part: Any, counts: Counter[str]) -> None:
    if isinstance(part, dict):
        counts[_text(part)] += 1
        if counts[_text(part)] == 1:
            _mapped(part, lambda each: _count(each, counts))


def _mapped(part: dict[str, Any], change: Any) -> dict[str, Any]:
    mapped: dict[str, Any] = {}
    for key, value in part.items():
        if key in _MAPS:
            mapped[key] = {name: change(each) for name, each in value.items()}
        elif key in _ONE:
            mapped[key] = change(value)
        elif key in _SEVERAL:
            mapped[key] = [change(each) for each in value]
        else:
            mapped[key] = value
    return mapped


def _text(part: Any) -> str:
    return json.dumps(part, sort_keys=True)


def _has_default(schema: Any, name: str) -> bool:
    below = schema.get("properties", {}).get(name)
    return isinstance(below, dict) and "default" in below


def _is_python(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def text_of(schema: Any) -> str:
    """Return the file for *schema*: one line a section, and one a shared part."""
    whole = shared(stripped(schema))
    sections = whole["root"].pop("properties")
    lines = [
        "{",
        f'"root": {json.dumps(whole["root"])[:-1]}, "properties": {{',
        *_listed([f'"{key}": {_compact(each)}' for key, each in sorted(sections.items())]),
        "}},",
        '"shared": [',
        *_listed([_compact(each) for each in whole["shared"]]),
        "]",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _compact(part: Any) -> str:
    return json.dumps(part, separators=(",", ":"))


def _listed(items: list[str]) -> list[str]:
    return [f"{item}," for item in items[:-1]] + items[-1:]


if __name__ == "__main__":
    given, target = sys.argv[1:]
    Path(target).write_text(text_of(json.loads(Path(given).read_text())))
