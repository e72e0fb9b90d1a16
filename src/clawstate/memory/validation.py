"""What may be kept: records from what callers give, complete and checked."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from clawstate.arguments import require_whole
from clawstate.clock import from_ms, is_moment, to_ms
from clawstate.errors import InvalidError
from clawstate.memory.records import MemoryRecord, new_id
from clawstate.quantities import number_of

MAX_TEXT = 1_000_000
"""The most characters of one record; longer text is to be imported, which splits it."""

MAX_METADATA = 64 * 1024
"""The most characters of a record's metadata as JSON."""

MAX_SOURCE = 4096
"""The most characters of a source or a thread; either may be a path."""

MAX_NAMES = 64
"""The most headings of a record, and the most names."""

_MAX_NAME = 512
_DEEPEST = 20  # of a path that an error tells
_NUMBER = (int, float)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FIELDS = frozenset(each.name for each in fields(MemoryRecord))
_CHANGEABLE = {"ttl", *_FIELDS} - {"id", "namespace", "created_at", "updated_at"}


def record_from(values: MemoryRecord | Mapping[str, Any], *, now: float) -> MemoryRecord:
    """
    Return the complete, checked record that *values* describe; `ttl` counts from *now* (s).

    None stands for "not given". Raises `InvalidError` that names the field; nothing is guessed.
    """
    given = _mapping(values)
    # Callers hand on optional arguments as they are, and a wire format may have nulls.
    if None in given.values():
        given = {name: each for name, each in given.items() if each is not None}
    ttl = given.pop("ttl", None)
    if not given.keys() <= _FIELDS:
        unknown = min(map(str, given.keys() - _FIELDS))
        raise InvalidError(unknown, "is not a field of a record", "put it into metadata")
    if "text" not in given:
        raise InvalidError("text", "is missing")
    if ttl is not None:
        given["expires_at"] = _end(ttl, now)
    given["id"] = given.get("id") or new_id()
    # Tags are a set; sorted, so that `swap` can compare whole records.
    given["tags"] = require_tags(given.get("tags", ()))
    for name in ("headings", "names"):
        if name in given:
            given[name] = _names(name, given[name])
    given["updated_at"] = given.get("updated_at") or now
    for name in ("created_at", "updated_at", "expires_at"):
        if name in given:
            given[name] = _moment(name, given[name])
    return _check(MemoryRecord(**given))


def change_record(old: MemoryRecord, changes: Mapping[str, Any], *, now: float) -> MemoryRecord:
    """Return *old* with *changes*, by the names of `Memory.add`; raises `InvalidError`."""
    unknown = sorted(changes.keys() - _CHANGEABLE)
    if unknown and unknown[0] in _FIELDS:
        raise InvalidError(unknown[0], "cannot be changed", "add a new record instead")
    if unknown:
        near = difflib.get_close_matches(unknown[0], sorted(_CHANGEABLE), 1)
        hint = f"did you mean {near[0]!r}?" if near else "put it into metadata"
        raise InvalidError(unknown[0], "is not a field of a record", hint)
    given = {each.name: getattr(old, each.name) for each in fields(MemoryRecord)} | {**changes}
    # A new *ttl* counts from now; *ttl* None takes the end away.
    if "ttl" in changes:
        given["expires_at"] = None
    # `updated_at` is the version of a record: it grows even if the clock was set back.
    now = max(now, old.updated_at + 0.001)
    return record_from({**given, "updated_at": now}, now=now)


def metadata_text(metadata: Mapping[str, Any]) -> str:
    """
    Return *metadata* as JSON.

    Raises `InvalidError` for anything that JSON cannot hold, and above `MAX_METADATA`.
    """
    if metadata == {}:
        return "{}"
    if not isinstance(metadata, Mapping):
        raise InvalidError("metadata", f"is {type(metadata).__name__}, not a mapping")
    require_whole("metadata", dict(metadata))
    try:
        # Checked now and not when it is written: a batch must fail before its first record is kept.
        _check_keys(metadata)
        text = json.dumps(
            dict(metadata), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        name = "metadata" + _unwritable(metadata)
        hint = "use texts, finite numbers, true, false, null, lists and mappings of texts to these"
        raise InvalidError(name, "cannot be written as JSON", hint) from error
    if len(text) > MAX_METADATA:
        problem = f"{number_of(len(text), 'character')} as JSON, at most {MAX_METADATA:,} are kept"
        raise InvalidError("metadata", problem, "keep large values in a file and its path here")
    return text


def check_name(name: str, value: str, *, limit: int = _MAX_NAME) -> None:
    """
    Refuse a *value* that cannot name anything: empty, too long, with control characters.

    Raises `InvalidError` for the field *name*.
    """
    if not isinstance(value, str):
        raise InvalidError(name, f"is {type(value).__name__}, not a string")
    if not value or value.isspace():
        raise InvalidError(name, "is empty")
    if len(value) <= limit and value.isascii() and value.isprintable():
        return  # as nearly all are; a bulk load passes here four times a record
    if len(value) > limit:
        raise InvalidError(
            name, f"{number_of(len(value), 'character')}, at most {limit:,} are allowed"
        )
    if _CONTROL.search(value):
        raise InvalidError(name, "holds a control character", "remove it")
    check_unicode(name, value)


def check_unicode(name: str, value: str) -> None:
    """Refuse a *value* that cannot be written as UTF-8; raises `InvalidError` for *name*."""
    require_whole(name, value)


def seconds(name: str, value: float) -> float:
    """Return *value* when it is a finite number; raises `InvalidError` for *name* otherwise."""
    if isinstance(value, bool) or not isinstance(value, _NUMBER):
        raise InvalidError(name, f"is {type(value).__name__}, not a number of seconds")
    if not math.isfinite(value) if isinstance(value, float) else abs(value) >= 1 << 63:
        raise InvalidError(name, "is no finite number of seconds")
    return value


def _mapping(values: Any) -> dict[str, Any]:
    if isinstance(values, MemoryRecord):
        return {name: getattr(values, name) for name in _FIELDS}
    if isinstance(values, Mapping):
        return dict(values)
    problem = f"is {type(values).__name__}, neither a MemoryRecord nor a mapping"
    raise InvalidError("record", problem, "give {'text': ...}")


def _check(record: MemoryRecord) -> MemoryRecord:
    _check_text(record.text)
    check_name("id", record.id)
    check_name("namespace", record.namespace)
    check_name("category", record.category)
    if record.source is not None:
        check_name("source", record.source, limit=MAX_SOURCE)
    if record.thread is not None:
        check_name("thread", record.thread, limit=MAX_SOURCE)
    if record.title is not None:
        check_name("title", record.title)
    for tag in record.tags:
        check_name("tag", tag)
    _check_importance(record.importance)
    _check_position(record.position)
    metadata_text(record.metadata)
    return record


def _check_text(text: str) -> None:
    if not isinstance(text, str):
        raise InvalidError("text", f"is {type(text).__name__}, not a string")
    if not text or text.isspace():
        raise InvalidError("text", "is empty")
    if len(text) > MAX_TEXT:
        problem = f"{number_of(len(text), 'character')}, at most {MAX_TEXT:,} make one record"
        raise InvalidError("text", problem, "split it, or write a file and 'memory import' it")
    # SQLite and FTS5 end text at a NUL in some places and not in others.
    if "\0" in text:
        raise InvalidError("text", "holds a NUL character", "remove it, or decode the bytes first")
    check_unicode("text", text)


def _check_keys(value: Any) -> None:
    # The JSON writer would turn other keys into strings, and what comes back would differ.
    if isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, str):
                raise TypeError(key)
            _check_keys(each)
    elif isinstance(value, list | tuple):
        for each in value:
            _check_keys(each)


