"""Turns: what is appended in one transaction, all of it or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import apsw

from clawstate.errors import ConflictError, InvalidError, NotFoundError
from clawstate.records.contract import ANY, Mark
from clawstate.stores.transcripts import blobs, rows, tool_calls
from clawstate.stores.transcripts.blobs import Blob
from clawstate.stores.transcripts.cutting import LONG, cut
from clawstate.stores.transcripts.entries import Entry, new_id
from clawstate.stores.transcripts.rows import Session

_LOOKED_BACK = 1_000  # entries in which a result finds its call
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Turn:
    """
    Entries that are appended together, and what has to hold before.

    *given* is what they were made of. *name* makes a repetition known; *strict* refuses results
    without calls. *ready* holds blobs that are packed already.
    """

    entries: Sequence[Entry]
    given: str
    parent: str | None = None
    expect_leaf: str | Mark | None = ANY
    name: str | None = None
    strict: bool = False
    ready: Mapping[str, Blob] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a name that is no name."""
        if self.name is not None and not 0 < len(self.name) <= _LONGEST_NAME:
            hint = f"take 1 to {_LONGEST_NAME} characters"
            raise InvalidError("turn", "its name is empty or too long", hint)

    @property
    def digest(self) -> bytes:
        """What tells a repetition from another turn of the same name."""
        return hashlib.sha256(self.given.encode()).digest()


def fresh(connection: apsw.Connection, texts: Iterable[str]) -> list[str]:
    """Return those of *texts* that are not kept as blobs yet."""
    by_digest = {blobs.digest(text): text for text in texts}
    old = blobs.known(connection, list(by_digest))
    return [text for digest, text in by_digest.items() if digest not in old]


def packed(texts: Iterable[str]) -> dict[str, Blob]:
    """Return the blobs of *texts*: packing takes time, and no lock should be held for it."""
    return {text: blobs.pack(text) for text in texts}


def long_texts(entries: Iterable[Entry]) -> list[str]:
    """Return what will be cut out of *entries*; refuses those that are too large."""
    long = (each.placed(each.id or new_id(), None) for each in entries if each.size > LONG)
    return [text for each in long for _, text in cut(each.line)[1]]


def repeated(connection: apsw.Connection, session: Session, turn: Turn) -> list[str] | None:
    """
    Return the ids of *turn* if it is kept already.

    Raises `ConflictError` when another turn has its name.
    """
    sql = "SELECT digest, first, last FROM message_turns WHERE session = ? AND turn = ?"
    for digest, first, last in connection.execute(sql, (session.number, turn.name)):
        if digest != turn.digest:
            hint = "another turn has this name; give each turn a name of its own"
            raise ConflictError("turn", str(turn.name), hint)
        ids = "SELECT id FROM messages WHERE session = ? AND position BETWEEN ? AND ?"
        found = connection.execute(f"{ids} ORDER BY position", (session.number, first, last))
        return [row[0] for row in found]
    return None


def append(connection: apsw.Connection, session: Session, turn: Turn, *, now_ms: int) -> list[str]:
    """Add *turn* to the end of *session* and return the ids."""
    _require_leaf(session, turn.expect_leaf)
    if turn.parent is not None:
        _require_known(connection, session, turn.parent)
    if turn.strict:
        _require_paired(connection, session, turn)
    previous = turn.parent or session.leaf
    size, ids, positions = 0, [], []
    for entry in turn.entries:
        placed = entry.placed(_free_id(connection, session, entry.id), previous)
        if not entry.loose and placed.parent is not None:
            _require_known(connection, session, placed.parent)
        position, grown = rows.insert(connection, session, placed, turn.ready)
        previous = str(placed.id)
        ids.append(previous)
        positions.append(position)
        size += grown
    rows.grow(connection, session, count=len(ids), size=size, leaf=ids[-1], now_ms=now_ms)
    if turn.name is not None:
        connection.execute(
            "INSERT INTO message_turns VALUES (?, ?, ?, ?, ?)",
            (session.number, turn.name, turn.digest, positions[0], positions[-1]),
        )
    return ids


def _require_leaf(session: Session, expected: str | Mark | None) -> None:
    wanted = None if isinstance(expected, Mark) else expected
    if expected is not ANY and session.leaf != wanted:
        hint = "read its newest messages, then append again"
        raise ConflictError("transcript", session.session_id, hint)


def _require_known(connection: apsw.Connection, session: Session, entry_id: str) -> None:
    if rows.position_of(connection, session, entry_id) is None:
        raise NotFoundError("message", entry_id, f"{session.session_id} has no message of this id")


def _free_id(connection: apsw.Connection, session: Session, given: str | None) -> str:
    if given is not None:
        if rows.position_of(connection, session, given) is not None:
            hint = "leave the id out, or give another one"
            raise InvalidError("id", f"{given!r} is taken in this session", hint)
        return given
    while True:
        made = new_id()
        if rows.position_of(connection, session, made) is None:
            return made


def _require_paired(connection: apsw.Connection, session: Session, turn: Turn) -> None:
    entries = [entry.value for entry in turn.entries]
    outside = {result for entry in entries for result in tool_calls.results(entry)}
    outside -= {call for entry in entries for call in tool_calls.calls(entry)}
    before: dict[str, int] = {}
    if outside:
        newest = rows.page(connection, session, limit=_LOOKED_BACK, newest=True)
        earlier = [message.entry for message in newest]
        before = {call: 0 for entry in earlier for call in tool_calls.calls(entry)}
        for entry in earlier:
            for result in tool_calls.results(entry):
                before[result] = before.get(result, 0) + 1
    tool_calls.require_paired(entries, before)
