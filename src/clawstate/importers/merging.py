"""What becomes of a record when its file is read again, and somebody changed either meanwhile."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from clawstate.clock import to_ms
from clawstate.memory.file_conflicts import PLACES
from clawstate.memory.imports import Before
from clawstate.memory.records import MemoryRecord, fields_text

_SHORT = 4  # bytes: two values that differ look alike once in four thousand million times
_PARTS = ("text", "fields", "importance", "category", "expires_at")
_DEFAULTS = {"importance": 0.7, "category": "other", "expires_at": None}


def passage_digest(text: str, copy: int) -> bytes:
    """Return what a passage is known by: its text, and which of equal ones of its file it is."""
    name = f"{copy}\0{text}".encode(errors="replace")
    return hashlib.blake2b(name, digest_size=16).digest()


def passage_id(namespace: str, source: str, text: str, copy: int) -> str:
    """
    Return the id of a passage: the same at every import (decision 007).

    Equal passages of a source are told apart by their order, so that one of them may vanish.
    """
    # UUID version 8 (RFC 9562): its bits are the program's to fill.
    name = "\0".join((namespace, source, text, str(copy))).encode(errors="replace")
    digits = hashlib.blake2b(name, digest_size=16).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def ordered_id(namespace: str, source: str, text: str, copy: int, position: int) -> str:
    """
    Return the id of a new passage: those of a source stand together, in the order of *position*.

    Listings go by ids. Where the passage moves to later does not matter: its id is noted.
    """
    of_source = hashlib.blake2b(f"{namespace}\0{source}".encode(errors="replace"), digest_size=4)
    place = f"{min(max(position, 0), 0xFFFFFFF):07x}"
    rest = passage_id(namespace, source, text, copy)[20:]
    return f"{of_source.hexdigest()}-{place[:4]}-8{place[4:]}-a{rest}"


@dataclass(frozen=True, slots=True)
class Said:
    """What a file said of a record, as digests: of parts, of its own tags, of its metadata."""

    parts: Mapping[str, bytes]
    tags: frozenset[bytes]
    metadata: Mapping[bytes, bytes]

    @classmethod
    def of(cls, record: MemoryRecord, tags: Sequence[str]) -> Said:
        """Return what is said by *record*, whose *tags* are those that its file gave."""
        own = {name: each for name, each in record.metadata.items() if name not in PLACES}
        return cls(
            {name: _digest(value) for name, value in _values(record).items()},
            frozenset(map(_digest, tags)),
            {_digest(name): _digest(each) for name, each in own.items()},
        )

    def pack(self) -> bytes:
        """Return it as bytes, for `unpack`."""
        metadata = (name + value for name, value in sorted(self.metadata.items()))
        parts = (self.parts[name] for name in _PARTS)
        tags = len(self.tags).to_bytes(2, "big") + b"".join(sorted(self.tags))
        return b"".join((*parts, tags, *metadata))

    @classmethod
    def unpack(cls, data: bytes) -> Said:
        """Return what `pack` gave."""
        pieces = [data[at : at + _SHORT] for at in range(0, len(_PARTS) * _SHORT, _SHORT)]
        rest = data[len(_PARTS) * _SHORT :]
        count, rest = int.from_bytes(rest[:2], "big"), rest[2:]
        tags, rest = rest[: count * _SHORT], rest[count * _SHORT :]
        return cls(
            dict(zip(_PARTS, pieces, strict=True)),
            frozenset(tags[at : at + _SHORT] for at in range(0, len(tags), _SHORT)),
            {
                rest[at : at + _SHORT]: rest[at + _SHORT : at + 2 * _SHORT]
                for at in range(0, len(rest), 2 * _SHORT)
            },
        )


def said_before(before: Before, record_id: str) -> Said | None:
    """Return what a source said of a record *before*; None where nothing is noted."""
    row = before.rows.get(record_id)
    return None if row is None or row.given is None else Said.unpack(row.given)


def was_edited(present: MemoryRecord, before: Said | None, *, text: bool = False) -> bool:
    """Tell whether somebody changed *present*, of which its file said *before*."""
    if before is None:
        return False
    now = Said.of(present, present.tags)
    names = ("text",) if text else _PARTS
    if any(now.parts[name] != before.parts[name] for name in names):
        return True
    return not text and now.metadata != before.metadata


def merge(
    record: MemoryRecord,
    present: MemoryRecord,
    before: Said | None,
    *,
    tags: Sequence[str],
    by_text: bool,
    sources: AbstractSet[str],
) -> MemoryRecord:
    """
    Return *present* as it is to be now that its file says *record*, with *tags* of the file's own.

    What somebody changed since the file said *before* stays; what only the file changed follows it.
    Where *before* is None, a text that differs is somebody's if the record is known *by_text*.
    Sources other than *sources* are no file's and stay.
    """
    kept = _values(present)
    chosen = {}
    for name in _PARTS:
        if before is not None:
            is_theirs = _digest(kept[name]) != before.parts[name]
        elif name == "text":
            is_theirs = by_text
        else:
            is_theirs = name in _DEFAULTS and kept[name] != _DEFAULTS[name] and by_text
        chosen[name] = present if is_theirs else record
    return replace(
        record,
        text=chosen["text"].text,
        title=chosen["fields"].title,
        headings=chosen["fields"].headings,
        names=chosen["fields"].names,
        importance=chosen["importance"].importance,
        category=chosen["category"].category,
        expires_at=chosen["expires_at"].expires_at,
        tags=_merge_tags(record, present, before, tags) if before or by_text else record.tags,
        metadata=_merge_metadata(record, present, before, by_text=by_text),
        source=record.source if present.source in sources else present.source,
    )


def _merge_tags(
    record: MemoryRecord, present: MemoryRecord, before: Said | None, own: Sequence[str]
) -> tuple[str, ...]:
    known = frozenset() if before is None else before.tags
    # Of the tags that the file gave before, those that it gives no more go; one that somebody took
    # away stays away; all that others gave stay, such as those of an import with tags.
    stay = {tag for tag in present.tags if _digest(tag) not in known or tag in own}
    new = {tag for tag in record.tags if _digest(tag) not in known or tag not in own}
    return tuple(sorted(stay | new))


def _merge_metadata(
    record: MemoryRecord, present: MemoryRecord, before: Said | None, *, by_text: bool
) -> dict[str, Any]:
    told = dict(record.metadata)
    if before is None:
        return {**present.metadata, **told} if by_text else told
    for name in {**present.metadata, **told}.keys() - set(PLACES):
        was = before.metadata.get(_digest(name))
        kept = present.metadata.get(name)
        is_kept = name in present.metadata
        is_theirs = (_digest(kept) if is_kept else None) != was
        if is_theirs and is_kept:
            told[name] = kept
        elif is_theirs:
            told.pop(name, None)
    return told


def is_likely_heir(old: MemoryRecord, new: MemoryRecord) -> bool:
    """Tell whether *new* looks like *old* after an edit: half of the words of both are shared."""
    one, other = set(old.text.split()), set(new.text.split())
    return 2 * len(one & other) >= len(one | other)


def _values(record: MemoryRecord) -> dict[str, Any]:
    ends = record.expires_at
    return {
        "text": record.text,
        "fields": fields_text(record),
        "importance": float(record.importance),
        "category": record.category,
        "expires_at": None if ends is None else to_ms(ends),
    }


def _digest(value: Any) -> bytes:
    # Texts are nearly all that comes here, for each record some ten times.
    if isinstance(value, str):
        text = f"'{value}"
    else:
        text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=_SHORT).digest()
