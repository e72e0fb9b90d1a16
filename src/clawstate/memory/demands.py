"""Which demands of a `Filter` a record does not meet, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from clawstate.clock import to_iso
from clawstate.memory.filters import (
    TIMES,
    And,
    Condition,
    Filter,
    Node,
    Not,
    Or,
)
from clawstate.memory.matching import matches, value_of
from clawstate.memory.records import MemoryRecord
from clawstate.memory.verdict import Unmet

_SIGNS = {
    "eq": "is",
    "in": "is one of",
    "gt": "is above",
    "gte": "is at least",
    "lt": "is below",
    "lte": "is at most",
    "below": "lies below",
    "like": "is like",
    "contains": "contains",
}


def unmet_demands(chosen: Filter, record: MemoryRecord) -> tuple[Unmet, ...]:
    """Return what *chosen* asks for that *record* does not meet, but for its end."""
    found: list[Unmet] = []
    if chosen.namespace not in {None, record.namespace}:
        found.append(Unmet(f"namespace is {_json(chosen.namespace)}", _json(record.namespace)))
    if chosen.tree is not None:
        found += (
            Unmet(_in_words(each), _values(record, each))
            for each in _unmet_parts(record, chosen.tree)
        )
    return tuple(found)


def _unmet_parts(record: MemoryRecord, node: Node) -> Iterator[Node]:
    """Yield the smallest parts of *node* that say which demand fails."""
    if isinstance(node, And):
        for each in node.parts:
            yield from _unmet_parts(record, each)
    elif not matches(record, node):
        yield node


def _in_words(node: Node) -> str:
    match node:
        case Condition(operator="exists"):
            return f"{_name(node)} {'is there' if node.value else 'is not there'}"
        case Condition(field="tags"):
            return f"tag {_json(node.value)}"
        case Condition():
            value = _text_of(node, node.value)
            return f"{_name(node)} {_SIGNS[node.operator]} {value}"
        case Not(part):
            return f"not ({_in_words(part)})"
        case And(parts):
            return " and ".join(map(_in_words, parts)) or "anything"
        case Or(parts):
            return " or ".join(map(_in_words, parts)) or "nothing"


def _values(record: MemoryRecord, node: Node) -> str:
    """Return what *record* has of all that *node* asks about."""
    fields = {(each.field, each.path): each for each in _conditions(node)}
    if len(fields) == 1:
        (only,) = fields.values()
        return _value(record, only)
    return ", ".join(f"{_name(each)}: {_value(record, each)}" for each in fields.values())


def _conditions(node: Node) -> Iterator[Condition]:
    match node:
        case Condition():
            yield node
        case Not(part):
            yield from _conditions(part)
        case And(parts) | Or(parts):
            for each in parts:
                yield from _conditions(each)


def _name(condition: Condition) -> str:
    return ".".join(condition.path) or condition.field


def _value(record: MemoryRecord, condition: Condition) -> str:
    value, is_there = value_of(record, condition)
    return _text_of(condition, value) if is_there else "none"


def _text_of(condition: Condition, value: Any) -> str:
    if condition.field in TIMES and isinstance(value, int | float):
        return to_iso(value)
    if isinstance(value, tuple):
        return ", ".join(_text_of(condition, each) for each in value)
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=dict)
