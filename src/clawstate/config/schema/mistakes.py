"""Which value pydantic complains about, and what should stand there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from clawstate.config.schema.wording import Mistake, expectation
from clawstate.json5.path_grammar import KeyPath

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
