"""How much was said, by session and by time, as PostgreSQL counts it."""

from __future__ import annotations

from clawstate.postgres.transaction import Transaction
from clawstate.stores.transcripts.contract import SessionMessages, Volume

# Only of sessions that changed since are messages read: the others have none of that time.
_SAID = """
SELECT t.session_id, count(*), max(m.timestamp) FROM clawstate.transcripts t
JOIN clawstate.messages m ON m.tenant = t.tenant AND m.session = t.session
WHERE t.tenant = %(tenant)s AND t.updated_at >= %(first)s
    AND m.timestamp BETWEEN %(first)s AND %(last)s AND m.role IS NOT NULL
GROUP BY t.session_id ORDER BY t.session_id
"""
_SPAN = "CASE WHEN {0} < %(first)s THEN -1 ELSE ({0} - %(first)s) / %(step)s END"
_MESSAGES = f"""
SELECT {_SPAN.format("m.timestamp")}, count(*), sum(m.bytes)::bigint FROM clawstate.messages m
WHERE m.tenant = %(tenant)s AND m.role IS NOT NULL AND m.timestamp <= %(last)s GROUP BY 1
"""
_SESSIONS = f"""
SELECT {_SPAN.format("t.created_at")}, count(*) FROM clawstate.transcripts t
WHERE t.tenant = %(tenant)s AND t.created_at <= %(last)s GROUP BY 1
"""


def message_counts(within: Transaction, first_ms: int, last_ms: int) -> list[SessionMessages]:
    """Return how much was said in each session within times, both included."""
    return [SessionMessages(*row) for row in within.rows(_SAID, first=first_ms, last=last_ms)]


def count(within: Transaction, first_ms: int, step_ms: int, spans: int) -> Volume:
    """Return how much was said in each span."""
    bound = {"first": first_ms, "last": first_ms + step_ms * spans - 1, "step": step_ms}
    messages = within.rows(_MESSAGES, **bound)
    return Volume(
        {span: number for span, number, _ in messages},
        {span: size for span, _, size in messages},
        dict(within.rows(_SESSIONS, **bound)),
    )
