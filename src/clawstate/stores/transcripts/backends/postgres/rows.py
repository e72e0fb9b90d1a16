"""The rows of transcripts, inside a transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clawstate.clock import from_ms
from clawstate.postgres.names import decode_text, encode_text
from clawstate.postgres.transaction import Row, Transaction
from clawstate.sqlite import DamagedValueError
from clawstate.stores.transcripts.backends.packing import Blob
from clawstate.stores.transcripts.backends.postgres import blobs
from clawstate.stores.transcripts.backends.postgres.word_search import MARKS, stems_of
from clawstate.stores.transcripts.contract import Listed, Place
from clawstate.stores.transcripts.entries import Entry
from clawstate.stores.transcripts.external_values import cut, join
from clawstate.stores.transcripts.values import Message, TranscriptInfo

_COLUMNS = "m.position, m.id, m.parent, m.type, m.role, m.timestamp, m.entry, m.pieces"
_LAST = (1 << 63) - 1
_PAGE = 500  # lines that are read at once

_FIND = """
SELECT session, leaf FROM clawstate.transcripts
WHERE tenant = %(tenant)s AND session_id = %(session_id)s
"""
_HEADER = """
SELECT header FROM clawstate.transcripts WHERE tenant = %(tenant)s AND session = %(session)s
"""
_MAKE = """
INSERT INTO clawstate.transcripts (tenant, session_id, header, created_at, updated_at)
VALUES (%(tenant)s, %(session_id)s, %(header)s, %(now)s, %(now)s) ON CONFLICT DO NOTHING
"""
_INSERT = """
INSERT INTO clawstate.messages (tenant, session, id, parent, type, role, timestamp, entry, pieces,
    bytes, stems, length)
VALUES (%(tenant)s, %(session)s, %(id)s, %(parent)s, %(type)s, %(role)s, %(timestamp)s, %(entry)s,
    %(pieces)s, %(bytes)s, %(stems)s, %(length)s) RETURNING position
"""
# The time never goes back, even if the clock did: listings go by the last change.
_GROW = """
UPDATE clawstate.transcripts SET messages = messages + %(count)s, bytes = bytes + %(size)s,
    leaf = %(leaf)s, updated_at = greatest(updated_at, %(now)s), worded = worded + %(worded)s,
    tokens = tokens + %(tokens)s
WHERE tenant = %(tenant)s AND session = %(session)s
"""
_POSITION = """
SELECT position FROM clawstate.messages
WHERE tenant = %(tenant)s AND session = %(session)s AND id = %(id)s
"""
_BETWEEN = f"""
SELECT {_COLUMNS} FROM clawstate.messages m
WHERE m.tenant = %(tenant)s AND m.session = %(session)s
    AND m.position > %(after)s AND m.position < %(before)s ORDER BY m.position {{}} LIMIT %(limit)s
"""
_AT = f"""
SELECT {_COLUMNS}, t.session_id FROM clawstate.messages m
JOIN clawstate.transcripts t ON t.tenant = m.tenant AND t.session = m.session
WHERE m.tenant = %(tenant)s AND m.position = ANY(%(positions)s::bigint[])
"""
# A parent counts only before its child, so a damaged chain cannot run in a circle.
_CHAIN = """
WITH RECURSIVE chain (position, parent) AS (
    SELECT position, parent FROM clawstate.messages
    WHERE tenant = %(tenant)s AND position = %(end)s
    UNION ALL
    SELECT m.position, m.parent FROM chain c JOIN clawstate.messages m ON m.tenant = %(tenant)s
        AND m.session = %(old)s AND m.id = c.parent AND m.position < c.position)
SELECT position FROM chain ORDER BY position
"""
_COPY = """
INSERT INTO clawstate.messages (tenant, session, id, parent, type, role, timestamp, entry, pieces,
    bytes, stems, length)
SELECT tenant, %(new)s, id, parent, type, role, timestamp, entry, pieces, bytes, stems, length
FROM clawstate.messages WHERE tenant = %(tenant)s AND position = %(position)s
RETURNING position, id, bytes, length
"""
_COPY_PIECES = """
INSERT INTO clawstate.message_pieces
SELECT tenant, %(copy)s, number, place, blob FROM clawstate.message_pieces
WHERE tenant = %(tenant)s AND position = %(position)s
"""
_TURN = """
SELECT digest, first, last FROM clawstate.message_turns
WHERE tenant = %(tenant)s AND session = %(session)s AND name_hash = %(hash)s
"""
_PUT_TURN = """
INSERT INTO clawstate.message_turns VALUES
(%(tenant)s, %(session)s, %(hash)s, %(turn)s, %(digest)s, %(first)s, %(last)s)
"""
_IDS = """
SELECT id FROM clawstate.messages WHERE tenant = %(tenant)s AND session = %(session)s
    AND position BETWEEN %(first)s AND %(last)s ORDER BY position
