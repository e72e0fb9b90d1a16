"""The records of memory by the time they were made, from an index."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import islice
from typing import Final

import apsw

from clawstate.memory.backends.columns import record_of
from clawstate.memory.backends.sqlite.conditions import Bound, sql_of
from clawstate.memory.backends.sqlite.rows import SELECT
from clawstate.memory.backends.sqlite.writing import scope_of
from clawstate.memory.filters import Filter
from clawstate.memory.records import MemoryRecord, position_of
from clawstate.paging import Position

NEWEST: Final = """
CREATE INDEX IF NOT EXISTS memories_newest ON memories (scope, timestamp DESC, id)
"""
"""Is made by the first write, and no format of its own: without it reading sorts."""


def is_listed(connection: apsw.Connection) -> bool:
    """Tell whether the index is there."""
    # Looked up, since an index that this process made itself may be rolled back with its write.
    sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'memories_newest'"
    return bool(connection.execute(sql).get)


def newest(
    connection: apsw.Connection, chosen: Filter, after: Position | None, limit: int, *, now_ms: int
) -> Iterator[MemoryRecord]:
    """Give the first *limit* records behind *after* that *chosen* lets through."""
    if chosen.namespace is None:
        scopes = [int(row[0]) for row in connection.execute("SELECT scope FROM scopes")]
    else:
        found = scope_of(connection, chosen.namespace)
        scopes = [] if found is None else [found]
    conditions = [sql_of(chosen, scope=scope, now_ms=now_ms) for scope in scopes]
    # The index is by scope: a walk in each and a merge, in place of sorting all records.
    each = [_newest(connection, condition, after, limit) for condition in conditions]
    return islice(heapq.merge(*each, key=position_of), limit)


def _newest(
    connection: apsw.Connection, condition: Bound, after: Position | None, limit: int
) -> Iterator[MemoryRecord]:
    text, values = condition
    rank, last = after or (-float("inf"), "")
    # Of one moment those behind the id, then all that are older: each is a range of the index.
    same = f"{SELECT} WHERE m.timestamp = ? AND m.id > ? AND {text} ORDER BY m.id LIMIT ?"
    older = f"{SELECT} WHERE m.timestamp < ? AND {text} ORDER BY m.timestamp DESC, m.id LIMIT ?"
    rows = connection.execute(same, (-rank, last, *values, limit)).fetchall()
    if len(rows) < limit:
        rows += connection.execute(older, (-rank, *values, limit - len(rows))).fetchall()
    return map(record_of, rows)
