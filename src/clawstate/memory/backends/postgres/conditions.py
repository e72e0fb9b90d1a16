"""A `Filter` as SQL of PostgreSQL over `memory_records`, called `m`; values are always bound."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clawstate.clock import to_ms
from clawstate.memory.filters import TIMES, And, Condition, Filter, Node, Not, Or, paths_of
from clawstate.postgres.names import encode_text

Bound = tuple[str, dict[str, Any]]
"""A piece of SQL and the values by their names; NULL counts as false."""

_COLUMNS = {
    "id": "m.id",
    "source": "m.source",
    "thread": "m.thread",
    "category": "m.category",
    "importance": "m.importance",
    "created_at": "m.created_at",
    "updated_at": "m.updated_at",
    "expires_at": "m.expires_at",
}
_TEXTS = frozenset({"id", "source", "thread", "category"})
_COMPARE = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_INDEXED = 200  # characters of a source or a thread that stand in an index
_BEYOND = 2.0**53  # from here on the shortest decimal of a float is not the number itself


def facts_text(metadata: Mapping[str, Any]) -> str:
    """Return *metadata* as the JSON that is compared: equal is what is equal in Python."""
    return _json(metadata)


def sql_of(chosen: Filter, *, scope: int | None, now_ms: int) -> Bound:
    """Return the condition that *chosen* means for a row `m`; *scope* stands for its namespace."""
    compiler = _Compiler()
    parts = [f"(m.expires_at IS NULL OR m.expires_at > {compiler.bind(now_ms, 'bigint')})"]
    if scope is not None:
        parts.append(f"m.scope = {compiler.bind(scope, 'bigint')}")
    if chosen.tree is not None:
        parts.append(compiler.sql(chosen.tree))
    return f"({' AND '.join(parts)})", compiler.values


class _Compiler:
    """Gives each value a name of its own."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def bind(self, value: Any, kind: str) -> str:
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f"%({name})s::{kind}"

    def sql(self, node: Node) -> str:
        match node:
            case And(parts):
                return _join(" AND ", [self.sql(each) for each in parts]) or "true"
            case Or(parts):
                return _join(" OR ", [self.sql(each) for each in parts]) or "false"
            case Not(part):
                # A missing value makes a comparison NULL, and NOT NULL is NULL: it has to be false
                # first.
                return f"NOT coalesce({self.sql(part)}, false)"
            case Condition(field="metadata"):
                return self._of_metadata(node)
            case Condition(field="tags"):
                return self._of_tags(node)
            case Condition():
                return self._of_column(node)

    def _of_tags(self, condition: Condition) -> str:
        if condition.operator == "exists":
            return f"cardinality(m.tags) {'>' if condition.value else '='} 0"
        return f"{self.bind(condition.value, 'text')} = ANY(m.tags)"

    def _of_column(self, condition: Condition) -> str:
        field, operator, wanted = condition.field, condition.operator, condition.value
        column = _COLUMNS[field]
        if operator == "exists":
            return f"{column} IS {'NOT ' if wanted else ''}NULL"
        if operator == "contains":
            return "false"
        if operator == "below":
            # As a range, since an index serves that: "0" follows "/".
            text = encode_text(str(wanted))
            return self._range(field, column, text, text[:-1] + "0")
        if operator == "like":
            return f"{column} LIKE {self.bind(_like(str(wanted)), 'text')}"
        given = wanted if isinstance(wanted, tuple) else (wanted,)
        # Nothing else fits: a text is no number, and true is not 1.
        fitting = [
            each
            for each in given
            if isinstance(each, str) == (field in _TEXTS) and not isinstance(each, bool)
        ]
        kind, convert = _of_field(field)
        values = [convert(each) for each in fitting if each is not None]
        if operator in _COMPARE:
            if not values:
                return "false"
            return f"{column} {_COMPARE[operator]} {self.bind(values[0], kind)}"
        parts = [self._equal(field, column, values, kind)] if values else []
        # `column IN (NULL)` is never true in SQL.
        if None in given:
            parts.append(f"{column} IS NULL")
        return _join(" OR ", parts) or "false"

    def _equal(self, field: str, column: str, values: Sequence[Any], kind: str) -> str:
        sql = f"{column} = ANY({self.bind([*values], f'{kind}[]')})"
        if field in {"source", "thread"}:
            starts = sorted({each[:_INDEXED] for each in values})
            sql = f"({_start(column)} = ANY({self.bind(starts, 'text[]')}) AND {sql})"
        return sql

    def _range(self, field: str, column: str, low: str, high: str) -> str:
        sql = f"{column} >= {self.bind(low, 'text')} AND {column} < {self.bind(high, 'text')}"
        if field in {"source", "thread"}:
            least, most = self.bind(low[:_INDEXED], "text"), self.bind(high[:_INDEXED], "text")
            sql = f"{_start(column)} >= {least} AND {_start(column)} <= {most} AND {sql}"
        return f"({sql})"

    def _of_metadata(self, condition: Condition) -> str:
        value = self._path(paths_of(condition.path))
        wanted = condition.value
        match condition.operator:
            case "eq":
                return self._any_of(value, [wanted])
            case "in":
                return self._any_of(value, wanted if isinstance(wanted, tuple) else [])
            case "exists":
                return f"{value} IS {'NOT ' if wanted else ''}NULL"
            case "contains":
                listed = self.bind(_json([wanted]), "jsonb")
                return f"(jsonb_typeof({value}) = 'array' AND {value} @> {listed})"
            case operator:
                return self._compare_order(value, _COMPARE[operator], wanted)

    def _compare_order(self, value: str, sign: str, wanted: Any) -> str:
        # CASE, for nothing else keeps the server from making a number of what is none.
        if isinstance(wanted, str):
            kind, text = "string", f"({value} #>> '{{}}') COLLATE \"C\""
            bound = self.bind(encode_text(wanted), "text")
        else:
            kind, text = "number", f"({value} #>> '{{}}')::numeric"
            bound = self.bind(_number(wanted), "numeric")
        return f"CASE jsonb_typeof({value}) WHEN '{kind}' THEN {text} {sign} {bound} END"

    def _any_of(self, value: str, wanted: Sequence[Any]) -> str:
        # Infinity is no JSON, and no metadata is like it.
        finite = [
            each
            for each in wanted
            if each is not None and not (isinstance(each, float) and math.isinf(each))
        ]
        parts = [f"{value} = ANY({self.bind([_json(each) for each in finite], 'jsonb[]')})"]
        if None in wanted:
            parts.append(f"coalesce(jsonb_typeof({value}), 'null') = 'null'")
        return _join(" OR ", parts if finite else parts[1:]) or "false"

    def _path(self, paths: Sequence[tuple[str, ...]]) -> str:
        """Return SQL for what the metadata has under the first of *paths* that it has."""
        found = [
            "".join(["(m.facts", *(f" -> {self.bind(encode_text(each), 'text')}" for each in path)])
            + ")"
            for path in paths
        ]
        return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"


