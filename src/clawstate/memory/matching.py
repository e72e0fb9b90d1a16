"""Which records a `Filter` lets through: the meaning that all engines share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from clawstate.clock import to_ms
from clawstate.memory.filters import And, Condition, Filter, Node, Not, Or, paths_of
from clawstate.memory.records import MemoryRecord


def lets_through(chosen: Filter, record: MemoryRecord, *, now: float) -> bool:
    """Tell whether *record* is one of *chosen* at *now*: the meaning that engines must share."""
    return (
        chosen.namespace in {None, record.namespace}
        and (record.expires_at is None or to_ms(record.expires_at) > to_ms(now))
        and (chosen.tree is None or matches(record, chosen.tree))
    )


def matches(record: MemoryRecord, node: Node) -> bool:
    """Tell whether *record* meets *node*."""
    match node:
        case And(parts):
            return all(matches(record, each) for each in parts)
        case Or(parts):
            return any(matches(record, each) for each in parts)
        case Not(part):
            return not matches(record, part)
        case Condition():
            return _meets(record, node)


def _meets(record: MemoryRecord, condition: Condition) -> bool:
    value, found = value_of(record, condition)
    wanted = condition.value
    match condition.operator:
        case "eq":
            return _equal(value, wanted)
        case "in":
            return isinstance(wanted, tuple) and any(_equal(value, each) for each in wanted)
        case "exists":
            return found == wanted
        case "below":
            return isinstance(value, str) and value.startswith(str(wanted))
        case "like":
            return isinstance(value, str) and _pattern(str(wanted)).fullmatch(value) is not None
        case "contains":
            return isinstance(value, list | tuple) and any(_equal(each, wanted) for each in value)
        case _:
            return _compare_order(value, condition.operator, wanted)


def value_of(record: MemoryRecord, condition: Condition) -> tuple[Any, bool]:
    """Return the value that *condition* speaks of, and whether there is one."""
    if condition.field != "metadata":
        value = getattr(record, condition.field)
        return value, value is not None and value != ()
    for path in paths_of(condition.path):
        value = record.metadata
        for part in path:
            if not isinstance(value, Mapping) or part not in value:
                break
            value = value[part]
        else:
            return value, True
    return None, False


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    parts = (re.escape(each) for each in glob)
    return re.compile("".join(parts).replace("\\*", ".*").replace("\\?", "."), re.DOTALL)


def _equal(value: Any, wanted: Any) -> bool:
    # To Python True is 1; in JSON they are two.
    same_kind = all(isinstance(value, kind) == isinstance(wanted, kind) for kind in (str, bool))
    return same_kind and not isinstance(value, list | tuple | Mapping) and bool(value == wanted)


def _compare_order(value: Any, operator: str, wanted: Any) -> bool:
    numbers = isinstance(value, int | float) and isinstance(wanted, int | float)
    # Python orders texts by code point, SQLite by the bytes of UTF-8: that is the same order.
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
