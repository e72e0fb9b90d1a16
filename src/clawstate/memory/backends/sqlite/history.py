"""What a write does to the tables of earlier versions, inside the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import apsw

from clawstate.clock import to_ms
from clawstate.memory import rules
from clawstate.memory.backends.columns import record_of
from clawstate.memory.backends.sqlite import moves, rows
from clawstate.memory.records import content_hash
from clawstate.memory.rules import Arrival
from clawstate.memory.versions import Ending, VersionLimits

TABLES: Final = """
-- A version that ended; its docno is that of then. So whatever is derived from it is known by that.
CREATE TABLE versions (
    version INTEGER PRIMARY KEY AUTOINCREMENT,
    docno INTEGER NOT NULL,
    id TEXT NOT NULL,
    scope INTEGER NOT NULL REFERENCES scopes,
    content TEXT NOT NULL,
    source TEXT,
    timestamp INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    category TEXT NOT NULL,
    importance REAL NOT NULL,
    thread TEXT,
    position INTEGER,
    metadata TEXT NOT NULL,
    tags TEXT NOT NULL,
    fields TEXT NOT NULL,
    subwords BLOB,
    embedding BLOB,
    began INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    ending TEXT NOT NULL
) STRICT;
CREATE INDEX versions_id ON versions (id, ended);
CREATE INDEX versions_ended ON versions (ended);
CREATE INDEX versions_expiry ON versions (expires_at) WHERE expires_at IS NOT NULL;

-- Which record took the place of which.
CREATE TABLE successors (
    id TEXT NOT NULL,
    successor TEXT NOT NULL,
    PRIMARY KEY (id, successor)
) STRICT, WITHOUT ROWID;
CREATE INDEX successors_successor ON successors (successor);
"""

SELECT: Final = """
SELECT v.docno, v.id, s.namespace, v.content, v.source, v.timestamp, v.updated_at, v.expires_at,
    v.category, v.importance, v.thread, v.position, v.metadata, v.tags, v.fields,
    v.began, v.ended, v.ending
FROM versions v JOIN scopes s ON s.scope = v.scope
"""
"""Gives rows for `record_of` with three columns more."""

# A version begins where the one before ended; the first where the record was made, which may be
# said to be later than the change.
_KEEP = """
INSERT INTO versions (docno, id, scope, content, source, timestamp, updated_at, expires_at,
    category, importance, thread, position, metadata, tags, fields, subwords, embedding,
    began, ended, ending)
SELECT m.docno, m.id, m.scope, m.content, m.source, m.timestamp, m.updated_at, m.expires_at,
    m.category, m.importance, m.thread, m.position, m.metadata,
    (SELECT json_group_array(t.tag) FROM tags t WHERE t.memory_id = m.id), m.fields, m.subwords,
    m.embedding, min(?2, max(m.timestamp,
        coalesce((SELECT max(v.ended) FROM versions v WHERE v.id = m.id), m.timestamp))), ?2, ?3
FROM memories m WHERE m.docno = ?1
"""
_TRIM = """
DELETE FROM versions WHERE id = ?1 AND ending = 'updated' AND ended <= ?3 AND version <= (
    SELECT version FROM versions WHERE id = ?1 AND ending = 'updated'
    ORDER BY version DESC LIMIT 1 OFFSET ?2)
"""
# The last of an id are found by walking its own versions, which are few.
_SWEEP = """
DELETE FROM versions WHERE ending = 'updated' AND ended <= ?2 AND (
    SELECT count(*) FROM versions v WHERE v.id = versions.id AND v.ending = 'updated'
        AND v.version > versions.version) >= ?1
"""
# Whose place one took has become its own past; what was put anew under that id since is not.
_CHAIN = """
WITH RECURSIVE chain (id) AS (
    SELECT value FROM json_each(?)
    UNION SELECT s.id FROM chain c JOIN successors s ON s.successor = c.id
        WHERE s.id NOT IN (SELECT id FROM memories))
