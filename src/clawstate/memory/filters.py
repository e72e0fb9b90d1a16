"""`Filter`: which records a call speaks of. One meaning for every backend."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clawstate.clock import from_iso, is_moment
from clawstate.errors import InvalidError
from clawstate.memory.validation import MAX_SOURCE, check_name, check_unicode, seconds

Scalar = str | int | float | bool | None

OPERATORS = ("eq", "ne", "in", "not_in", "gt", "gte", "lt", "lte", "exists", "contains")
"""What a condition on metadata may ask; a leading `$` is accepted, as other tools write it."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One demand on the metadata value at `path`; `value` is a tuple for `in` and `not_in`."""

    path: tuple[str, ...]
    operator: str
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """
    The records of one namespace (or of all, when it is None) that meet every demand.

    `tags`: the record has all of them. `since` and `until`: created at or after, and before
    (seconds). Expired records never match.
    """

    namespace: str | None = "default"
    tags: tuple[str, ...] = ()
    source: str | None = None
    conditions: tuple[Condition, ...] = ()
    since: float | None = None
    until: float | None = None

    @property
    def is_plain(self) -> bool:
        """True when nothing but the namespace is asked for."""
        return not (
            self.tags
            or self.conditions
            or self.source is not None
            or self.since is not None
            or self.until is not None
        )


def filter_from(
    *,
    namespace: str | None = "default",
    tags: Iterable[str] | None = None,
    source: str | None = None,
    where: Mapping[str, Any] | None = None,
    since: float | str | datetime | None = None,
    until: float | str | datetime | None = None,
) -> Filter:
    """
    Return the filter that a caller's arguments describe.

    *where* maps a metadata key (`"a.b"` reaches into objects) to a value (equality), a list
    (membership) or a mapping of `OPERATORS` to values (`{"year": {"gte": 2020, "lt": 2024}}`).
    Raises `InvalidError` for anything else.
    """
    if isinstance(tags, str):
        tags = (tags,)
    elif tags is not None and not isinstance(tags, Iterable):
        raise InvalidError("tags", f"is {type(tags).__name__}", "give a list, such as ['work']")
    wanted = tuple(tags or ())
    for tag in wanted:
        check_name("tag", tag)
    if namespace is not None:
        check_name("namespace", namespace)
    if source is not None:
        check_name("source", source, limit=MAX_SOURCE)
    return Filter(
        namespace=namespace,
        tags=tuple(dict.fromkeys(wanted)),
        source=source,
        conditions=tuple(_conditions(where or {})),
        since=_moment("since", since),
        until=_moment("until", until),
    )


def _conditions(where: Mapping[str, Any]) -> Iterable[Condition]:
    if not isinstance(where, Mapping):
        raise InvalidError("where", f"is {type(where).__name__}, not a mapping")
    for key, demand in where.items():
        path = _path(key)
        if isinstance(demand, Mapping):
            if not demand:
                raise InvalidError(f"where.{key}", "is empty", f"use one of {', '.join(OPERATORS)}")
            for operator, value in demand.items():
                yield _condition(path, str(operator).removeprefix("$"), value)
        elif isinstance(demand, list | tuple | set | frozenset):
            yield _condition(path, "in", demand)
        else:
            yield _condition(path, "eq", demand)


def _path(key: str) -> tuple[str, ...]:
    check_unicode("where", str(key))
    path = tuple(str(key).split("."))
    if not all(path) or any('"' in part or "\0" in part for part in path):
        raise InvalidError("where", f"{key!r} is not a metadata key", "write it as a.b.c")
    return path


def _condition(path: tuple[str, ...], operator: str, value: Any) -> Condition:
    name = f"where.{'.'.join(path)}"
    if operator not in OPERATORS:
        raise InvalidError(name, f"no operator {operator!r}", f"use one of {', '.join(OPERATORS)}")
    if operator in {"in", "not_in"}:
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise InvalidError(name, f"{operator!r} wants a list")
        return Condition(path, operator, tuple(_scalar(name, each) for each in value))
    if operator == "exists" and not isinstance(value, bool):
        raise InvalidError(name, "'exists' wants true or false")
    if operator in {"gt", "gte", "lt", "lte"} and (value is None or isinstance(value, bool)):
        raise InvalidError(name, f"{operator!r} wants a number or a string")
    return Condition(path, operator, _scalar(name, value))


def _scalar(name: str, value: Any) -> Scalar:
    if isinstance(value, str):
        check_unicode(name, value)
        return value
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, int | float):
        raise InvalidError(name, f"cannot compare with {type(value).__name__}", "use plain values")
    if value != value:  # noqa: PLR0124 - the test for NaN
        raise InvalidError(name, "cannot compare with NaN")
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        # As JSON numbers beyond 64 bits are read by the database.
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return value


def _moment(name: str, value: float | str | datetime | None) -> float | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, str):
        return from_iso(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidError(name, "is not a time", "give seconds, ISO text or a datetime")
    bound = seconds(name, value)
    if not is_moment(bound):
        raise InvalidError(name, "lies outside of the years 1970 to 9999", "use seconds")
    return float(bound)


def matches(metadata: Mapping[str, Any], conditions: Sequence[Condition]) -> bool:
    """Tell whether *metadata* meets every one of *conditions*: the meaning engines must share."""
    return all(_meets(metadata, condition) for condition in conditions)


def _meets(metadata: Mapping[str, Any], condition: Condition) -> bool:
    value, found = _at(metadata, condition.path)
    wanted = condition.value
    match condition.operator:
        case "eq":
            return _equal(value, wanted)
        case "ne":
            return not _equal(value, wanted)
        case "in":
            return any(_equal(value, each) for each in _many(wanted))
        case "not_in":
            return not any(_equal(value, each) for each in _many(wanted))
        case "exists":
            return found == wanted
        case "contains":
            return isinstance(value, list) and any(_equal(each, wanted) for each in value)
        case _:
            return _ordered(value, condition.operator, wanted)


def _at(metadata: Mapping[str, Any], path: tuple[str, ...]) -> tuple[Any, bool]:
    value: Any = metadata
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return None, False
        value = value[part]
    return value, True


def _many(value: Any) -> tuple[Scalar, ...]:
    return value if isinstance(value, tuple) else (value,)


def _equal(value: Any, wanted: Any) -> bool:
    same_kind = isinstance(value, str) == isinstance(wanted, str)
    return same_kind and not isinstance(value, list | Mapping) and bool(value == wanted)


def _ordered(value: Any, operator: str, wanted: Any) -> bool:
    numbers = isinstance(value, int | float) and isinstance(wanted, int | float)
    texts = isinstance(value, str) and isinstance(wanted, str)
    if not (numbers or texts) or isinstance(value, bool):
        return False
    answers: dict[str, bool] = {
        "gt": value > wanted,
        "gte": value >= wanted,
        "lt": value < wanted,
        "lte": value <= wanted,
    }
    return answers[operator]
