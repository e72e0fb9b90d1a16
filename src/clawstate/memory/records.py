"""`MemoryRecord` and `Hit`: what a memory keeps, and what a search returns."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clawstate.clock import to_ms
from clawstate.paging import Position

if TYPE_CHECKING:
    from clawstate.memory.explanation import Explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRecord:
    """
    One thing remembered. Times are seconds since the epoch.

    `title`, `headings` (outermost first) and `names` (a file, a folder, an alias, a speaker) are
    what people ask for it by, beside its text. `thread` and `position` place the record in an
    ordered run, such as a conversation or a document; a search counts what its neighbours say as
    well. An empty `id`, a `created_at` of 0 and a `position` of None are filled in when the record
    is kept: with a new UUID, with the present (or what the replaced record had), with the next
    place in the thread.
    """

    text: str
    title: str | None = None
    headings: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
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
    `explanation` tells what gave the score, where that was asked for.
    """

    record: MemoryRecord
    score: float
    words_score: float | None = None
    vector_score: float | None = None
    explanation: Explanation | None = None


class Hits(list[Hit]):
    """
    The hits of a search, best first.

    `mode` tells how they were found: `words` where meanings were to be compared and no embedder was
    usable, else as it was asked for.
    """

    def __init__(self, hits: Iterable[Hit] = (), *, mode: str) -> None:
        super().__init__(hits)
        self.mode = mode


def new_id() -> str:
    """Return a new UUID of version 7 (RFC 9562): unique, and ordered by the time it was made."""
    # In time order, new keys go to the end of the index; random ones would touch all its pages.
    # The 12 bits behind the milliseconds are their fraction (method 3 of the RFC).
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    random = int.from_bytes(os.urandom(8), "big") & (1 << 62) - 1
    value = milliseconds << 80 | 7 << 76 | fraction << 64 | 0b10 << 62 | random
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def position_of(record: MemoryRecord) -> Position:
    """Return where *record* stands in a listing: the one made last first, of equals by id."""
    return -float(to_ms(record.created_at)), record.id


def fields_text(record: MemoryRecord) -> str:
    """Return the title, headings and names of *record* as JSON, without those that it lacks."""
    if record.title is None and not record.headings and not record.names:
        return "{}"  # as most that programs add; a bulk load passes here twice a record
    given = {"title": record.title, "headings": record.headings, "names": record.names}
    told = {name: value for name, value in given.items() if value}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def content_hash(text: str) -> bytes:
    """Return the 16 bytes (BLAKE2b) that stand for *text* in the embedding cache."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
