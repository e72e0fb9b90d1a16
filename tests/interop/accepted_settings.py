"""
Write down what the settings of an OpenClaw may be, from the JSON Schema that it prints.

    openclaw config schema > schema.json
    python tests/interop/accepted_settings.py schema.json accepted/VERSION.json [EXTENSIONS]

Kept are names, kinds and bounds, no title and no description. What stands several times is written
once, under its number in `shared`. A release whose schema leaves out the settings of its plugins
has them in the manifests of its folder EXTENSIONS. What the program checks besides is in `FORMS`.
"""

from __future__ import annotations

import copy
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
DURATION = r"(?i)^\s*(\d+(\.\d+)?|(\d+(\.\d+)?(ms|s|m|h|d))+)\s*$"
SIZE = r"(?i)^\s*\d+(\.\d+)?([kmgt]?b|[kmgt])?\s*$"
FORMS = {
    "session.maintenance.pruneAfter": DURATION,
    "session.maintenance.resetArchiveRetention": DURATION,
    "session.maintenance.rotateBytes": SIZE,
    "session.maintenance.maxDiskBytes": SIZE,
    "session.maintenance.highWaterBytes": SIZE,
    "cron.sessionRetention": DURATION,
    "cron.runLog.maxBytes": SIZE,
    "agents.defaults.heartbeat.every": DURATION,
}
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


def with_forms(schema: Any, *, is_zero_refused: bool) -> Any:
    """Return *schema* with the forms of texts that only the program knows."""
    for path, pattern in FORMS.items():
        part = schema
        for step in path.split("."):
            part = part.get("properties", {}).get(step, {})
        is_above_zero = pattern is DURATION and is_zero_refused
        for arm in part.get("anyOf", [part]):
            kinds = arm.get("type", ())
            if "string" in kinds:
                arm["pattern"] = pattern.replace("^", "^(?=.*[1-9])") if is_above_zero else pattern
            if "number" in kinds and is_above_zero:
                arm["exclusiveMinimum"] = 0
    return schema


def with_plugins(schema: Any, folder: Path) -> Any:
    """Return *schema* with the settings of the plugins whose manifests lie in *folder*."""
    entries = schema["properties"]["plugins"]["properties"]["entries"]
    for manifest in sorted(folder.glob("*/openclaw.plugin.json")):
        found = json.loads(manifest.read_text())
        entry = copy.deepcopy(entries["additionalProperties"])
        entry["properties"]["config"] = found["configSchema"]
        entries.setdefault("properties", {})[found["id"]] = entry
    return schema


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
    given, target, *folders = sys.argv[1:]
    version = [int(each) for each in Path(target).stem.split(".")]
    found = with_forms(json.loads(Path(given).read_text()), is_zero_refused=version > [2026, 7])
    for each in folders:
        found = with_plugins(found, Path(each))
    Path(target).write_text(text_of(found))