"""
_INFO = """
SELECT session_id, messages, bytes, leaf, created_at, updated_at, session
FROM clawstate.transcripts WHERE tenant = %(tenant)s
"""
_STATS = """
SELECT count(*), coalesce(sum(messages), 0)::bigint, coalesce(sum(bytes), 0)::bigint,
    (SELECT count(*) FROM clawstate.message_blobs WHERE tenant = %(tenant)s),
    (SELECT coalesce(sum(octet_length(data)), 0)::bigint FROM clawstate.message_blobs
        WHERE tenant = %(tenant)s),
    (SELECT coalesce(sum(b.size), 0)::bigint FROM clawstate.message_pieces p
        JOIN clawstate.message_blobs b ON b.tenant = p.tenant AND b.blob = p.blob
        WHERE p.tenant = %(tenant)s)
FROM clawstate.transcripts WHERE tenant = %(tenant)s
"""
_DROP = "DELETE FROM clawstate.{} WHERE tenant = %(tenant)s AND session = %(session)s"


@dataclass(frozen=True, slots=True)
class Added:
    """What an entry added: where it stands, its size in bytes, and its tokens."""

    id: str
    position: int
    size: int
    length: int


@dataclass(frozen=True, slots=True)
class Session:
    """A session inside a transaction, by the *number* that is short enough for every index."""

    within: Transaction = field(repr=False)
    number: int
    session_id: str
    leaf: str | None

    def holds(self, entry_id: str) -> bool:
        """Tell whether an entry has this id."""
        return position_of(self, entry_id) is not None

    def line(self, entry_id: str) -> str | None:
        """Return the line of an entry."""
        position = position_of(self, entry_id)
        if position is None:
            return None
        ((*row, _),) = self.within.rows(_AT, positions=[position])
        return next(_lines(self.within, [tuple(row)]))

    def newest(self, limit: int) -> Iterator[Mapping[str, Any]]:
        """Give the newest entries."""
        for message in page(self, limit=limit, newest=True):
            yield message.entry

    def turn(self, name: str) -> tuple[bytes, list[str]] | None:
        """Return the digest of the turn *name* and the ids of its entries."""
        found = self.within.rows(_TURN, session=self.number, hash=_hash(name))
        if not found:
            return None
        digest, first, last = found[0]
        ids = self.within.rows(_IDS, session=self.number, first=first, last=last)
        return digest, [decode_text(row[0]) for row in ids]

    def put_turn(self, name: str, digest: bytes, added: Sequence[Added]) -> None:
        """Note that *added* are the entries of the turn *name*."""
        self.within.run(
            _PUT_TURN,
            session=self.number,
            hash=_hash(name),
            turn=encode_text(name),
            digest=digest,
            first=added[0].position,
            last=added[-1].position,
        )


def find(within: Transaction, session_id: str, lock: str = "") -> Session | None:
    """Return the session *session_id* if it has a transcript; *lock* as behind a SELECT."""
    rows = within.rows(f"{_FIND} {lock}", session_id=encode_text(session_id))
    if not rows:
        return None
    number, leaf = rows[0]
    return Session(within, number, session_id, None if leaf is None else decode_text(leaf))


def hold(within: Transaction, session_id: str, header: str, *, now_ms: int) -> Session:
    """Return the session *session_id*, made if need be, which nobody else changes meanwhile."""
    while (found := find(within, session_id, "FOR UPDATE")) is None:
        name = encode_text(session_id)
        within.run(_MAKE, session_id=name, header=encode_text(header), now=now_ms)
    return found


def header_of(session: Session) -> str:
    """Return the first line of a session."""
    return decode_text(session.within.one(_HEADER, session=session.number))


def info(within: Transaction, session_id: str) -> Listed | None:
    """Return the counts and times of one session."""
    condition = "AND session_id = %(session_id)s"
    return next(iter(infos(within, condition, session_id=encode_text(session_id))), None)


def insert(session: Session, entry: Entry, ready: Mapping[str, Blob]) -> Added:
    """Add *entry* to the end."""
    line = entry.line
    kept, pieces = cut(line)
    size = len(line.encode()) + 1
    stems = stems_of(entry.words) if entry.words else None
    length = 0 if stems is None else len(stems) + MARKS
    position = session.within.one(
        _INSERT,
        session=session.number,
        id=encode_text(str(entry.id)),
        parent=None if entry.parent is None else encode_text(entry.parent),
        type=encode_text(entry.kind),
        role=None if entry.role is None else encode_text(entry.role),
        timestamp=entry.timestamp_ms,
        entry=encode_text(kept),
        pieces=len(pieces),
        bytes=size,
        stems=stems,
        length=length,
    )
    blobs.put(session.within, position, pieces, ready)
    return Added(str(entry.id), position, size, length)


def grow(session: Session, added: Sequence[Added], *, now_ms: int) -> None:
    """Note that *added* were added."""
    if added:
        session.within.run(
            _GROW,
            session=session.number,
            count=len(added),
            size=sum(each.size for each in added),
            leaf=encode_text(added[-1].id),
            now=now_ms,
            worded=sum(bool(each.length) for each in added),
            tokens=sum(each.length for each in added),
        )


def position_of(session: Session, entry_id: str) -> int | None:
    """Return where the entry *entry_id* stands."""
    found: int | None = session.within.one(
        _POSITION, session=session.number, id=encode_text(entry_id)
    )
    return found


def page(
    session: Session,
    *,
    after: int | None = None,
    before: int | None = None,
    limit: int | None = None,
    newest: bool = False,
) -> Iterator[Message]:
    """Give the entries between two positions, the first few, or the *newest* few backwards."""
    low, high = after or 0, _LAST if before is None else before
    left = _LAST if limit is None else limit
    while left > 0:
        rows = session.within.rows(
            _BETWEEN.format("DESC" if newest else ""),
            session=session.number,
            after=low,
            before=high,
            limit=min(left, _PAGE),
        )
        yield from _messages(session.within, [(*row, session.session_id) for row in rows])
        if len(rows) < min(left, _PAGE):
            return
        left -= len(rows)
        low, high = (low, rows[-1][0]) if newest else (rows[-1][0], high)


def lines(session: Session) -> Iterator[str]:
    """Give all lines of *session* behind the header."""
    after = 0
    while rows := session.within.rows(
        _BETWEEN.format(""), session=session.number, after=after, before=_LAST, limit=_PAGE
    ):
        yield from _lines(session.within, rows)
        after = rows[-1][0]
        session.within.go_on()


def at(within: Transaction, positions: Sequence[int]) -> dict[int, Message]:
    """Return the entries at *positions*, of whichever sessions."""
    rows = within.rows(_AT, positions=list(positions))
    decoded = [(*row[:-1], decode_text(row[-1])) for row in rows]
    return {each.position: each for each in _messages(within, decoded)}


def copy_chain(old: Session, new: Session, *, end: int, now_ms: int) -> int:
    """Copy to *new* the entries of *old* that lead to the one at *end*; return how many."""
    within = new.within
    added: list[Added] = []
    for (position,) in within.rows(_CHAIN, end=end, old=old.number):
        ((copy, entry_id, size, length),) = within.rows(_COPY, new=new.number, position=position)
        within.run(_COPY_PIECES, copy=copy, position=position)
        added.append(Added(decode_text(entry_id), copy, size, length))
    grow(new, added, now_ms=now_ms)
    return len(added)


def remove(session: Session) -> None:
    """Remove all of *session*, and the blobs that no other session holds."""
    blobs.remove(session.within, session.number)
    for table in ("messages", "message_turns", "transcripts"):
        session.within.run(_DROP.format(table), session=session.number)


def infos(within: Transaction, condition: str = "", **bound: Any) -> list[Listed]:
    """Return the counts and times of the sessions that meet *condition*."""
    return [
        Listed(
            TranscriptInfo(
                decode_text(session_id),
                count,
                size,
                None if leaf is None else decode_text(leaf),
                from_ms(created),
                from_ms(updated),
            ),
            number,
        )
        for session_id, count, size, leaf, created, updated, number in within.rows(
            f"{_INFO} {condition}", **bound
        )
    ]


def newest_sessions(
    within: Transaction, *, limit: int | None = None, after: Place | None = None
) -> list[Listed]:
    """Return the info of the sessions behind the place *after*, the last changed first."""
    moment, number = after or (_LAST, _LAST)
    condition = """
        AND (updated_at, session) < (%(moment)s, %(number)s)
        ORDER BY updated_at DESC, session DESC LIMIT %(limit)s
    """
    return infos(
        within, condition, moment=moment, number=number, limit=_LAST if limit is None else limit
    )


def stats(within: Transaction) -> dict[str, int]:
    """Return counts, and sizes in bytes."""
    names = ("sessions", "messages", "bytes", "blobs", "blob_bytes", "bytes_in_blobs")
    return dict(zip(names, within.rows(_STATS)[0], strict=True))


def _messages(within: Transaction, rows: Sequence[Row]) -> Iterator[Message]:
    for row, line in zip(rows, _lines(within, rows), strict=True):
        position, entry_id, parent, kind, role, timestamp, *_, session_id = row
        entry = json.loads(line)
        if not isinstance(entry, dict):
            raise DamagedValueError("an entry that is no object")
        yield Message(
            session_id,
            decode_text(entry_id),
            None if parent is None else decode_text(parent),
            decode_text(kind),
            decode_text(role or ""),
            from_ms(timestamp),
            position,
            entry,
        )


def _lines(within: Transaction, rows: Sequence[Row]) -> Iterator[str]:
    found = blobs.pieces(within, [row[0] for row in rows if row[7]])
    for row in rows:
        kept, count = decode_text(row[6]), row[7]
        pieces = found.get(row[0], [])
        if len(pieces) != count:
            raise DamagedValueError("an entry without its pieces")
        yield join(kept, pieces) if pieces else kept


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode(errors="surrogatepass")).digest()
