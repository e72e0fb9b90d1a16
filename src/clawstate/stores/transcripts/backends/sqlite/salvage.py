"""Make what was saved of damaged transcripts fit together again."""

from __future__ import annotations

from typing import Any

import apsw

from clawstate.sqlite import DamagedValueError
from clawstate.sqlite.change_log import note_changes
from clawstate.sqlite.salvage import Saved
from clawstate.stores.transcripts.backends.sqlite import checking, rows
from clawstate.stores.transcripts.backends.sqlite.schema import MIGRATIONS, PART
from clawstate.stores.transcripts.entries import header_of

_WHOLE = """
    SELECT count(*) FROM message_pieces p JOIN message_blobs USING (blob)
    WHERE p.position = messages.position
"""
_LAST = """
    SELECT id FROM messages m WHERE m.session = transcripts.session ORDER BY position DESC LIMIT 1
"""


def mend(connection: apsw.Connection, now: float) -> Saved:
    """
    Name lost sessions anew, remove what cannot be read, and derive the rest anew.

    Returns how many messages were saved.
    """
    one = connection.execute
    noted: int = one("SELECT coalesce(sum(messages), 0) FROM transcripts").get
    one("INSERT OR IGNORE INTO clawstate_parts VALUES (?, ?)", (PART, len(MIGRATIONS)))
    lost = "SELECT DISTINCT session FROM messages"
    for (number,) in one(
        f"{lost} WHERE session NOT IN (SELECT session FROM transcripts)"
    ).fetchall():
        name = f"recovered-{number}"
        one(
            "INSERT INTO transcripts (session, session_id, header, created_at, updated_at)"
            " SELECT ?, ?, ?, min(timestamp), max(timestamp) FROM messages WHERE session = ?",
            (number, name, header_of(name, now=now, cwd="/"), number),
        )
    one(f"DELETE FROM messages WHERE pieces > 0 AND pieces <> ({_WHOLE})")
    positions: list[Any] = one("SELECT position FROM messages").fetchall()
    for (position,) in positions:
        try:
            rows.at(connection, position)
        except (DamagedValueError, ValueError, TypeError, LookupError, ArithmeticError):
            one("DELETE FROM messages WHERE position = ?", (position,))
    one("DELETE FROM message_pieces WHERE position NOT IN (SELECT position FROM messages)")
    one("DELETE FROM message_blobs WHERE blob NOT IN (SELECT blob FROM message_pieces)")
    one("DELETE FROM message_turns WHERE session NOT IN (SELECT session FROM transcripts)")
    one(
        "UPDATE transcripts SET"
        " messages = (SELECT count(*) FROM messages m WHERE m.session = transcripts.session),"
        " bytes = (SELECT coalesce(sum(bytes), 0) FROM messages m"
        "  WHERE m.session = transcripts.session)"
    )
    one(
        f"UPDATE transcripts SET leaf = ({_LAST}) WHERE leaf IS NULL OR NOT EXISTS"
        " (SELECT 1 FROM messages m WHERE m.session = transcripts.session AND m.id = leaf)"
    )
    checking.rebuild_words(connection)
    note_changes(connection, PART, [each for (each,) in one("SELECT session_id FROM transcripts")])
    return Saved(noted, one("SELECT count(*) FROM messages").get)