def _unwritable(value: Any, depth: int = 0) -> str:
    """Return the path to what of *value* JSON cannot hold, as `.a[0]`."""
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    if depth < _DEEPEST:
        for key, each in items:
            step = f"[{key}]" if not isinstance(value, Mapping) else f".{key}"
            try:
                _check_keys({key: each} if isinstance(value, Mapping) else each)
                json.dumps(each, allow_nan=False).encode()
            except (TypeError, ValueError, RecursionError):
                return step + _unwritable(each, depth + 1)
    return ""


def _check_importance(value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, _NUMBER) or not 0 <= value <= 1:
        raise InvalidError("importance", "is not a number from 0 to 1")


def _check_position(value: int | None) -> None:
    if value is not None and (
        # Every reader of JSON knows integers up to 2^53 exactly, JavaScript among them.
        isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 1 << 53
    ):
        raise InvalidError("position", "is not a whole number below 2^53")


def _end(ttl: float, now: float) -> float:
    if seconds("ttl", ttl) <= 0:
        raise InvalidError("ttl", "is not above 0 seconds", "leave it out to keep the record")
    end = now + ttl
    if not is_moment(end):
        raise InvalidError("ttl", "ends outside of the years 1970 to 9999", "use seconds")
    return end


def _moment(name: str, value: float) -> float:
    if value == 0 and name == "created_at":
        return 0.0
    if not is_moment(seconds(name, value)):
        raise InvalidError(name, "lies outside of the years 1970 to 9999", "use seconds")
    return from_ms(to_ms(value))


def require_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return *tags* in order, each once; raises `InvalidError` for anything that is none."""
    if tags == ():
        return ()
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise InvalidError("tags", f"is {type(tags).__name__}", "give a list, such as ['work']")
    given = tuple(tags)
    for tag in given:
        check_name("tag", tag)
    return tuple(sorted(set(given)))


def _names(name: str, values: Iterable[str]) -> tuple[str, ...]:
    """Return *values* in their order, each once."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidError(name, f"is {type(values).__name__}", "give a list, such as ['Lisbon']")
    given = tuple(values)
    if len(given) > MAX_NAMES:
        raise InvalidError(name, f"are {len(given):,}, at most {MAX_NAMES} are kept")
    for each in given:
        check_name(name, each)
    return tuple(dict.fromkeys(given))


def fitting_name(text: str) -> str:
    """Return *text* as a title, heading or name may be; empty where nothing is left of it."""
    # For importers: what a stranger's file calls itself must not cost its text.
    if len(text) <= _MAX_NAME and not _CONTROL.search(text):
        return text if text.strip() else ""
    plain = " ".join(_CONTROL.sub(" ", text[: 4 * _MAX_NAME]).split())
    return plain[:_MAX_NAME].rstrip()


def complete(
    records: Iterable[MemoryRecord | Mapping[str, Any]], ids: list[str], now: float
) -> Iterator[MemoryRecord]:
    """Yield *records* with all that they leave out; each id is added to *ids*."""
    if not isinstance(records, Iterable):
        raise InvalidError("records", f"are {type(records).__name__}, no list", "give a list")
    for number, values in enumerate(records):
        record = _number(number, values, now)
        ids.append(record.id)
        yield record


def _number(number: int, values: MemoryRecord | Mapping[str, Any], now: float) -> MemoryRecord:
    try:
        return record_from(values, now=now)
    except InvalidError as error:
        if number == 0:
            raise
        raise InvalidError(f"record {number}: {error.name}", error.problem, error.hint) from error
