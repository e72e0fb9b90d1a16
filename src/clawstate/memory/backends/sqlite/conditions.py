"""A `Filter` as SQL over the table `memories`, called `m`; values are always bound."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from clawstate.clock import to_ms
from clawstate.memory.filters import TIMES, And, Condition, Filter, Node, Not, Or, paths_of

Bound = tuple[str, list[Any]]
"""A piece of SQL and the values for its question marks; NULL counts as false."""

_COLUMNS = {
    "id": "m.id",
    "source": "m.source",
    "thread": "m.thread",
    "category": "m.category",
    "importance": "m.importance",
    "created_at": "m.timestamp",
    "updated_at": "m.updated_at",
    "expires_at": "m.expires_at",
}
_TEXTS = frozenset({"id", "source", "thread", "category"})
_COMPARE = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

_CONTAINS = """
EXISTS (SELECT 1 FROM json_each(m.metadata, {path}) e WHERE e.type {kind} AND e.value IS ?
    AND json_type(m.metadata, {path}) = 'array')
"""
_ORDERED = """
(json_type(m.metadata, {path}) IN ({kinds}) AND json_extract(m.metadata, {path}) {sign} ?)
"""
_FALSE: Bound = ("0", [])


def sql_of(chosen: Filter, *, scope: int | None, now_ms: int) -> Bound:
    """Return the condition that *chosen* means for a row `m`; *scope* stands for its namespace."""
    parts: list[Bound] = [("(m.expires_at IS NULL OR m.expires_at > ?)", [now_ms])]
    if scope is not None:
        parts.append(("m.scope = ?", [scope]))
    if chosen.tree is not None:
        parts.append(_sql(chosen.tree))
    return _join("AND", parts)


def _sql(node: Node) -> Bound:
    match node:
        case And(parts):
            return _join("AND", [_sql(each) for each in parts]) if parts else ("1", [])
        case Or(parts):
            return _join("OR", [_sql(each) for each in parts]) if parts else _FALSE
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


def _join(word: str, parts: Sequence[Bound]) -> Bound:
    # In halves: SQLite counts how deep an expression is, and refuses a long chain.
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    first, one = _join(word, parts[:middle])
    second, other = _join(word, parts[middle:])
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
    if operator == "below":
        # As a range, since an index serves that: "0" follows "/".
        text = str(wanted)
        return f"({column} >= ? AND {column} < ?)", [text, text[:-1] + "0"]
    if operator == "like":
        return f"{column} GLOB ?", [str(wanted).replace("[", "[[]")]
    given = wanted if isinstance(wanted, tuple) else (wanted,)
    # A column of text would take a number for its digits, one of numbers true for 1.
    fitting = [
        each
        for each in given
        if isinstance(each, str) == (field in _TEXTS) and not isinstance(each, bool)
    ]
    values: list[Any] = [each for each in fitting if each is not None]
    if field in TIMES:
        values = [to_ms(each) for each in values]
    if operator in _COMPARE:
        return (f"{column} {_COMPARE[operator]} ?", values) if values else _FALSE
    parts: list[Bound] = [(f"{column} {_one_of(values)}", values)] if values else []
    # `column IN (NULL)` is never true in SQL.
    if None in given:
        parts.append((f"{column} IS NULL", []))
    return _join("OR", parts) if parts else _FALSE


def _of_metadata(condition: Condition) -> Bound:
    path, found = _path(paths_of(condition.path))
    wanted = condition.value
    match condition.operator:
        case "eq":
            return _any_of(path, found, [wanted])
        case "in":
            return _any_of(path, found, wanted if isinstance(wanted, tuple) else [])
        case "exists":
            return f"json_type(m.metadata, {path}) IS {'NOT ' if wanted else ''}NULL", found
        case "contains":
            sql = _CONTAINS.format(path=path, kind=_KINDS[_kind(wanted)])
            return sql, [*found, wanted, *found]
        case operator:
            kinds = "'text'" if isinstance(wanted, str) else "'integer', 'real'"
            sql = _ORDERED.format(path=path, kinds=kinds, sign=_COMPARE[operator])
            return sql, [*found, *found, wanted]


def _path(paths: Sequence[tuple[str, ...]]) -> Bound:
    """Return SQL for the first of *paths* that the metadata has, else the last."""
    # Quoted, or a key such as `a[0]` would be read as a path of its own.
    texts = [
        "$" + "".join("." + json.dumps(each, ensure_ascii=False) for each in path) for path in paths
    ]
    *first, last = texts
    if not first:
        return "?", [last]
    cases = "".join(" WHEN json_type(m.metadata, ?) IS NOT NULL THEN ?" for _ in first)
    return f"CASE{cases} ELSE ? END", [*(each for text in first for each in (text, text)), last]


# By the types of JSON: to SQL true is 1, and an array or object its text.
_KINDS = {
    "null": "= 'null'",
    "bool": "IN ('true', 'false')",
    "text": "= 'text'",
    "number": "IN ('integer', 'real')",
}


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    return "text" if isinstance(value, str) else "number"


def _any_of(path: str, found: Sequence[Any], wanted: Sequence[Any]) -> Bound:
    by_kind: dict[str, list[Any]] = defaultdict(list)
    for each in wanted:
        by_kind[_kind(each)].append(each)
    parts: list[Bound] = []
    for kind, values in by_kind.items():
        if kind == "null":
            sql = f"coalesce(json_type(m.metadata, {path}), 'null') = 'null'"
            parts.append((sql, [*found]))
        else:
            sql = f"json_extract(m.metadata, {path}) {_one_of(values)}"
            sql = f"(json_type(m.metadata, {path}) {_KINDS[kind]} AND {sql})"
            parts.append((sql, [*found, *found, *values]))
    return _join("OR", parts) if parts else _FALSE


def _one_of(values: Sequence[Any]) -> str:
    return "= ?" if len(values) == 1 else f"IN ({', '.join('?' * len(values))})"
