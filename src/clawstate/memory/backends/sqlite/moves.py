"""What happened to the records of a database, and what was kept at a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import apsw

from clawstate.clock import from_ms
from clawstate.memory.backends.columns import record_of
from clawstate.memory.backends.sqlite.rows import SELECT
from clawstate.memory.filters import Filter
from clawstate.memory.matching import lets_through
from clawstate.memory.moves import REMEMBERED, Activity, Move
from clawstate.memory.records import MemoryRecord
from clawstate.paging import Position
from clawstate.sqlite import Migration
from clawstate.sqlite.migrations import PartFormat

PART: Final = "forgettings"
"""The name of the table among the parts of the database; it is made when something is forgotten."""

_FORMAT_1 = """
-- That something was forgotten, how much and when, and nothing of it.
CREATE TABLE clawstate_forgettings (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    count INTEGER NOT NULL
) STRICT
"""
_NOTE = "INSERT INTO clawstate_forgettings (at, count) VALUES (?, ?)"
_IS_THERE = "SELECT count(*) FROM sqlite_schema WHERE name = 'clawstate_forgettings'"
# By scope, for the index of the newest; a record that was changed was added once.
_ADDED = """
SELECT m.timestamp AS at, 'added' AS kind, m.id AS id, 1 AS count
    FROM scopes s CROSS JOIN memories m ON m.scope = s.scope
    WHERE m.timestamp BETWEEN ?1 AND ?2 AND (m.expires_at IS NULL OR m.expires_at > ?3)
UNION SELECT v.timestamp, 'added', v.id, 1 FROM versions v
    WHERE v.timestamp BETWEEN ?1 AND ?2 AND (v.expires_at IS NULL OR v.expires_at > ?3)
"""
_MOVES = f"""
{_ADDED}
UNION ALL SELECT v.ended, v.ending, v.id, 1 FROM versions v
    WHERE v.ended BETWEEN ?1 AND ?2 AND (v.expires_at IS NULL OR v.expires_at > ?3)
"""
_FORGOTTEN = """
UNION ALL SELECT f.at, 'forgotten', CAST(f.number AS TEXT), f.count FROM clawstate_forgettings f
    WHERE f.at BETWEEN ?1 AND ?2
"""
_PAGE = """
SELECT at, kind, id, count FROM ({})
WHERE at < ?4 OR (at = ?4 AND kind || ':' || id > ?5)
ORDER BY at DESC, kind || ':' || id LIMIT ?6
"""
_COUNTS = """
SELECT CASE WHEN at < ?4 THEN -1 ELSE (at - ?4) / ?5 END, kind, sum(count) FROM ({})
GROUP BY 1, 2
"""
_SIZES = """
SELECT CASE WHEN m.timestamp < ?1 THEN -1 ELSE (m.timestamp - ?1) / ?2 END,
    sum(octet_length(m.content))
FROM memories m WHERE m.timestamp <= ?3 AND (m.expires_at IS NULL OR m.expires_at > ?4) GROUP BY 1
"""
_KEPT = f"""
SELECT * FROM (
    {SELECT} WHERE m.timestamp <= ?1 AND (m.expires_at IS NULL OR m.expires_at > ?2)
        AND m.id NOT IN (SELECT id FROM versions WHERE ended > ?1)
    UNION ALL
    SELECT v.docno, v.id, s.namespace, v.content, v.source, v.timestamp, v.updated_at,
        v.expires_at, v.category, v.importance, v.thread, v.position, v.metadata, v.tags, v.fields
    FROM versions v JOIN scopes s ON s.scope = v.scope
    WHERE v.began <= ?1 AND v.ended > ?1 AND (v.expires_at IS NULL OR v.expires_at > ?2)
)
WHERE timestamp < ?3 OR (timestamp = ?3 AND id > ?4) ORDER BY timestamp DESC, id
"""
_LAST = 1 << 62


def _first(connection: apsw.Connection) -> None:
    connection.execute(_FORMAT_1)


MIGRATIONS: tuple[Migration, ...] = (_first,)


def note_forgotten(connection: apsw.Connection, count: int, *, now_ms: int) -> None:
    """Note, in the transaction that forgets them, that *count* records are no longer known."""
    if not count:
        return
    if not connection.execute(_IS_THERE).get:
        PartFormat(Path(connection.filename), PART, MIGRATIONS).migrate(connection)
    connection.execute(_NOTE, (now_ms, count))


def sweep(connection: apsw.Connection, now_ms: int) -> None:
    """Let go of what was noted long ago."""
    if connection.execute(_IS_THERE).get:
        sql = "DELETE FROM clawstate_forgettings WHERE at <= ?"
        connection.execute(sql, (now_ms - REMEMBERED,))


def find(
    connection: apsw.Connection,
    bounds: tuple[int, int],
    after: Position | None,
    limit: int,
    *,
    now_ms: int,
) -> list[Move]:
    """Return the next *limit* moves within *bounds* (ms), both included."""
    at, name = _behind(after)
    sql = _PAGE.format(_moves(connection))
    found = connection.execute(sql, (*bounds, now_ms, at, name, limit))
    return [Move(*row) for row in found]


def count(connection: apsw.Connection, spans: tuple[int, int, int], *, now_ms: int) -> Activity:
    """Return how much moved in *spans*: the first moment, the length (ms), and how many."""
    first, step, number = spans
    last = first + step * number - 1
    sql = _COUNTS.format(_moves(connection))
    found = connection.execute(sql, (-_LAST, last, now_ms, first, step))
    counts = {(int(span), kind): int(total) for span, kind, total in found}
    sizes = connection.execute(_SIZES, (first, step, last, now_ms))
    return Activity(counts, {int(span): int(size) for span, size in sizes})


def kept_at(
    connection: apsw.Connection,
    moment_ms: int,
    chosen: Filter,
    after: Position | None,
    limit: int,
    *,
    now_ms: int,
) -> list[MemoryRecord]:
    """Return the next *limit* records of a moment that *chosen* lets through."""
    end = max(moment_ms, now_ms)
    found: list[MemoryRecord] = []
    # In Python: conditions of SQL speak of the table of what is kept.
    for row in connection.execute(_KEPT, (moment_ms, end, *_behind(after))):
        record = record_of(row)
        if lets_through(chosen, record, now=from_ms(end)):
            found.append(record)
            if len(found) == limit:
                break
    return found


def _moves(connection: apsw.Connection) -> str:
    return _MOVES + (_FORGOTTEN if connection.execute(_IS_THERE).get else "")


def _behind(after: Position | None) -> tuple[int, Any]:
    rank, name = after or (-float(_LAST), "")
    return int(max(min(-rank, _LAST), -_LAST)), name
