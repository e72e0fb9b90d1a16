"""`Filter`: which records a call speaks of. One meaning for every engine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from clawstate.errors import InvalidError
from clawstate.memory.validation import MAX_SOURCE, check_name, check_unicode
from clawstate.moments import Moment as Moment  # noqa: PLC0414 - part of what filters take
from clawstate.moments import moment_seconds

Scalar: TypeAlias = str | int | float | bool | None

OPERATORS = ("eq", "ne", "in", "not_in", "gt", "gte", "lt", "lte", "exists", "contains")
"""What may be asked of a value; a leading `$` is accepted, as other tools write it."""

TIMES = ("created_at", "updated_at", "expires_at")
FIELDS = ("tags", "source", "thread", "category", "importance", *TIMES)
"""The fields of a record that `where` reaches, each with a leading `$`."""

JOINTS = ("$and", "$or", "$not")
"""What joins demands to one; any other key of `where` names what is compared."""

# The tree is walked recursively, here and in engines; people write two or three levels.
MAX_DEPTH = 20
# A value of metadata takes three bound variables in SQLite, which admits 32,766 of them.
MAX_VALUES = 10_000

_MOST_DOTTED = 4
_ORDERED = frozenset({"gt", "gte", "lt", "lte"})


@dataclass(frozen=True, slots=True)
class Condition:
    """
    One demand on a value: the metadata at `path`, or another `field` of the record.

    `operator` is one of `eq`, `in` (`value` is a tuple), `gt`, `gte`, `lt`, `lte`, `exists` and
    `contains`, and for sources `below` (begins with) and `like` (`*` any text, `?` any character);
    the others are written with `Not`. Times are seconds, exact to the millisecond.
    """

    field: str
    path: tuple[str, ...]
    operator: str
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class And:
    """Every part holds; without parts it always does."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Some part holds; without parts none does."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Node


