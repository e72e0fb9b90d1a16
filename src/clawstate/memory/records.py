"""`MemoryRecord` and `Hit`: what a memory keeps, and what a search returns."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from clawstate.clock import is_moment
from clawstate.errors import InvalidError

MAX_TEXT = 1_000_000
"""The most characters of one record; longer text is to be imported, which splits it."""

MAX_METADATA = 64 * 1024
"""The most characters of a record's metadata as JSON."""

_MAX_NAME = 512
_MAX_PATH = 4096
_NUMBER = (int, float)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRecord:
    """
    One thing remembered. Times are seconds since the epoch.

    `thread` and `position` place the record in an ordered run, such as a conversation or a
    document; search lets neighbours speak for each other. An empty `id`, a `created_at` of 0
    and a `position` of None are filled in when the record is kept: with a new UUID, with the
    present (or what the replaced record had), with the next place in the thread.
    """

    text: str
    id: str = ""
    source: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    importance: float = 0.7
    category: str = "other"
    namespace: str = "default"
    thread: str | None = None
    position: int | None = None
    created_at: float = 0.0
    updated_at: float = 0.0
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """
    A record that a search found.

    `score` lies in 0..1 and orders the hits. It is comparable between queries: it stays low when
    even the best hit has little in common with the query. `words_score` is the sum of BM25 over
    the query's terms (0 without a match), `vector_score` the cosine (None in a words search).
    """

    record: MemoryRecord
    score: float
    words_score: float | None = None
    vector_score: float | None = None


_FIELDS = frozenset(each.name for each in fields(MemoryRecord))


def record_from(values: MemoryRecord | Mapping[str, Any], *, now: float) -> MemoryRecord:
    """
    Return the complete, checked record that *values* describe; `ttl` counts from *now* (s).

    Raises `InvalidError` that names the field; nothing is guessed.
    """
    given = _as_mapping(values) if isinstance(values, MemoryRecord) else dict(values)
    ttl = given.pop("ttl", None)
    if not given.keys() <= _FIELDS:
        unknown = min(map(str, given.keys() - _FIELDS))
        raise InvalidError(unknown, "is not a field of a record", "put it into metadata")
    if "text" not in given:
        raise InvalidError("text", "is missing")
    if ttl is not None:
        given["expires_at"] = now + _seconds("ttl", ttl)
    if None in given.values():
        given = {name: each for name, each in given.items() if each is not None}
    given["id"] = given.get("id") or new_id()
    given["tags"] = _tags(given.get("tags", ()))
    given["updated_at"] = given.get("updated_at") or now
    return checked(MemoryRecord(**given))


def _as_mapping(record: MemoryRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in _FIELDS}


def new_id() -> str:
    """Return a new UUID of version 7 (RFC 9562): unique, and ordered by the time it was made."""
    # In time order, new keys go to the end of the index; random ones would touch all its pages.
    stamp = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = stamp << 80 | 7 << 76 | (random >> 68) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def checked(record: MemoryRecord) -> MemoryRecord:
    """
    Return *record* when every field can be kept and found again.

    Raises `InvalidError` otherwise.
    """
    _check_text(record.text)
    _check_name("id", record.id)
    _check_name("namespace", record.namespace)
    _check_name("category", record.category)
    if record.source is not None:
        _check_name("source", record.source, limit=_MAX_PATH)
    if record.thread is not None:
        _check_name("thread", record.thread, limit=_MAX_PATH)
    for tag in record.tags:
        _check_name("tag", tag)
    _check_importance(record.importance)
    _check_position(record.position)
    if record.created_at:
        _check_moment("created_at", record.created_at)
    _check_moment("updated_at", record.updated_at)
    if record.expires_at is not None:
        _check_moment("expires_at", record.expires_at)
    metadata_text(record.metadata)
    return record


def metadata_text(metadata: Mapping[str, Any]) -> str:
    """
    Return *metadata* as JSON.

    Raises `InvalidError` for anything that JSON cannot hold, and above `MAX_METADATA`.
    """
    if metadata == {}:
        return "{}"
    if not isinstance(metadata, Mapping):
        raise InvalidError("metadata", f"is {type(metadata).__name__}, not a mapping")
    try:
        text = json.dumps(
            dict(metadata), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidError("metadata", "cannot be written as JSON") from error
    if len(text) > MAX_METADATA:
        problem = f"{len(text):,} characters as JSON, at most {MAX_METADATA:,} are kept"
        raise InvalidError("metadata", problem, "keep large values in a file and its path here")
    return text


def content_hash(text: str) -> bytes:
    """Return the 16 bytes (BLAKE2b) that stand for *text* in the embedding cache."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _check_text(text: str) -> None:
    if not isinstance(text, str):
        raise InvalidError("text", f"is {type(text).__name__}, not a string")
    if not text or text.isspace():
        raise InvalidError("text", "is empty")
    if len(text) > MAX_TEXT:
        problem = f"{len(text):,} characters, at most {MAX_TEXT:,} make one record"
        raise InvalidError("text", problem, "split it, or write a file and 'memory import' it")
    if "\0" in text:
        raise InvalidError("text", "holds a NUL character", "remove it, or decode the bytes first")
    _check_unicode("text", text)


def _check_name(name: str, value: str, *, limit: int = _MAX_NAME) -> None:
    if not isinstance(value, str):
        raise InvalidError(name, f"is {type(value).__name__}, not a string")
    if not value or value.isspace():
        raise InvalidError(name, "is empty")
    if len(value) <= limit and value.isascii() and value.isprintable():
        return  # as nearly all are; a bulk load passes here four times a record
    if len(value) > limit:
        raise InvalidError(name, f"{len(value):,} characters, at most {limit} are allowed")
    if _CONTROL.search(value):
        raise InvalidError(name, "holds a control character", "remove it")
    _check_unicode(name, value)


def _check_unicode(name: str, value: str) -> None:
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        hint = "decode the bytes with errors='replace'"
        raise InvalidError(name, "holds half a surrogate pair", hint) from error


def _check_importance(value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, _NUMBER) or not 0 <= value <= 1:
        raise InvalidError("importance", f"{value!r} is not a number from 0 to 1")


def _check_position(value: int | None) -> None:
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 1 << 53
    ):
        raise InvalidError("position", f"{value!r} is not a whole number below 2^53")


def _check_moment(name: str, value: float) -> None:
    if not is_moment(_seconds(name, value)):
        raise InvalidError(name, f"{value} lies outside the years 1970 to 9999", "use seconds")


def _seconds(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, _NUMBER) or not math.isfinite(value):
        raise InvalidError(name, f"{value!r} is not a number of seconds")
    return value


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    if not tags:
        return ()
    if isinstance(tags, str):
        raise InvalidError("tags", "is one string", "give a list, such as ['work']")
    return tuple(dict.fromkeys(tags))
