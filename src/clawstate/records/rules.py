"""What every engine checks in the same way: keys, values, expectations, changes that misbehave."""

from __future__ import annotations

import bisect
import math
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from clawstate.errors import ConflictError, CorruptError, InvalidError
from clawstate.files.json_text import dump_compact, parse_json
from clawstate.interrupts import Use
from clawstate.paging import Position
from clawstate.records.contract import (
    ABSENT,
    ANY,
    DELETE,
    CollectionSpec,
    Json,
    Mark,
    Revision,
)

LONGEST_KEY: Final = 1_024  # characters
DEEPEST_VALUE: Final = 256  # levels: whoever reads it may already stand deep in calls

_NOWHERE = Path("value")
_SURROGATE = re.compile("[\ud800-\udfff]")
_FIRST_SURROGATE, _AFTER_SURROGATES, _LAST = 0xD800, "\ue000", "\U0010ffff"


def is_key(key: object) -> bool:
    """Tell whether *key* can be the key of a record."""
    return isinstance(key, str) and 0 < len(key) <= LONGEST_KEY and _SURROGATE.search(key) is None


def require_key(key: object) -> None:
    """Raise `InvalidError` for what cannot be a key."""
    if not isinstance(key, str):
        problem = f"a key is text, not {type(key).__name__}"
    elif not key:
        problem = "a key is not empty"
    elif len(key) > LONGEST_KEY:
        problem = f"a key has at most {LONGEST_KEY:,} characters, not {len(key):,}"
    elif _SURROGATE.search(key):
        problem = "half a surrogate pair in a key"
    else:
        return
    raise InvalidError("key", problem, "choose another one")


def require_name(what: str, name: str) -> None:
    """Raise `InvalidError` for the *name* of a tenant or a kind, called *what*, that is no key."""
    if not is_key(name):
        problem = f"{name!r} is not 1 to 1,024 characters of text"
        raise InvalidError(what, problem, "choose another one")


def key_range(prefix: str, after: str | None) -> tuple[str, str | None]:
    """
    Return the least key, and the least key beyond (`None`: no end), of those that a scan gives.

    Both can be held as UTF-8, whose bytes have the order of the code points.
    """
    low = prefix if after is None else max(prefix, after + "\0")
    rest = prefix.rstrip(_LAST)
    high = rest[:-1] + chr(ord(rest[-1]) + 1) if rest else None
    return _holdable(low), None if high is None else _holdable(high)


def _holdable(key: str) -> str:
    # The least text from here on that has no half of a surrogate pair.
    found = _SURROGATE.search(key)
    return key[: found.start()] + _AFTER_SURROGATES if found else key


def require_limit(limit: int | None) -> None:
    """Raise `InvalidError` for a negative *limit*."""
    if limit is not None and limit < 0:
        raise InvalidError("limit", f"{limit} is negative", "give 0 or more records")


def position_of(spec: CollectionSpec, key: str, value: Json) -> Position:
    """
    Return where the record of *key* stands among the latest of its collection.

    The rank is minus its number, infinite without one.
    """
    number = value.get(spec.order) if spec.order and isinstance(value, dict) else None
    if isinstance(number, bool) or not isinstance(number, int | float):
        return math.inf, key
    try:
        return -float(number), key
    except OverflowError:  # SQLite takes such an integer for an infinite number as well
        return -math.inf if number > 0 else math.inf, key


def behind(ordered: Sequence[Position], after: Position | None, limit: int) -> Sequence[Position]:
    """Return the first *limit* of the positions *ordered* that come behind *after*."""
    require_limit(limit)
    start = 0 if after is None else bisect.bisect_right(ordered, after)
    return ordered[start : start + limit]


def normalise_value(spec: CollectionSpec, key: str, value: Json) -> tuple[str, Json]:
    """
    Return the JSON text of *value* and what that text says.

    Raises `InvalidError` for what is not JSON or too deep, or what the layout of *spec* cannot
    hold under *key*: so every engine refuses what a file would.
    """
    require_key(key)
    text = dump_compact(value)
    try:
        copy = parse_json(text, path=_NOWHERE)
    except CorruptError:
        copy = None
        deep = True
    else:
        brackets = text.count("[") + text.count("{")
        deep = brackets > DEEPEST_VALUE and _is_deep(copy)
    if deep:
        problem = f"is nested more than {DEEPEST_VALUE:,} levels deep"
        raise InvalidError("JSON value", problem, "flatten it")
    spec.layout.encode(None, {key: copy})
    return text, copy


def _is_deep(value: Json) -> bool:
    level = [value]
    for _ in range(DEEPEST_VALUE):
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [item for items in inner for item in items if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def require_expected(
    spec: CollectionSpec, key: str, found: Revision | None, expect: str | Mark
) -> None:
    """Raise `ConflictError` unless the revision *found* (`None`: no record) is as expected."""
    if expect is DELETE:
        raise InvalidError("expect", "DELETE is no expectation", "give a revision, ABSENT or ANY")
    if expect is ANY or (found is None if expect is ABSENT else found == expect):
        return
    raise ConflictError(spec.kind, "a record" if spec.secret_keys else key)


def name_record(key: object, kind: str, *, is_secret: bool) -> str:
    """Return how an error or a finding calls the record *key* of *kind*; these go into logs."""
    return f"a record of {kind!r}" if is_secret else f"the record {key!r} of {kind!r}"


def require_keys(keys: Iterable[str]) -> list[str]:
    """Return *keys*, each of them once; raises `InvalidError` for what cannot be a key."""
    if isinstance(keys, str):
        raise InvalidError("keys", "are one text", "give a collection of keys")
    wanted = list(dict.fromkeys(keys))
    for key in wanted:
        require_key(key)
    return wanted


def require_records(records: object, keys: Iterable[str] | None = None) -> None:
    """Raise `InvalidError` unless *records*, made by a change, are a mapping, of *keys* alone."""
    if not isinstance(records, Mapping):
        problem = f"the change returned {type(records).__name__}, not a mapping"
        raise InvalidError("records", problem, "return (records, answer)")
    if keys is not None and (other := records.keys() - set(keys)):
        problem = f"the change returned {len(other)} that it was not asked for"
        raise InvalidError("records", problem, "name their keys as well")


class ChangeGuard:
    """Refuses a change that uses its own collection, or changes another of the same engine."""

    def __init__(self) -> None:
        self._local = threading.local()

    def running(self, kind: str) -> _Running:
        """Note for a `with` block that this thread runs a change of the collection *kind*."""
        return _Running(self._local, kind)

    def require_readable(self, kind: str) -> None:
        """Raise `InvalidError` while this thread runs a change of *kind*."""
        if self._running() == kind:
            raise self._error(kind)

    def require_changeable(self) -> None:
        """Raise `InvalidError` while this thread runs a change of any collection."""
        if (kind := self._running()) is not None:
            raise self._error(kind)

    def _running(self) -> str | None:
        found: tuple[str, Use] | None = getattr(self._local, "change", None)
        return None if found is None or found[1].is_over() else found[0]

    @staticmethod
    def _error(kind: str) -> InvalidError:
        problem = f"a change of {kind!r} uses a collection while it runs"
        return InvalidError("change", problem, "take what it needs before, or from its argument")


class _Running:
    """See `ChangeGuard.running`; over with its block, also where that was cut off."""

    __slots__ = ("_kind", "_local")

    def __init__(self, local: threading.local, kind: str) -> None:
        self._local = local
        self._kind = kind

    def __enter__(self) -> None:
        self._local.change = self._kind, Use()

    def __exit__(self, *_: object) -> None:
        self._local.change = None
