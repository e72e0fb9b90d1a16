"""Which value pydantic complains about, in words that never repeat it: it may be a secret."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from clawstate.documents import LIST, OBJECT, REFUSED, VALUE
from clawstate.json5.path_grammar import KeyPath
from clawstate.quantities import number_of

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
    "string_too_long": lambda context: f"at most {_most(context, 'character')}",
    "too_long": lambda context: f"at most {_most(context, 'element')}",
    "union_tag_invalid": lambda context: _tags(str(context["expected_tags"])),
    REFUSED: lambda context: str(context["expected"]),
}


def _most(context: Context, what: str) -> str:
    return number_of(int(context["max_length"]), what)


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
    """Return what *value* is, in words that differ from those of what is *wanted*."""
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


_SOURCE = "source"
_QUOTED = re.compile("'<?([^'<>]*)>?'")
_OF_CHOICES = frozenset({"literal_error", "union_tag_invalid"})


def mistakes_of(value: Any, errors: Iterable[Mapping[str, Any]]) -> list[Mistake]:
    """Return the mistakes in *value*, each once, however many arms of a union refuse it."""
    mistakes: dict[tuple[KeyPath, bool], Mistake] = {}
    for error in errors:
        each = _mistake(value, error)
        first = mistakes.setdefault((each.path, each.is_key), each)
        first.is_choice |= each.is_choice
        first.choices += _choices(error)
        first.expected.append(expectation(error["type"], error.get("ctx", {})))
    return list(mistakes.values())


def _mistake(value: Any, error: Mapping[str, Any]) -> Mistake:
    kind, location, culprit = error["type"], error["loc"], error["input"]
    if kind == "missing":
        path = data_path(value, location[:-1], culprit)
        return Mistake((*path, location[-1]), None, is_missing=True)
    path = data_path(value, location, culprit)
    if kind.startswith("union_tag") and isinstance(culprit, dict):
        missing = _SOURCE not in culprit
        found = culprit.get(_SOURCE)
        is_choice = isinstance(found, str)
        return Mistake((*path, _SOURCE), found, is_missing=missing, is_choice=is_choice)
    is_switch = culprit in {"true", "false"} if isinstance(culprit, str) else True
    is_choice = kind == "literal_error" and not is_switch
    return Mistake(path, culprit, is_key=location[-1:] == ("[key]",), is_choice=is_choice)


def _choices(error: Mapping[str, Any]) -> list[str]:
    context = error.get("ctx", {})
    known = str(context.get("expected_tags" if "expected_tags" in context else "expected", ""))
    return _QUOTED.findall(known) if error["type"] in _OF_CHOICES else []


def data_path(value: Any, location: tuple[str | int, ...], culprit: Any) -> KeyPath:
    """
    Return the path in *value* that pydantic means by *location*.

    A location also names the arms of unions. So each step is read in both ways, as a key and as
    an arm; the reading that has the most keys is right, and among those the one that ends at the
    very *culprit*.
    """
    readings = list(_readings(value, location))
    longest = max(len(path) for path, _ in readings)
    best = [reading for reading in readings if len(reading[0]) == longest]
    return next((path for path, end in best if end is culprit), best[0][0])


def _readings(value: Any, location: tuple[str | int, ...]) -> Iterator[tuple[KeyPath, Any]]:
    if not location:
        yield (), value
        return
    step, rest = location[0], location[1:]
    if _has(value, step):
        for path, end in _readings(value[step], rest):
            yield (step, *path), end
    yield from _readings(value, rest)


def _has(value: Any, step: str | int) -> bool:
    if isinstance(value, dict):
        return step in value
    return isinstance(value, list) and isinstance(step, int) and step < len(value)
