"""A `Filter` as SQL over the table `memories`, called `m`; values are always bound."""

from __future__ import annotations

import json
from typing import Any

from clawstate.clock import to_ms
from clawstate.memory.filters import Condition, Filter

Bound = tuple[str, list[Any]]
"""A piece of SQL and the values for its question marks."""

# An array or object would be compared by its JSON text; it equals no plain value.
_EQUAL = """
(coalesce(json_type(m.metadata, ?), '') NOT IN ('array', 'object')
    AND json_extract(m.metadata, ?) IS ?)
"""
_CONTAINS = """
EXISTS (SELECT 1 FROM json_each(m.metadata, ?) e WHERE e.type NOT IN ('array', 'object')
    AND e.value IS ? AND json_type(m.metadata, ?) = 'array')
"""
_ORDERED = """
coalesce(json_type(m.metadata, ?) IN ({kinds}) AND json_extract(m.metadata, ?) {sign} ?, 0)
"""
_COMPARE = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def sql_of(chosen: Filter, *, scope: int | None, now_ms: int) -> Bound:
    """Return the condition that *chosen* means for a row `m`; *scope* stands for its namespace."""
    parts: list[str] = ["(m.expires_at IS NULL OR m.expires_at > ?)"]
    values: list[Any] = [now_ms]
    if scope is not None:
        parts.append("m.scope = ?")
        values.append(scope)
    for tag in chosen.tags:
        parts.append("m.id IN (SELECT t.memory_id FROM tags t WHERE t.tag = ?)")
        values.append(tag)
    if chosen.source is not None:
        parts.append("m.source = ?")
        values.append(chosen.source)
    for operator, moment in ((">=", chosen.since), ("<", chosen.until)):
        if moment is not None:
            parts.append(f"m.timestamp {operator} ?")
            values.append(to_ms(moment))
    for condition in chosen.conditions:
        text, bound = _condition(condition)
        parts.append(text)
        values.extend(bound)
    return " AND ".join(parts), values


def _condition(condition: Condition) -> Bound:
    path = "$" + "".join("." + json.dumps(part, ensure_ascii=False) for part in condition.path)
    wanted = condition.value
    match condition.operator:
        case "eq":
            return _equal(path, wanted)
        case "ne":
            text, values = _equal(path, wanted)
            return f"NOT {text}", values
        case "in":
            return _any_of(path, wanted)
        case "not_in":
            text, values = _any_of(path, wanted)
            return f"NOT {text}", values
        case "exists":
            negation = "NOT" if wanted else ""
            return f"json_type(m.metadata, ?) IS {negation} NULL", [path]
        case "contains":
            return _CONTAINS, [path, wanted, path]
        case operator:
            kinds = "'text'" if isinstance(wanted, str) else "'integer', 'real'"
            return _ORDERED.format(kinds=kinds, sign=_COMPARE[operator]), [path, path, wanted]


def _equal(path: str, wanted: Any) -> Bound:
    return _EQUAL, [path, path, wanted]


def _any_of(path: str, wanted: Any) -> Bound:
    values: list[Any] = []
    parts: list[str] = []
    for each in wanted:
        text, bound = _equal(path, each)
        parts.append(text)
        values.extend(bound)
    return f"({' OR '.join(parts) or '0'})", values
