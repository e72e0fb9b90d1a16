"""The JSON form of a `Filter`: its namespace, and its tree as `where` is written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from clawstate.memory.filters import And, Condition, Filter, Node, Not, Or, filter_from, key_of
from clawstate.wire.members import Members

_NEGATED = {"eq": "ne", "in": "not_in"}
_BEYOND = 10**400  # read as infinity, which JSON has no number for


def write_filter(chosen: Filter) -> dict[str, Any]:
    """Return *chosen*; *where* is null if it asks for nothing but the namespace."""
    return {
        "namespace": chosen.namespace,
        "where": None if chosen.tree is None else _where(chosen.tree),
    }


def read_filter(document: Any) -> Filter:
    """Return the filter of *document*."""
    told = Members(document, "filter")
    where = None if document.get("where") is None else told.mapping("where")
    found = filter_from(namespace=told.maybe_text("namespace"), where=where)
    # An empty *where* and none mean the same, but are two trees; what was written comes back.
    if found.tree is None and where is not None:
        return Filter(namespace=found.namespace, tree=And(()))
    return found


def _where(node: Node) -> dict[str, Any]:
    match node:
        case Condition():
            return {key_of(node): {node.operator: _value(node.value)}}
        # Written as people write it, so that reading gives the very tree again.
        case Not(Condition(operator=("eq" | "in") as operator) as part):
            return {key_of(part): {_NEGATED[operator]: _value(part.value)}}
        case Not(Condition(field="tags") as part):
            return {"$tags": {"ne": _value(part.value)}}
        case Not(Or(parts)) if (tags := _tags(parts)) is not None:
            return {"$tags": {"not_in": tags}}
        case Not(part):
            return {"$not": _where(part)}
        case Or(parts) if (tags := _tags(parts)) is not None:
            return {"$tags": {"in": tags}}
        case Or(parts):
            return {"$or": [_where(each) for each in parts]}
        case And(parts):
            return _all(parts)


def _all(parts: Sequence[Node]) -> dict[str, Any]:
    """Return one mapping of all *parts*, or else a list of them behind `$and`."""
    # A list would be a level deeper than what the caller wrote, whose depth is limited.
    made: dict[str, Any] = {}
    last = ""
    for part in parts:
        demand = _where(part)
        if isinstance(part, And):  # its demands must not mix with those around it
            demand = {"$and": [_where(each) for each in part.parts]} if part.parts else {}
        key, value = next(iter(demand.items()), ("", None))
        # Only neighbours are joined: reading keeps the order of the parts, and so must writing.
        if not key or (key in made and not (key == last != "$not" and _join(made[key], value))):
            return {"$and": [_where(each) for each in parts]}
        # A copy, since the next part may add its operators to it.
        made.setdefault(key, dict(value) if isinstance(value, dict) else value)
        last = key
    return made if len(parts) != 1 else {"$and": [_where(each) for each in parts]}


def _join(before: Any, value: Any) -> bool:
    """Add the operators of *value* to those of the same key; false if that would lose one."""
    if not isinstance(before, dict) or not isinstance(value, dict) or before.keys() & value.keys():
        return False
    before.update(value)
    return True


def _tags(parts: Sequence[Node]) -> list[Any] | None:
    """Return the tags of which *parts* asks for any, or `None` if they ask for something else."""
    found = [each.value for each in parts if isinstance(each, Condition) and each.field == "tags"]
    return found if len(found) == len(parts) else None


def _value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_value(each) for each in value]
    if isinstance(value, float) and math.isinf(value):
        return _BEYOND if value > 0 else -_BEYOND
    return value
