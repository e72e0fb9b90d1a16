"""The rows of transcripts, inside a transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import apsw

from clawstate.clock import from_ms
from clawstate.sqlite import DamagedValueError
from clawstate.stores.transcripts.backends.packing import Blob
from clawstate.stores.transcripts.backends.sqlite import blobs, word_index
from clawstate.stores.transcripts.contract import Listed, Place
from clawstate.stores.transcripts.entries import Entry
from clawstate.stores.transcripts.external_values import cut, join
from clawstate.stores.transcripts.plain_text import indexed_text
from clawstate.stores.transcripts.values import Message, TranscriptInfo

_COLUMNS = "position, id, parent, type, role, timestamp, entry, pieces"
# No position is as high, and it fits into the 64 bits of SQLite.
_LAST = 1 << 62
_HELD = """
SELECT session_id, messages, bytes, leaf, created_at, updated_at, session FROM transcripts
"""


@dataclass(frozen=True, slots=True)
class Session:
    """A session inside a transaction, by the *number* that is short enough for every index."""

    connection: apsw.Connection = field(repr=False)
    number: int
    session_id: str
    leaf: str | None

    def holds(self, entry_id: str) -> bool:
        """Tell whether an entry has this id."""
        return position_of(self.connection, self, entry_id) is not None

    def line(self, entry_id: str) -> str | None:
        """Return the line of an entry."""
        position = position_of(self.connection, self, entry_id)
        return None if position is None else line_at(self.connection, position)

    def newest(self, limit: int) -> Iterator[Mapping[str, Any]]:
        """Give the newest entries."""
        for message in page(self.connection, self, limit=limit, newest=True):
            yield message.entry

    def turn(self, name: str) -> tuple[bytes, list[str]] | None:
        """Return the digest of the turn *name* and the ids of its entries."""
        sql = "SELECT digest, first, last FROM message_turns WHERE session = ? AND turn = ?"
        row = self.connection.execute(sql, (self.number, name)).fetchone()
        if row is None:
            return None
        digest, first, last = row
        sql = "SELECT id FROM messages WHERE session = ? AND position BETWEEN ? AND ?"
        ids = self.connection.execute(f"{sql} ORDER BY position", (self.number, first, last))
        return digest, [each for (each,) in ids]


def find(connection: apsw.Connection, session_id: str) -> Session | None:
    """Return the session *session_id* if it has a transcript."""
    sql = "SELECT session, leaf FROM transcripts WHERE session_id = ?"
    row = connection.execute(sql, (session_id,)).fetchone()
    return None if row is None else Session(connection, row[0], session_id, row[1])


def make(connection: apsw.Connection, session_id: str, header: str, *, now_ms: int) -> Session:
    """Make an empty transcript."""
    connection.execute(
        "INSERT INTO transcripts (session_id, header, created_at, updated_at) VALUES (?, ?, ?, ?)",
        (session_id, header, now_ms, now_ms),
    )
    return Session(connection, int(connection.last_insert_rowid()), session_id, None)


def insert(
    connection: apsw.Connection, session: Session, entry: Entry, ready: Mapping[str, Blob]
) -> tuple[int, int]:
    """Add *entry* to the end, and return its position and its size in bytes."""
    line = entry.line
    kept, pieces = cut(line)
    size = len(line.encode()) + 1
    connection.execute(
        "INSERT INTO messages (session, id, parent, type, role, timestamp, entry, pieces, bytes,"
        " words) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            session.number,
            entry.id,
            entry.parent,
            entry.kind,
            entry.role,
            entry.timestamp_ms,
            kept,
            len(pieces),
            size,
            int(bool(entry.words)),
        ),
    )
    position = int(connection.last_insert_rowid())
    blobs.put(connection, position, pieces, ready)
    if entry.words:
        word_index.add(connection, position, session.number, entry.role, entry.words)
    return position, size


def grow(
    connection: apsw.Connection, session: Session, *, count: int, size: int, leaf: str, now_ms: int
) -> None:
    """Note that *count* entries of *size* bytes were added, the last of them *leaf*."""
    connection.execute(
        # The time never goes back, even if the clock did: listings go by the last change.
        "UPDATE transcripts SET messages = messages + ?, bytes = bytes + ?, leaf = ?,"
        " updated_at = max(updated_at, ?) WHERE session = ?",
        (count, size, leaf, now_ms, session.number),
    )


def position_of(connection: apsw.Connection, session: Session, entry_id: str) -> int | None:
    """Return where the entry *entry_id* stands."""
    sql = "SELECT position FROM messages WHERE session = ? AND id = ?"
    found: int | None = connection.execute(sql, (session.number, entry_id)).get
    return found


def page(
    connection: apsw.Connection,
    session: Session,
    *,
    after: int | None = None,
    before: int | None = None,
    limit: int | None = None,
    newest: bool = False,
) -> Iterator[Message]:
    """Give the entries between two positions, the first few, or the *newest* few backwards."""
    # Without the index by name the planner may walk the table, which other sessions share.
    sql = f"""
        SELECT {_COLUMNS} FROM messages INDEXED BY messages_order
        WHERE session = ? AND position > ? AND position < ?
        ORDER BY position {"DESC" if newest else ""} LIMIT ?
    """
    bounds = (-1 if after is None else after, _LAST if before is None else before)
    most = -1 if limit is None else min(limit, _LAST)
    rows = connection.execute(sql, (session.number, *bounds, most))
    return (_read(connection, session.session_id, row) for row in rows)


def lines(connection: apsw.Connection, session: Session) -> Iterator[str]:
    """Give all lines of *session* behind the header."""
    sql = """
        SELECT position, entry, pieces FROM messages INDEXED BY messages_order
        WHERE session = ? ORDER BY position
    """
    for row in connection.execute(sql, (session.number,)):
        yield _line(connection, *row)


def at(connection: apsw.Connection, position: int) -> Message:
    """Return the entry at *position*, of whichever session."""
    sql = f"""
        SELECT session_id, {_COLUMNS} FROM messages JOIN transcripts USING (session)
        WHERE position = ?
    """
    for session_id, *row in connection.execute(sql, (position,)):
        return _read(connection, session_id, tuple(row))
    raise DamagedValueError("an index of a message that is not there")


def line_at(connection: apsw.Connection, position: int) -> str:
    """Return the line of the entry at *position*."""
    sql = "SELECT position, entry, pieces FROM messages WHERE position = ?"
    for row in connection.execute(sql, (position,)):
        return _line(connection, *row)
    raise DamagedValueError("an index of a message that is not there")


def copy_chain(
    connection: apsw.Connection, old: Session, new: Session, *, end: int | None, now_ms: int
) -> int:
    """Copy to *new* the entries of *old* that lead to the one at *end*; return how many."""
    chain = """
        WITH RECURSIVE chain (position, parent) AS (
            SELECT position, parent FROM messages WHERE position = ?
            UNION ALL
            SELECT m.position, m.parent FROM chain c
            JOIN messages m ON m.session = ? AND m.id = c.parent AND m.position < c.position
        ) SELECT position FROM chain ORDER BY position
    """
    # A parent counts only before its child, so a damaged chain cannot run in a circle.
    positions = [row[0] for row in connection.execute(chain, (end, old.number))]
    size, leaf = 0, ""
    for position in positions:
        message = at(connection, position)
        size += _copy(connection, position, new, indexed_text(message.entry), message.role or None)
        leaf = message.id
    grow(connection, new, count=len(positions), size=size, leaf=leaf, now_ms=now_ms)
    return len(positions)


def remove(connection: apsw.Connection, session: Session) -> None:
    """Remove all of *session*, and the blobs that no other session holds."""
    # Words and blobs first: they are found by the positions, which go with the messages.
    sql = "SELECT json_group_array(position) FROM messages WHERE session = ?"
    positions = connection.execute(sql, (session.number,)).get
    with overwrite_freed(connection):
        word_index.remove(connection, positions)
        blobs.remove(connection, positions)
        for table in ("messages", "message_turns", "transcripts"):
            connection.execute(f"DELETE FROM {table} WHERE session = ?", (session.number,))


@contextmanager
def overwrite_freed(connection: apsw.Connection) -> Iterator[None]:
    """Overwrite what the block frees, so that what was said does not linger in the file."""
    # Only here: overwriting whatever any write frees would cost each of them more pages.
    connection.pragma("secure_delete", 1)
    try:
        yield
    finally:
        connection.pragma("secure_delete", 0)


def scan_info(
    connection: apsw.Connection, condition: str = "", values: tuple[object, ...] = ()
) -> Iterator[Listed]:
    """Give the counts and times of the sessions that meet *condition*."""
    sql = f"{_HELD} {condition}"
    for session_id, count, size, leaf, created, updated, number in connection.execute(sql, values):
        found = TranscriptInfo(session_id, count, size, leaf, from_ms(created), from_ms(updated))
        yield Listed(found, number)


def newest_sessions(
    connection: apsw.Connection, *, limit: int | None = None, after: Place | None = None
) -> Iterator[Listed]:
    """Give the info of the sessions behind the place *after*, the last changed first."""
    condition = "" if after is None else "WHERE (updated_at, session) < (?, ?)"
    order = "ORDER BY updated_at DESC, session DESC LIMIT ?"
    most = _LAST if limit is None else limit
    return scan_info(connection, f"{condition} {order}", (*(after or ()), most))


def stats(connection: apsw.Connection) -> dict[str, int]:
    """Return counts, and sizes in bytes."""
    sql = """
        SELECT count(*), coalesce(sum(messages), 0), coalesce(sum(bytes), 0),
            (SELECT count(*) FROM message_blobs),
            (SELECT coalesce(sum(length(data)), 0) FROM message_blobs),
            (SELECT coalesce(sum(size), 0) FROM message_pieces JOIN message_blobs USING (blob))
        FROM transcripts
    """
    names = ("sessions", "messages", "bytes", "blobs", "blob_bytes", "bytes_in_blobs")
    (row,) = connection.execute(sql)
    return dict(zip(names, row, strict=True))


def _copy(
    connection: apsw.Connection, position: int, new: Session, words: str, role: str | None
) -> int:
    connection.execute(
        "INSERT INTO messages (session, id, parent, type, role, timestamp, entry, pieces, bytes,"
        " words) SELECT ?, id, parent, type, role, timestamp, entry, pieces, bytes, words"
        " FROM messages WHERE position = ?",
        (new.number, position),
    )
    copy = int(connection.last_insert_rowid())
    connection.execute(
        "INSERT INTO message_pieces SELECT ?, number, place, blob FROM message_pieces"
        " WHERE position = ?",
        (copy, position),
    )
    if words:
        word_index.add(connection, copy, new.number, role, words)
    return int(connection.execute("SELECT bytes FROM messages WHERE position = ?", (copy,)).get)


def _read(connection: apsw.Connection, session_id: str, row: tuple[Any, ...]) -> Message:
    position, entry_id, parent, kind, role, timestamp, kept, pieces = row
    entry = json.loads(_line(connection, position, kept, pieces))
    if not isinstance(entry, dict):
        raise DamagedValueError("an entry that is no object")
    moment = from_ms(timestamp)
    return Message(session_id, entry_id, parent, kind, role or "", moment, position, entry)


def _line(connection: apsw.Connection, position: int, kept: str, pieces: int) -> str:
    if not pieces:
        return kept
    found = blobs.pieces(connection, position)
    if len(found) != pieces:
        raise DamagedValueError("an entry without its pieces")
    return join(kept, found)
