"""
The memory as it was at a moment: a private copy in memory, which searches read like any other.

A search in the past counts words, lengths and subwords of what was there then, so nothing less than
a state of its own gives its exact answer. The copy has the postings of now; only what differs is
taken out and put in, and where most of it does, all that was there then is indexed anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import apsw

from clawstate.caches.ttl import TTLCache
from clawstate.interrupts import load_modules
from clawstate.memory.analysis import VERSION
from clawstate.memory.backends.columns import record_of, subwords_of, unpack
from clawstate.memory.backends.sqlite import history, postings, rows, word_index, writing
from clawstate.memory.backends.sqlite.reading import SqliteReading
from clawstate.memory.backends.sqlite.rows import stored_embedder
from clawstate.memory.backends.sqlite.selections import Selections
from clawstate.memory.contract import Embedded
from clawstate.memory.records import content_hash
from clawstate.memory.rules import Arrival
from clawstate.sqlite import Part

if TYPE_CHECKING:
    from clawstate.memory.vector_index.nearest import NearestSearch

_SELECTIONS = 8
_KEPT = ("meta", "scopes")
_DERIVED = ("memories", "tags", "subword_counts", "vector_blocks")
_WORDS = ("word_terms", "word_blocks", "word_lengths", "word_tail", "word_totals")
_EMPTY = ("embedding_cache", "reembedded")  # are written where records go
_TABLES = (*_KEPT, *_DERIVED, *_WORDS, *_EMPTY)
_BATCH = 4_096

# What was made later, or has changed since, or whose time is over.
_GONE = """
SELECT docno FROM memories WHERE timestamp > ?1 OR expires_at <= ?2
    OR id IN (SELECT id FROM versions WHERE ended > ?1) ORDER BY docno
"""
_LEFT = f"""
{rows.SELECT} WHERE m.timestamp <= ?1 AND (m.expires_at IS NULL OR m.expires_at > ?2)
    AND m.id NOT IN (SELECT id FROM versions WHERE ended > ?1) ORDER BY m.docno
"""
_CAME = f"""
{history.SELECT} WHERE v.began <= ?1 AND v.ended > ?1
    AND (v.expires_at IS NULL OR v.expires_at > ?2) ORDER BY v.docno
