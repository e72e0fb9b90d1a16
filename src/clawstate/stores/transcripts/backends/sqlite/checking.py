"""What is wrong with the transcripts: counts, indexes, blobs, chains and calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import apsw

from clawstate.quantities import number_of
from clawstate.sqlite import DamagedValueError
from clawstate.sqlite.errors import damage
from clawstate.stores.transcripts import tool_calls, turns
from clawstate.stores.transcripts.backends import packing
from clawstate.stores.transcripts.backends.sqlite import rows, word_index
from clawstate.stores.transcripts.plain_text import indexed_text

_COUNTS = {
    "{} sessions note another number or size of messages than they hold": """
        SELECT count(*) FROM transcripts t WHERE (t.messages, t.bytes) <> (
            SELECT count(*), coalesce(sum(bytes), 0) FROM messages m WHERE m.session = t.session)
    """,
    "{} messages belong to no session": """
        SELECT count(*) FROM messages WHERE session NOT IN (SELECT session FROM transcripts)
    """,
    "{} messages lack pieces": """
        SELECT count(*) FROM messages m WHERE pieces > 0 AND pieces <> (
            SELECT count(*) FROM message_pieces p JOIN message_blobs USING (blob)
            WHERE p.position = m.position)
    """,
    "{} blobs belong to no message": """
        SELECT count(*) FROM message_blobs WHERE blob NOT IN (SELECT blob FROM message_pieces)
    """,
}
_WORDS = {
    "the word index lacks {} messages": """
        SELECT count(*) FROM messages
        WHERE words = 1 AND position NOT IN (SELECT rowid FROM message_words)
    """,
    "the word index has {} rows that belong to no message": """
        SELECT count(*) FROM message_words
        WHERE rowid NOT IN (SELECT position FROM messages WHERE words = 1)
    """,
}
_BROKEN_CHAINS = """
SELECT t.session_id, count(*) FROM messages m JOIN transcripts t USING (session)
WHERE m.parent IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM messages p WHERE p.session = m.session AND p.id = m.parent
    AND p.position < m.position)
GROUP BY m.session
"""

_INDEX = "message_words"


def check(connection: apsw.Connection, *, deep: bool) -> Iterator[tuple[str, str]]:
    """
    Give what is wrong with the tables, each as a code of `turns.finding` and a sentence.

    *deep* reads every message.
    """
    for sentence in damage(connection, deep=deep):
        # What SQLite says of the word index is mended from the messages; all else needs a backup.
        yield (turns.INDEX if _INDEX in sentence else turns.DAMAGE), sentence
    yield from _count(connection, turns.DAMAGE, _COUNTS)
    if deep:
        yield from _count(connection, turns.INDEX, _WORDS)
        yield from _blobs(connection)
        yield from _entries(connection)


def find_orphans(connection: apsw.Connection) -> Iterator[str]:
    """Give what was kept as it came, but does not fit together: chains and results of tools."""
    broken = cast("list[tuple[str, int]]", connection.execute(_BROKEN_CHAINS).fetchall())
    for session_id, count in broken:
        yield turns.broken_chain(session_id, count)
    for info in [each.info for each in rows.newest_sessions(connection)]:
        session = rows.find(connection, info.session_id)
        if session is None:
            continue
        pages = rows.page(connection, session)
        orphans = list(tool_calls.orphans((each.id, each.entry) for each in pages))
        if orphans:
            yield turns.orphan_results(info.session_id, orphans)


def rebuild_words(connection: apsw.Connection) -> None:
    """Make the word index anew from the messages."""
    connection.execute("INSERT INTO message_words (message_words) VALUES ('delete-all')")
    for info in [each.info for each in rows.newest_sessions(connection)]:
        session = rows.find(connection, info.session_id)
        if session is None:
            continue
        for message in rows.page(connection, session):
            words = indexed_text(message.entry)
            connection.execute(
                # Only where the mark is wrong: a rebuild writes the index, and hardly a row of the
                # messages.
                "UPDATE messages SET words = ? WHERE position = ? AND words <> ?",
                (int(bool(words)), message.position, int(bool(words))),
            )
            if words:
                role = message.role or None
                word_index.add(connection, message.position, session.number, role, words)


def _count(
    connection: apsw.Connection, code: str, checks: dict[str, str]
) -> Iterator[tuple[str, str]]:
    for sentence, sql in checks.items():
        if count := connection.execute(sql).get:
            yield code, sentence.format(count)


def _blobs(connection: apsw.Connection) -> Iterator[tuple[str, str]]:
    # By its own name: a blob is shared, so one that changed would be wrong in all that hold it.
    sql = "SELECT sha256, packed, data, size FROM message_blobs"
    bad = 0
    for sha256, packed, data, size in connection.execute(sql):
        try:
            text = packing.unpack(packed, data, size)
            bad += packing.digest(text) != sha256
        except (DamagedValueError, UnicodeDecodeError):
            bad += 1
    if bad:
        yield turns.DAMAGE, f"{number_of(bad, 'blob does', 'blobs do')} not hold what the name says"


def _entries(connection: apsw.Connection) -> Iterator[tuple[str, str]]:
    sql = "SELECT position, entry FROM messages WHERE NOT json_valid(entry)"
    if bad := len(connection.execute(sql).fetchall()):
        yield turns.DAMAGE, f"{number_of(bad, 'message is', 'messages are')} no JSON"