SELECT id FROM chain
"""
_COUNT = "SELECT count(*) FROM versions WHERE id IN (SELECT value FROM json_each(?))"


_IMPORTED = "SELECT memory_id FROM imported WHERE memory_id IN (SELECT value FROM json_each(?))"


def keep_changed(
    connection: apsw.Connection, arrived: Iterable[Arrival], *, limits: VersionLimits, is_edit: bool
) -> None:
    """
    Keep, as they are before, the records that those that *arrived* will change.

    Of what a file gave only what somebody edits: the file itself tells how it was.
    """
    given = {each.known.key: each for each in arrived if each.known is not None}
    if not given or not limits.most:
        return
    ids = json.dumps([each.embedded.record.id for each in given.values()])
    imported = set() if is_edit else {row[0] for row in connection.execute(_IMPORTED, (ids,))}
    sql = f"{rows.SELECT} WHERE m.docno IN (SELECT value FROM json_each(?))"
    ended: list[tuple[int, int]] = []
    for row in connection.execute(sql, (json.dumps(list(given)),)):
        docno, old = int(str(row[0])), record_of(row)
        if old.id not in imported and rules.is_changed(old, given[docno]):
            ended.append((docno, to_ms(given[docno].place[1])))
    keep(connection, ended, "updated", limits=limits)


def keep(
    connection: apsw.Connection,
    ended: Iterable[tuple[int, int]],
    ending: Ending,
    *,
    limits: VersionLimits,
) -> None:
    """
    Keep the records of docnos, each as it was until a time (ms).

    Of each id remain those that updates ended within *limits*.
    """
    if not (kept := [(docno, until, ending) for docno, until in ended]):
        return
    connection.executemany(_KEEP, kept)
    docnos = json.dumps([each[0] for each in kept])
    sql = "SELECT id FROM memories WHERE docno IN (SELECT value FROM json_each(?))"
    ids = [str(row[0]) for row in connection.execute(sql, (docnos,))]
    oldest = limits.oldest_ms(max(until for _, until, _ in kept))
    connection.executemany(_TRIM, ((each, limits.most, oldest) for each in ids))


def chain(connection: apsw.Connection, ids: Sequence[str]) -> list[str]:
    """Return *ids*, and behind them those whose place they took, however long ago."""
    found = connection.execute(_CHAIN, (json.dumps(list(ids)),))
    return [str(row[0]) for row in found]


def marks(connection: apsw.Connection, ids: Sequence[str]) -> Iterator[tuple[int, bytes]]:
    """Yield scopes, each with the id or the hash of a text that *ids* ever had."""
    sql = """
        SELECT DISTINCT scope, id, content FROM versions
        WHERE id IN (SELECT value FROM json_each(?))
    """
    found = connection.execute(sql, (json.dumps(chain(connection, ids)),))
    for scope, record_id, text in found.fetchall():
        yield int(str(scope)), str(record_id).encode()
        yield int(str(scope)), content_hash(str(text))


def count(connection: apsw.Connection, ids: Sequence[str]) -> int:
    """Return how many versions of *ids* ended."""
    return int(connection.execute(_COUNT, (json.dumps(list(ids)),)).get)


def drop(connection: apsw.Connection, ids: Sequence[str]) -> tuple[int, set[str]]:
    """
    Forget all versions of *ids*, and of those whose place they took.

    Returns how many those were, and which of *ids* had given their place to others.
    """
    if not connection.execute("SELECT EXISTS (SELECT 1 FROM versions)").get:
        return 0, set()
    every = json.dumps(chain(connection, ids))
    sql = """
        SELECT DISTINCT id FROM versions WHERE ending <> 'updated'
        AND id IN (SELECT value FROM json_each(?)) AND id NOT IN (SELECT id FROM memories)
    """
    past = {str(row[0]) for row in connection.execute(sql, (every,))} & set(ids)
    chosen = "IN (SELECT value FROM json_each(?))"
    connection.execute(f"DELETE FROM versions WHERE id {chosen}", (every,))
    dropped = connection.changes()
    connection.execute(
        f"DELETE FROM successors WHERE id {chosen} OR successor {chosen}", (every, every)
    )
    return dropped, past


def drop_outdated(connection: apsw.Connection, now_ms: int, limits: VersionLimits) -> int:
    """Forget the versions whose time is over or that are too many; return how many those were."""
    moves.sweep(connection, now_ms)
    connection.execute("DELETE FROM versions WHERE expires_at <= ?", (now_ms,))
    dropped = connection.changes()
    connection.execute(_SWEEP, (limits.most, limits.oldest_ms(now_ms)))
    return dropped + connection.changes()
