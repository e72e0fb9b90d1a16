"""What is wrong with the transcripts: counts, words, blobs, chains and calls."""

from __future__ import annotations

from collections.abc import Iterator

from clawstate.postgres.transaction import Transaction
from clawstate.quantities import number_of
from clawstate.sqlite import DamagedValueError
from clawstate.stores.transcripts import tool_calls, turns
from clawstate.stores.transcripts.backends import packing
from clawstate.stores.transcripts.backends.postgres import rows
from clawstate.stores.transcripts.backends.postgres.word_search import MARKS, stems_of
from clawstate.stores.transcripts.plain_text import indexed_text

_COUNTS = {
    "{} sessions note another number or size of messages than they hold": """
        SELECT count(*) FROM clawstate.transcripts t WHERE t.tenant = %(tenant)s
            AND (t.messages, t.bytes) <> (
                SELECT count(*), coalesce(sum(m.bytes), 0) FROM clawstate.messages m
                WHERE m.tenant = t.tenant AND m.session = t.session)
    """,
    "{} messages belong to no session": """
        SELECT count(*) FROM clawstate.messages m WHERE m.tenant = %(tenant)s AND NOT EXISTS (
            SELECT 1 FROM clawstate.transcripts t
            WHERE t.tenant = m.tenant AND t.session = m.session)
    """,
    "{} messages lack pieces": """
        SELECT count(*) FROM clawstate.messages m WHERE m.tenant = %(tenant)s AND m.pieces > 0
            AND m.pieces <> (SELECT count(*) FROM clawstate.message_pieces p
                JOIN clawstate.message_blobs b ON b.tenant = p.tenant AND b.blob = p.blob
                WHERE p.tenant = m.tenant AND p.position = m.position)
    """,
    "{} blobs belong to no message": """
        SELECT count(*) FROM clawstate.message_blobs b WHERE b.tenant = %(tenant)s AND NOT EXISTS (
            SELECT 1 FROM clawstate.message_pieces p
            WHERE p.tenant = b.tenant AND p.blob = b.blob)
    """,
}
_WORDS = {
    "{} sessions note another number of words than they hold": """
        SELECT count(*) FROM clawstate.transcripts t WHERE t.tenant = %(tenant)s
            AND (t.worded, t.tokens) <> (
                SELECT count(*) FILTER (WHERE m.length > 0), coalesce(sum(m.length), 0)
                FROM clawstate.messages m WHERE m.tenant = t.tenant AND m.session = t.session)
    """,
}
_BROKEN_CHAINS = """
SELECT t.session_id, count(*) FROM clawstate.messages m
JOIN clawstate.transcripts t ON t.tenant = m.tenant AND t.session = m.session
WHERE m.tenant = %(tenant)s AND m.parent IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM clawstate.messages p WHERE p.tenant = m.tenant AND p.session = m.session
    AND p.id = m.parent AND p.position < m.position)
GROUP BY t.session, t.session_id ORDER BY t.session
"""
_BLOBS = """
SELECT blob, sha256, packed, data, size FROM clawstate.message_blobs
WHERE tenant = %(tenant)s AND blob > %(after)s ORDER BY blob LIMIT 64
"""
_STEMS = """
SELECT position, stems FROM clawstate.messages
WHERE tenant = %(tenant)s AND position = ANY(%(positions)s::bigint[])
"""
_PUT_STEMS = """
UPDATE clawstate.messages SET stems = %(stems)s, length = %(length)s
WHERE tenant = %(tenant)s AND position = %(position)s
"""
_RECOUNT = """
UPDATE clawstate.transcripts t SET (worded, tokens) = (
    SELECT count(*) FILTER (WHERE m.length > 0), coalesce(sum(m.length), 0)
    FROM clawstate.messages m WHERE m.tenant = t.tenant AND m.session = t.session)
WHERE t.tenant = %(tenant)s
"""


def check(within: Transaction, *, deep: bool) -> Iterator[tuple[str, str]]:
    """
    Give what is wrong with the tables, each as a code of `turns.finding` and a sentence.

    *deep* reads every message.
    """
    yield from _count(within, turns.DAMAGE, _COUNTS)
    if deep:
        yield from _count(within, turns.INDEX, _WORDS)
        yield from _blobs(within)
        yield from _entries(within)


def find_orphans(within: Transaction) -> Iterator[str]:
    """Give what was kept as it came, but does not fit together: chains and results of tools."""
    for session_id, count in within.rows(_BROKEN_CHAINS):
        yield turns.broken_chain(session_id, count)
    for session in _sessions(within):
        pages = rows.page(session)
        orphans = list(tool_calls.orphans((each.id, each.entry) for each in pages))
        if orphans:
            yield turns.orphan_results(session.session_id, orphans)


def rebuild_words(within: Transaction) -> None:
    """Make the words anew from the messages."""
    for session in _sessions(within):
        for position, stems in list(_wrong_words(within, session)):
            put_words(within, position, stems)
        within.go_on()
    recount(within)


def put_words(within: Transaction, position: int, stems: list[str] | None) -> None:
    """Note the stems of the words of the message at *position*."""
    length = 0 if stems is None else len(stems) + MARKS
    within.run(_PUT_STEMS, position=position, stems=stems, length=length)


def recount(within: Transaction) -> None:
    """Count the words of each session anew."""
    within.run(_RECOUNT)


def _sessions(within: Transaction) -> Iterator[rows.Session]:
    for each in rows.newest_sessions(within):
        session = rows.find(within, each.info.session_id)
        if session is not None:
            yield session


def _wrong_words(
    within: Transaction, session: rows.Session
) -> Iterator[tuple[int, list[str] | None]]:
    """Give positions whose words are not those of their messages, with what they should be."""
    wanted: dict[int, list[str] | None] = {}
    for message in rows.page(session):
        words = indexed_text(message.entry)
        wanted[message.position] = stems_of(words) if words else None
    kept: dict[int, list[str] | None] = dict(within.rows(_STEMS, positions=list(wanted)))
    for position, stems in wanted.items():
        if kept.get(position) != stems:
            yield position, stems


def _count(within: Transaction, code: str, checks: dict[str, str]) -> Iterator[tuple[str, str]]:
    for sentence, sql in checks.items():
        if count := within.one(sql):
            yield code, sentence.format(count)


def _blobs(within: Transaction) -> Iterator[tuple[str, str]]:
    # By its own name: a blob is shared, so one that changed would be wrong in all that hold it.
    bad, after = 0, 0
    while found := within.rows(_BLOBS, after=after):
        for blob, sha256, packed, data, size in found:
            after = blob
            try:
                bad += packing.digest(packing.unpack(packed, data, size)) != sha256
            except (DamagedValueError, UnicodeDecodeError):
                bad += 1
    if bad:
        yield turns.DAMAGE, f"{number_of(bad, 'blob does', 'blobs do')} not hold what the name says"


def _entries(within: Transaction) -> Iterator[tuple[str, str]]:
    bad = wrong = 0
    for session in _sessions(within):
        try:
            wrong += sum(1 for _ in _wrong_words(within, session))
        except (DamagedValueError, ValueError):
            bad += 1
    if bad:
        sessions = number_of(bad, "session", "sessions")
        yield turns.DAMAGE, f"messages of {sessions} cannot be read"
    if wrong:
        messages = number_of(wrong, "message")
        yield turns.INDEX, f"the word index has other words of {messages} than their texts"
