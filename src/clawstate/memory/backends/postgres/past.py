"""The memory as it was at a moment: its records of then, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from clawstate.clock import from_ms
from clawstate.memory.analysis import fields_of
from clawstate.memory.backends.columns import embedder_from, record_of, subwords_of, unpack
from clawstate.memory.backends.inmemory.postings import terms_of
from clawstate.memory.backends.inmemory.reading import InMemoryReading, Row
from clawstate.memory.backends.postgres.place import Place
from clawstate.memory.backends.postgres.rows import COLUMNS, SELECT_PAST, find_value
from clawstate.memory.records import content_hash
from clawstate.postgres.transaction import Transaction

_CHANGES = """
SELECT changes + (SELECT count(*) FROM clawstate.memory_tail WHERE tenant = %(tenant)s)
FROM clawstate.memory_totals WHERE tenant = %(tenant)s
"""
# What was not made later, has not changed since, and whose time is not over.
_LEFT = f"""
SELECT {COLUMNS}, m.embedding, m.subwords FROM clawstate.memory_records m
JOIN clawstate.memory_scopes s ON s.tenant = m.tenant AND s.scope = m.scope
WHERE m.tenant = %(tenant)s AND m.created_at <= %(moment)s
    AND (m.expires_at IS NULL OR m.expires_at > %(end)s)
    AND NOT EXISTS (SELECT 1 FROM clawstate.memory_versions v
        WHERE v.tenant = m.tenant AND v.id = m.id AND v.ended > %(moment)s)
"""
_CAME = f"""
{SELECT_PAST} WHERE v.tenant = %(tenant)s AND v.began <= %(moment)s AND v.ended > %(moment)s
    AND (v.expires_at IS NULL OR v.expires_at > %(end)s)
"""


class _Past(NamedTuple):
    """The records of one moment, of which state, and whose vectors they have."""

    key: tuple[Any, ...]
    rows: list[Row]
    embedder: str | None


class PastStates:
    """The states of moments; the newest is kept while nothing changes, for the next search."""

    def __init__(self) -> None:
        self._kept: _Past | None = None

    def clear(self) -> None:
        """Forget what is kept."""
        self._kept = None

    @contextmanager
    def reading(self, place: Place, moment_ms: int, *, now_ms: int) -> Iterator[InMemoryReading]:
        """Open the state of a moment."""
        past = place.read(lambda within: self._find(within, moment_ms, now_ms))
        self._kept = past
        embedder = None if past.embedder is None else embedder_from(past.embedder)
        yield InMemoryReading(
            past.rows, version=hash(past.key), embedder=embedder, now=from_ms(now_ms)
        )

    def _find(self, within: Transaction, moment_ms: int, now_ms: int) -> _Past:
        key = (find_value(within, "database_id"), within.one(_CHANGES), moment_ms)
        kept = self._kept
        if kept is not None and kept.key == key:
            return kept
        bounds = {"moment": moment_ms, "end": max(moment_ms, now_ms)}
        rows = [_row(row, row[15], row[16]) for row in within.rows(_LEFT, **bounds)]
        rows += [_row(row, row[19], row[20]) for row in within.rows(_CAME, **bounds)]
        return _Past(key, rows, find_value(within, "embedder"))


def _row(row: tuple[Any, ...], embedding: bytes | None, blob: bytes | None) -> Row:
    record = record_of(row)
    vector = None if embedding is None else unpack([embedding])[0]
    words = terms_of(fields_of(record))
    return Row(row[0], record, content_hash(record.text), words, vector, subwords_of(blob))