def _join(word: str, parts: Sequence[str]) -> str:
    return f"({word.join(parts)})" if parts else ""


def _of_field(field: str) -> tuple[str, Callable[[Any], Any]]:
    """Return the type of the column of *field*, and what makes a value of a caller one of it."""
    if field in _TEXTS:
        return "text", encode_text
    return ("bigint", to_ms) if field in TIMES else ("double precision", float)


def _like(pattern: str) -> str:
    """Return a *pattern* of `*` and `?` as one of LIKE."""
    text = encode_text(pattern)
    for sign in "\\%_":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("*", "%").replace("?", "_")


def _start(column: str) -> str:
    return f"left({column}, {_INDEXED})"


def _number(value: float) -> str:
    """Return *value* as the decimal that stands for it, by which it is compared exactly."""
    if not isinstance(value, int):
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        return repr(value) if abs(value) < _BEYOND else str(int(value))
    return str(value)


def _json(value: Any) -> str:
    match value:
        case None | True | False:
            return json.dumps(value)
        case int() | float():
            return _number(value)
        case str():
            return json.dumps(encode_text(value), ensure_ascii=False)
        case Mapping():
            # Two keys that are one to the database cannot be: the code leaves them apart.
            pairs = (f"{_json(key)}:{_json(each)}" for key, each in value.items())
            return f"{{{','.join(pairs)}}}"
        case _:
            return f"[{','.join(map(_json, value))}]"
