"""A `Filter` as SQL over the table `memories`, called `m`; values are always bound."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from clawstate.clock import to_ms
from clawstate.memory.filters import TIMES, And, Condition, Filter, Node, Not, Or

Bound = tuple[str, list[Any]]
"""A piece of SQL and the values for its question marks; NULL counts as false."""

_COLUMNS = {
    "source": "m.source",
    "thread": "m.thread",
    "category": "m.category",
    "importance": "m.importance",
    "created_at": "m.timestamp",
    "updated_at": "m.updated_at",
    "expires_at": "m.expires_at",
}
_TEXTS = frozenset({"source", "thread", "category"})
_COMPARE = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

# An array or object would be compared by its JSON text; it equals no plain value.
_PLAIN = "coalesce(json_type(m.metadata, ?), '') NOT IN ('array', 'object')"
_CONTAINS = """
EXISTS (SELECT 1 FROM json_each(m.metadata, ?) e WHERE e.type NOT IN ('array', 'object')
    AND e.value IS ? AND json_type(m.metadata, ?) = 'array')
"""
_ORDERED = """
(json_type(m.metadata, ?) IN ({kinds}) AND json_extract(m.metadata, ?) {sign} ?)
"""
_FALSE: Bound = ("0", [])


def sql_of(chosen: Filter, *, scope: int | None, now_ms: int) -> Bound:
    """Return the condition that *chosen* means for a row `m`; *scope* stands for its namespace."""
    parts: list[Bound] = [("(m.expires_at IS NULL OR m.expires_at > ?)", [now_ms])]
    if scope is not None:
        parts.append(("m.scope = ?", [scope]))
    if chosen.tree is not None:
        parts.append(_sql(chosen.tree))
    return _joined("AND", parts)


def _sql(node: Node) -> Bound:
    match node:
        case And(parts):
            return _joined("AND", [_sql(each) for each in parts]) if parts else ("1", [])
        case Or(parts):
            return _joined("OR", [_sql(each) for each in parts]) if parts else _FALSE
        case Not(part):
            # A missing value makes a comparison NULL, and NOT NULL is NULL: it has to be false
            # first.
            text, values = _sql(part)
            return f"NOT coalesce({text}, 0)", values
        case Condition(field="metadata"):
            return _of_metadata(node)
        case Condition(field="tags"):
            return _of_tags(node)
        case Condition():
            return _of_column(node)


def _joined(word: str, parts: Sequence[Bound]) -> Bound:
    # In halves: SQLite counts how deep an expression is, and refuses a long chain.
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    first, one = _joined(word, parts[:middle])
    second, other = _joined(word, parts[middle:])
    return f"({first} {word} {second})", [*one, *other]


def _of_tags(condition: Condition) -> Bound:
    if condition.operator == "exists":
        negation = "" if condition.value else "NOT "
        return f"{negation}EXISTS (SELECT 1 FROM tags t WHERE t.memory_id = m.id)", []
    return "m.id IN (SELECT t.memory_id FROM tags t WHERE t.tag = ?)", [condition.value]


def _of_column(condition: Condition) -> Bound:
    field, operator, wanted = condition.field, condition.operator, condition.value
    column = _COLUMNS[field]
    if operator == "exists":
        return f"{column} IS {'NOT ' if wanted else ''}NULL", []
    if operator == "contains":
        return _FALSE
    given = wanted if isinstance(wanted, tuple) else (wanted,)
    # A column of text would take a number for its digits.
    fitting = [each for each in given if isinstance(each, str) == (field in _TEXTS)]
    values: list[Any] = [each for each in fitting if each is not None]
    if field in TIMES:
        values = [to_ms(each) for each in values]
    if operator in _COMPARE:
        return (f"{column} {_COMPARE[operator]} ?", values) if values else _FALSE
    parts: list[Bound] = [(f"{column} {_one_of(values)}", values)] if values else []
    # `column IN (NULL)` is never true in SQL.
    if None in given:
        parts.append((f"{column} IS NULL", []))
    return _joined("OR", parts) if parts else _FALSE


def _of_metadata(condition: Condition) -> Bound:
    # Quoted, or a key such as `a[0]` would be read as a path of its own.
    path = "$" + "".join("." + json.dumps(part, ensure_ascii=False) for part in condition.path)
    wanted = condition.value
    match condition.operator:
        case "eq":
            return _any_of(path, [wanted])
        case "in":
            return _any_of(path, wanted if isinstance(wanted, tuple) else [])
        case "exists":
            return f"json_type(m.metadata, ?) IS {'NOT ' if wanted else ''}NULL", [path]
        case "contains":
            return _CONTAINS, [path, wanted, path]
        case operator:
            kinds = "'text'" if isinstance(wanted, str) else "'integer', 'real'"
            return _ORDERED.format(kinds=kinds, sign=_COMPARE[operator]), [path, path, wanted]


def _any_of(path: str, wanted: Sequence[Any]) -> Bound:
    values = [each for each in wanted if each is not None]
    parts: list[Bound] = []
    if values:
        parts.append((f"json_extract(m.metadata, ?) {_one_of(values)}", [path, *values]))
    if len(values) < len(wanted):
        parts.append(("json_extract(m.metadata, ?) IS NULL", [path]))
    return _joined("AND", [(_PLAIN, [path]), _joined("OR", parts)]) if parts else _FALSE


def _one_of(values: Sequence[Any]) -> str:
    return "= ?" if len(values) == 1 else f"IN ({', '.join('?' * len(values))})"