"""
_BLOBS = {
    "m": "SELECT embedding, subwords FROM memories WHERE docno = ?",
    "v": "SELECT embedding, subwords FROM versions WHERE docno = ? AND began <= ? AND ended > ?",
}


class _Copy(NamedTuple):
    """A copy, of which state and moment it is, and what its searches remember."""

    key: tuple[Any, ...]
    connection: apsw.Connection
    nearest: NearestSearch | None
    selections: Selections
    words: word_index.WordCaches


class PastStates:
    """The copies of one program: the newest is kept while nothing changes, for the next search."""

    def __init__(self) -> None:
        self._kept: list[_Copy] = []

    def clear(self) -> None:
        """Forget the copy."""
        self._kept.clear()

    @contextmanager
    def reading(self, database: Part, moment_ms: int, *, now_ms: int) -> Iterator[SqliteReading]:
        """Open the state of a moment; a search has its copy alone."""
        with database.reading() as connection:
            copy = self._find(connection, (database.generation, moment_ms), now_ms)

        def nearest(_identity: str, _embedder: str) -> NearestSearch:
            assert copy.nearest is not None  # noqa: S101 - there is one where there is an embedder
            return copy.nearest

        yield SqliteReading(
            copy.connection,
            nearest=nearest,
            selections=copy.selections,
            words=copy.words,
            generation=database.generation,
            now_ms=now_ms,
        )
        self._kept[:] = [copy]

    def _find(self, connection: apsw.Connection, asked: tuple[int, int], now_ms: int) -> _Copy:
        sql = "SELECT group_concat(value) FROM meta WHERE key IN ('changes', 'database_id')"
        key = (*asked, connection.execute(sql).get)
        with suppress(IndexError):
            # Taken, not looked at: two searches at once must not share one connection.
            found = self._kept.pop()
            if found.key == key:
                return found
        copied = copy_past(connection, asked[1], now_ms=now_ms)
        embedder = stored_embedder(connection)
        search = None
        if embedder is not None:
            load_modules("clawstate.memory.vector_index.nearest")
            from clawstate.memory.vector_index.nearest import NearestSearch  # noqa: PLC0415 - numpy

            search = NearestSearch(embedder.dimensions)
        return _Copy(key, copied, search, TTLCache(_SELECTIONS), word_index.WordCaches())


def copy_past(connection: apsw.Connection, moment_ms: int, *, now_ms: int) -> apsw.Connection:
    """Return a copy, in memory, of what *connection* reads, as it was at a moment."""
    bounds = (moment_ms, max(moment_ms, now_ms))
    gone = [int(str(row[0])) for row in connection.execute(_GONE, bounds)]
    records: int = connection.execute("SELECT coalesce(sum(records), 0) FROM scopes").get
    is_far = 2 * len(gone) > records
    target = apsw.Connection(":memory:")
    target.pragma("temp_store", 2)
    target.execute("BEGIN")
    _make_tables(connection, target)
    for name in _KEPT if is_far else (*_KEPT, *_DERIVED, *_WORDS):
        _copy(connection, target, name)
    if is_far:
        target.execute("UPDATE scopes SET records = 0, subwords = 0")
        target.execute("INSERT INTO word_totals (one, analysis) VALUES (1, ?)", (VERSION,))
        _put(target, _arrivals(connection, _LEFT, bounds, "m"))
        _fold(target)
    else:
        for first in range(0, len(gone), _BATCH):
            writing.remove(target, gone[first : first + _BATCH], now_ms=now_ms)
        # A version may have the docno of what was just taken out: only the tail knows the two apart
        # by their order, so what went is merged first.
        if gone:
            _fold(target)
    _put(target, _arrivals(connection, _CAME, bounds, "v"))
    # What came in lies between docnos that blocks of vectors cover.
    target.execute("DELETE FROM vector_blocks; DELETE FROM meta WHERE key = 'vector_codes'")
    target.execute("COMMIT")
    return target


def _fold(target: apsw.Connection) -> None:
    if (fold := word_index.plan_fold(target)) is not None:
        postings.SqlitePostings(target).publish(fold)


def _make_tables(source: apsw.Connection, target: apsw.Connection) -> None:
    sql = """
        SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND type IN ('table', 'index')
        AND tbl_name IN (SELECT value FROM json_each(?)) ORDER BY type DESC
    """
    for (statement,) in source.execute(sql, (json.dumps(_TABLES),)).fetchall():
        target.execute(str(statement))
    for name, seq in source.execute("SELECT name, seq FROM sqlite_sequence").fetchall():
        if name in _TABLES:
            target.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (name, seq))


def _copy(source: apsw.Connection, target: apsw.Connection, name: str) -> None:
    found = source.execute(f'SELECT * FROM "{name}"')
    first = found.fetchone()
    if first is None:
        return
    sql = f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(first))})'
    target.execute(sql, first)
    target.executemany(sql, found)


def _arrivals(
    source: apsw.Connection, sql: str, bounds: tuple[int, int], table: str
) -> Iterator[tuple[int, Arrival]]:
    """Yield docnos with what comes under them."""
    for row in source.execute(sql, bounds):
        docno, record = int(str(row[0])), record_of(row)
        values: tuple[Any, ...] = (docno,) if table == "m" else (docno, bounds[0], bounds[0])
        vector, blob = source.execute(_BLOBS[table], values).get
        whole = Embedded(record, None if vector is None else unpack([vector])[0], subwords_of(blob))
        place = (record.created_at, record.updated_at, record.position)
        yield docno, Arrival(whole, content_hash(record.text), place, None)


def _put(target: apsw.Connection, found: Iterator[tuple[int, Arrival]]) -> None:
    while batch := list(islice(found, _BATCH)):
        writing.insert(target, [row for _, row in batch], docnos=[docno for docno, _ in batch])