Node: TypeAlias = Condition | And | Or | Not


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The live records of one namespace, or of all when it is None, that meet *tree*."""

    namespace: str | None = "default"
    tree: Node | None = None

    @property
    def is_plain(self) -> bool:
        """True when nothing but the namespace is asked for."""
        return self.tree is None


def filter_from(
    *,
    namespace: str | None = "default",
    tags: Iterable[str] | None = None,
    source: str | None = None,
    where: Mapping[str, Any] | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
) -> Filter:
    """
    Return the filter that a caller's arguments describe.

    *where* maps a metadata key (`"a.b"` is the key of that name, else reaches into objects), or one
    of `FIELDS` behind a `$`, to a value (equality), a list (membership) or a mapping of `OPERATORS`
    to values (`{"year": {"gte": 2020, "lt": 2024}}`); `$and` and `$or` to lists of such mappings,
    `$not` to one. A metadata key that begins with `$` is written with two: `$$ref`. *tags*: all of
    them; *source*: this one, what lies below it if it is a folder, or what it matches where it has
    `*` or `?`; *since* and *until*: created at or after, and before. Times without a zone are in
    UTC. Raises `InvalidError` for anything else, also for an unknown name behind a `$`.
    """
    if namespace is not None:
        check_name("namespace", namespace)
    parts = list(_tags(tags))
    if source is not None:
        check_name("source", source, limit=MAX_SOURCE)
        parts.append(_from(source))
    parts.extend(_parts(where or {}))
    for name, operator, value in (("since", "gte", since), ("until", "lt", until)):
        if value is not None:
            parts.append(Condition("created_at", (), operator, moment_seconds(name, value)))
    if sum(map(_size, parts)) > MAX_VALUES:
        raise InvalidError(
            "where", f"compares with more than {MAX_VALUES:,} values", "ask in parts"
        )
    return Filter(namespace=namespace, tree=_and(parts) if parts else None)


def _from(source: str) -> Node:
    # A folder is no source itself, so its name stands for what lies below it.
    below = Condition("source", (), "below", source.rstrip("/") + "/")
    parts: list[Node] = [Condition("source", (), "eq", source), below]
    if "*" in source or "?" in source:
        parts.append(Condition("source", (), "like", source))
    return Or(tuple(parts))


def _tags(tags: Iterable[str] | None) -> Iterator[Node]:
    if isinstance(tags, str):
        tags = (tags,)
    elif tags is not None and not isinstance(tags, Iterable):
        raise InvalidError("tags", f"is {type(tags).__name__}", "give a list, such as ['work']")
    # Repeated tags ask for nothing more, and would only lengthen the SQL.
    demands = [_has_tag("tag", tag) for tag in tags or ()]
    yield from dict.fromkeys(demands)


def _has_tag(name: str, tag: Any) -> Condition:
    check_name(name, tag)
    return Condition("tags", (), "contains", tag)


def _parts(where: Any, depth: int = 1) -> Iterator[Node]:
    """Yield the demands of a mapping, all of which are to be met."""
    if not isinstance(where, Mapping):
        raise InvalidError("where", f"is {type(where).__name__}, not a mapping")
    if depth > MAX_DEPTH:
        raise InvalidError("where", f"is nested deeper than {MAX_DEPTH:,} levels")
    for key, demand in where.items():
        if key in {"$and", "$or"}:
            if not isinstance(demand, list | tuple) or not demand:
                problem = "wants a list of mappings"
                raise InvalidError(f"where.{key}", problem, '[{"year": 2024}, {"kind": "note"}]')
            parts = tuple(_and(list(_parts(each, depth + 1))) for each in demand)
            yield And(parts) if key == "$and" else Or(parts)
        elif key == "$not":
            listed = demand if isinstance(demand, list | tuple) and demand else [demand]
            yield Not(_and([_and(list(_parts(each, depth + 1))) for each in listed]))
        else:
            yield from _demands(key, demand)


def _demands(key: Any, demand: Any) -> Iterator[Node]:
    field, path = _place(key)
    if isinstance(demand, Mapping):
        if not demand:
            raise InvalidError(f"where.{key}", "is empty", f"use one of {', '.join(OPERATORS)}")
        for operator, value in demand.items():
            yield _demand(field, path, str(operator).removeprefix("$"), value)
    elif isinstance(demand, list | tuple | set | frozenset):
        yield _demand(field, path, "in", demand)
    else:
        yield _demand(field, path, "eq", demand)


def _and(parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _size(node: Node) -> int:
    match node:
        case Condition(value=tuple(values)):
            return 3 * _ways(node) + len(values)
        case Condition():
            return _ways(node)
        case Not(part):
            return _size(part)
        case And(parts) | Or(parts):
            return sum(map(_size, parts))


def _ways(condition: Condition) -> int:
    # Each way to read a key with dots is a path of its own in what an engine is asked.
    paths = paths_of(condition.path) if condition.path else [()]
    return (4 * len(paths) + 1) // 3


def _place(key: Any) -> tuple[str, tuple[str, ...]]:
    """Return the field that *key* names, and the path of a metadata key; as `key_of` writes it."""
    text = str(key)
    if not text.startswith("$"):
        return "metadata", _path(text)
    if text.startswith("$$"):
        return "metadata", _path(text[1:])
    # Taken for metadata, a slip such as `$tag` would leave out every record and say nothing.
    if (field := text[1:]) not in FIELDS:
        check_unicode("where", text)
        raise InvalidError(f"where.{text}", "is no field of a record", _hint(text))
    return field, ()


def _hint(key: str) -> str:
    if key[1:] in OPERATORS:
        return f'an operator stands behind a key, as in {{"year": {{"{key}": ...}}}}'
    known = ", ".join((*(f"${each}" for each in FIELDS), *JOINTS))
    operators = ", ".join(OPERATORS)
    escaped = f"a metadata key of this name is written ${key}"
    return f"use one of {known}, and behind a key {operators}; {escaped}"


def key_of(condition: Condition) -> str:
    """Return the key of `where` that *condition* asks about."""
    if condition.field != "metadata":
        return f"${condition.field}"
    key = ".".join(condition.path)
    return f"${key}" if key.startswith("$") else key


def _path(text: str) -> tuple[str, ...]:
    check_unicode("where", text)
    if not text or '"' in text or "\0" in text:
        raise InvalidError("where", f"{text!r} is not a metadata key", "write it as a.b.c")
    path = tuple(text.split("."))
    return path if all(path) else (text,)


def paths_of(path: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return what *path* may mean: keys that hold dots, the longest first, before objects."""
    if len(path) == 1:
        return [path]
    # Each dot doubles them; beyond three, keys within objects that hold dots are not looked for.
    if len(path) > _MOST_DOTTED:
        return [(".".join(path),), path]
    found: list[tuple[str, ...]] = []
    for length in range(len(path), 0, -1):
        first = ".".join(path[:length])
        found += (
            [(first, *rest) for rest in paths_of(path[length:])] if path[length:] else [(first,)]
        )
    return found


def _demand(field: str, path: tuple[str, ...], operator: str, value: Any) -> Node:
    name = f"where.{key_of(Condition(field, path, operator, None))}"
    if operator not in OPERATORS:
        raise InvalidError(name, f"no operator {operator!r}", f"use one of {', '.join(OPERATORS)}")
    # As `Not`, so that a record without the value meets it too. SQL's own `<>` would be NULL there.
    if operator in {"ne", "not_in"}:
        return Not(_demand(field, path, "eq" if operator == "ne" else "in", value))
    if operator == "in" and (isinstance(value, str) or not isinstance(value, Iterable)):
        raise InvalidError(name, f"{operator!r} wants a list")
    if operator == "exists":
        if not isinstance(value, bool):
            raise InvalidError(name, "'exists' wants true or false")
        return Condition(field, path, operator, value)
    # Where null, true and false stand among numbers is something that engines disagree about.
    if operator in _ORDERED and (value is None or isinstance(value, bool)):
        raise InvalidError(name, f"{operator!r} wants a number or a string")
    if field == "tags":
        return _tag_demand(name, operator, value)
    read = _time if field in TIMES else _scalar
    if operator == "in":
        return Condition(field, path, operator, tuple(read(name, each) for each in value))
    return Condition(field, path, operator, read(name, value))


def _tag_demand(name: str, operator: str, value: Any) -> Node:
    """Return what a record that has several tags is asked: to have one, or one of some."""
    if operator in _ORDERED:
        raise InvalidError(name, f"{operator!r} does not fit tags", "use 'contains' or 'in'")
    if operator == "in":
        return Or(tuple(_has_tag(name, each) for each in value))
    return _has_tag(name, value)


def _time(name: str, value: Any) -> Scalar:
    return None if value is None else moment_seconds(name, value)


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
