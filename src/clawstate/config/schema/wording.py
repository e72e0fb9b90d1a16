"""What is wrong with a value, in words that never repeat it: it may be a secret."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from clawstate.documents import LIST, OBJECT, REFUSED, VALUE
from clawstate.json5.path_grammar import KeyPath

Context = Mapping[str, Any]

_FIXED = {
    "bool_type": "true or false",
    "dict_type": "an object",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_attributes_type": "an object",
    "model_type": "an object",
    "string_too_short": "text that is not empty",
    "string_type": "text",
    "string_unicode": "text without half characters",
    "union_tag_not_found": '"env", "file", "exec" or "keyring"',
}
_BOUNDS: dict[str, Callable[[Context], str]] = {
    "greater_than": lambda context: f"a number above {context['gt']:g}",
    "greater_than_equal": lambda context: f"a number of at least {context['ge']:g}",
    "less_than_equal": lambda context: f"a number of at most {context['le']:g}",
    "literal_error": lambda context: str(context["expected"]).replace("'", '"'),
    "string_too_long": lambda context: f"at most {context['max_length']} characters",
    "too_long": lambda context: f"at most {context['max_length']} elements",
    "union_tag_invalid": lambda context: _tags(str(context["expected_tags"])),
    REFUSED: lambda context: str(context["expected"]),
}
_LONGEST = 100  # of a text that is compared with those that are known
_SHAPES = {VALUE: "text", OBJECT: "an object", LIST: "a list"}


@dataclass(repr=False)
class Mistake:
    """
    What stands at *path*, where one of *expected* should; if it *is_key*, the key is wrong.

    It *is_choice* if it is text, and none of the *choices*, the texts that are known.

    Lives as long as a check does: *found* may be a secret, so it is shown nowhere.
    """

    path: KeyPath
    found: Any
    expected: list[str] = field(default_factory=list)
    is_key: bool = False
    is_missing: bool = False
    is_choice: bool = False
    choices: list[str] = field(default_factory=list)


def expectation(kind: str, context: Context) -> str:
    """Return what pydantic's error type *kind* says should stand there, as a noun."""
    if kind in _BOUNDS:
        return _BOUNDS[kind](context)
    return _FIXED.get(kind, "another value")


def sentence(mistake: Mistake) -> str:
    """Return what is wrong."""
    if mistake.is_missing:
        return "is missing"
    wanted = list(dict.fromkeys(mistake.expected))
    if mistake.is_key:
        return f"the key should be {' or '.join(wanted)}"
    return f"expected {' or '.join(wanted)}, found {_kind(mistake.found, wanted)}"


def advice(mistake: Mistake) -> str:
    """Return what to do about it, or nothing."""
    if mistake.is_missing or mistake.is_key:
        return "add the key" if mistake.is_missing else "choose another"
    if mistake.is_choice and (near := _near(mistake)):
        return f"did you mean {near!r}?"
    found, wanted = mistake.found, " or ".join(dict.fromkeys(mistake.expected))
    if found is None:
        return "remove the key to get its default"
    if isinstance(found, str) and "number" in wanted and _is_number(found):
        return "write the number without quotes"
    if isinstance(found, str) and "true or false" in wanted and found in {"true", "false"}:
        return "write it without quotes"
    if isinstance(found, int | float) and wanted.startswith("text"):
        return "put it in quotes"
    if not isinstance(found, dict | list) and wanted == "a list":
        return "put it in square brackets"
    return ""


def _near(mistake: Mistake) -> str:
    """Return the one of the texts that are known that is meant, as it seems, or nothing."""
    choices = {each.lower(): each for each in mistake.choices}
    close = get_close_matches(str(mistake.found).strip().lower()[:_LONGEST], choices, 1, 0.7)
    return choices[close[0]] if close else ""


def _tags(text: str) -> str:
    names = [tag.strip("' ") for tag in text.split(",")]
    if all(name in _SHAPES for name in names):
        return " or ".join(_SHAPES[name] for name in names)
    return " or ".join(f'"{name.strip("<>")}"' for name in names)


def _kind(value: Any, wanted: list[str]) -> str:
    """Return what *value* is, told apart from what is *wanted*."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number(value, wanted)
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a longer list" if any("elements" in each for each in wanted) else "a list"
    return "text" if wanted in (["a whole number"], ["a number"], ["a list"]) else _text(value)


def _number(value: float, wanted: list[str]) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "one that is not finite"
    if wanted == ["a whole number"]:
        return "a fraction"
    return "another number" if any("number" in each for each in wanted) else "a number"


def _text(value: str) -> str:
    return "other text" if value else "empty text"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
