"""What happened to the records of a memory in PostgreSQL, and what was kept at a moment."""

from __future__ import annotations

from clawstate.clock import from_ms
from clawstate.memory.backends.columns import record_of
from clawstate.memory.backends.postgres.rows import COLUMNS, SELECT_PAST
from clawstate.memory.filters import Filter
from clawstate.memory.matching import lets_through
from clawstate.memory.moves import REMEMBERED, Activity, Move
from clawstate.memory.records import MemoryRecord, position_of
from clawstate.paging import Position
from clawstate.postgres.transaction import Transaction

_LIVE = "(k.expires_at IS NULL OR k.expires_at > %(now)s)"
_RANGE = "BETWEEN %(first)s AND %(last)s"
# A record that was changed was added once.
_MOVES = f"""
SELECT k.created_at AS at, 'added' AS kind, k.id AS id, 1::bigint AS count
    FROM clawstate.memory_records k
    WHERE k.tenant = %(tenant)s AND k.created_at {_RANGE} AND {_LIVE}
UNION SELECT k.created_at, 'added', k.id, 1 FROM clawstate.memory_versions k
    WHERE k.tenant = %(tenant)s AND k.created_at {_RANGE} AND {_LIVE}
UNION ALL SELECT k.ended, k.ending, k.id, 1 FROM clawstate.memory_versions k
    WHERE k.tenant = %(tenant)s AND k.ended {_RANGE} AND {_LIVE}
UNION ALL SELECT k.at, 'forgotten', k.number::text, k.count FROM clawstate.memory_forgettings k
    WHERE k.tenant = %(tenant)s AND k.at {_RANGE}
"""
_NAME = """(kind || ':' || id) COLLATE "C\""""
_PAGE = f"""
SELECT at, kind, id, count FROM ({_MOVES}) moved
WHERE at < %(at)s OR (at = %(at)s AND {_NAME} > %(name)s)
ORDER BY at DESC, {_NAME} LIMIT %(limit)s
"""
_SPAN = "CASE WHEN {0} < %(begin)s THEN -1 ELSE ({0} - %(begin)s) / %(step)s END"
_COUNTS = f"""
SELECT {_SPAN.format("at")}, kind, sum(count)::bigint FROM ({_MOVES}) moved GROUP BY 1, 2
"""
_SIZES = f"""
SELECT {_SPAN.format("k.created_at")}, sum(octet_length(k.content))::bigint
FROM clawstate.memory_records k
WHERE k.tenant = %(tenant)s AND k.created_at <= %(last)s AND {_LIVE} GROUP BY 1
"""
_LEFT = f"""
SELECT {COLUMNS} FROM clawstate.memory_records m
JOIN clawstate.memory_scopes s ON s.tenant = m.tenant AND s.scope = m.scope
WHERE m.tenant = %(tenant)s AND m.created_at <= %(moment)s
    AND (m.expires_at IS NULL OR m.expires_at > %(end)s)
    AND NOT EXISTS (SELECT 1 FROM clawstate.memory_versions v
        WHERE v.tenant = m.tenant AND v.id = m.id AND v.ended > %(moment)s)
    AND (m.created_at < %(at)s OR (m.created_at = %(at)s AND m.id > %(name)s))
ORDER BY m.created_at DESC, m.id
"""
_CAME = f"""
{SELECT_PAST} WHERE v.tenant = %(tenant)s AND v.began <= %(moment)s AND v.ended > %(moment)s
    AND (v.expires_at IS NULL OR v.expires_at > %(end)s)
    AND (v.created_at < %(at)s OR (v.created_at = %(at)s AND v.id > %(name)s))
ORDER BY v.created_at DESC, v.id
"""
_NOTE = """
INSERT INTO clawstate.memory_forgettings (tenant, at, count)
VALUES (%(tenant)s, %(at)s, %(count)s)
"""
_FORGET = "DELETE FROM clawstate.memory_forgettings WHERE tenant = %(tenant)s AND at <= %(at)s"
_LAST = 1 << 62


def note_forgotten(within: Transaction, count: int, *, now_ms: int) -> None:
    """Note, in the transaction that forgets them, that *count* records are no longer known."""
    if count:
        within.run(_NOTE, at=now_ms, count=count)


def sweep(within: Transaction, now_ms: int) -> None:
    """Let go of what was noted long ago."""
    within.run(_FORGET, at=now_ms - REMEMBERED)


def find(
    within: Transaction,
    bounds: tuple[int, int],
    after: Position | None,
    limit: int,
    *,
    now_ms: int,
) -> list[Move]:
    """Return the next *limit* moves within *bounds* (ms), both included."""
    first, last = bounds
    at, name = _behind(after)
    found = within.rows(
        _PAGE, first=first, last=last, now=now_ms, at=at, name=name, limit=min(limit, _LAST)
    )
    return [Move(*row) for row in found]


def count(within: Transaction, spans: tuple[int, int, int], *, now_ms: int) -> Activity:
    """Return how much moved in *spans*: the first moment, the length (ms), and how many."""
    first, step, number = spans
    bound = {"last": first + step * number - 1, "now": now_ms, "begin": first, "step": step}
    found = within.rows(_COUNTS, first=-_LAST, **bound)
    counts = {(int(span), kind): int(total) for span, kind, total in found}
    sizes = within.rows(_SIZES, **bound)
    return Activity(counts, {int(span): int(size) for span, size in sizes})


def kept_at(
    within: Transaction,
    moment_ms: int,
    chosen: Filter,
    after: Position | None,
    limit: int,
    *,
    now_ms: int,
) -> list[MemoryRecord]:
    """Return the next *limit* records of a moment that *chosen* lets through."""
    end = max(moment_ms, now_ms)
    at, name = _behind(after)
    bound = {"moment": moment_ms, "end": end, "at": at, "name": name}
    rows = [*within.rows(_LEFT, **bound), *within.rows(_CAME, **bound)]
    # In Python: conditions of SQL speak of the table of what is kept.
    records = sorted(map(record_of, rows), key=position_of)
    found = (each for each in records if lets_through(chosen, each, now=from_ms(end)))
    return [record for record, _ in zip(found, range(limit), strict=False)]


def _behind(after: Position | None) -> tuple[int, str]:
    rank, name = after or (-float(_LAST), "")
    return int(max(min(-rank, _LAST), -_LAST)), name
