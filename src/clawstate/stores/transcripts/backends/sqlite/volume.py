"""How much was said, by session and by time, as SQLite counts it."""

from __future__ import annotations

import apsw

from clawstate.stores.transcripts.contract import SessionMessages, Volume

# Only of sessions that changed since are messages read: the others have none of that time.
_SAID = """
SELECT t.session_id, count(*), max(m.timestamp) FROM transcripts t
JOIN messages m ON m.session = t.session
WHERE t.updated_at >= ?1 AND m.timestamp BETWEEN ?1 AND ?2 AND m.role IS NOT NULL
GROUP BY t.session_id ORDER BY t.session_id
"""
_SPAN = "CASE WHEN {0} < ?1 THEN -1 ELSE ({0} - ?1) / ?3 END"
_MESSAGES = f"""
SELECT {_SPAN.format("m.timestamp")}, count(*), sum(m.bytes) FROM messages m
WHERE m.role IS NOT NULL AND m.timestamp <= ?2 GROUP BY 1
"""
_SESSIONS = f"""
SELECT {_SPAN.format("t.created_at")}, count(*) FROM transcripts t
WHERE t.created_at <= ?2 GROUP BY 1
"""


def message_counts(
    connection: apsw.Connection, first_ms: int, last_ms: int
) -> list[SessionMessages]:
    """Return how much was said in each session within times, both included."""
    found = connection.execute(_SAID, (first_ms, last_ms))
    return [SessionMessages(str(name), int(count), int(last)) for name, count, last in found]


def count(connection: apsw.Connection, first_ms: int, step_ms: int, spans: int) -> Volume:
    """Return how much was said in each span."""
    bound = (first_ms, first_ms + step_ms * spans - 1, step_ms)
    messages = connection.execute(_MESSAGES, bound).fetchall()
    sessions = connection.execute(_SESSIONS, bound).fetchall()
    return Volume(
        {int(str(span)): int(str(number)) for span, number, _ in messages},
        {int(str(span)): int(str(size)) for span, _, size in messages},
        {int(str(span)): int(str(number)) for span, number in sessions},
    )
