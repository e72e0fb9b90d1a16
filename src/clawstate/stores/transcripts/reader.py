"""What can be asked of transcripts."""

from __future__ import annotations

from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TypeAlias

import apsw

from clawstate.arguments import require_count, require_text
from clawstate.clock import from_iso, to_ms
from clawstate.errors import InvalidError, NotFoundError
from clawstate.secret_rules import without_secrets
from clawstate.sqlite import Database
from clawstate.stores.transcripts import checking, rows, word_index
from clawstate.stores.transcripts.entries import require_session_id
from clawstate.stores.transcripts.exporting import private_file, write_lines
from clawstate.stores.transcripts.rows import Session
from clawstate.stores.transcripts.snippets import snippet
from clawstate.stores.transcripts.values import Found, Held, Message
from clawstate.stores.transcripts.word_index import Bounds

_FAR = 1e12  # seconds, beyond all years that a date can have
_MASK = "[redacted]"

Moment: TypeAlias = float | str | datetime
"""Seconds since the epoch, ISO 8601 text, or a `datetime`."""


class TranscriptReader:
    """The reading half of `Transcripts`; nothing here makes or changes a file of the state."""

    def __init__(self, database: Database) -> None:
        self.path = database.path
        self._database = database

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def messages(
        self,
        session_id: str,
        limit: int | None = None,
        before: str | None = None,
        after: str | None = None,
    ) -> list[Message]:
        """
        Return entries of a session in their order: all, or a page of at most *limit*.

        A page is the newest one, the one just before the entry *before*, or the one just behind
        the entry *after*; it costs the same anywhere. An unknown session has no messages. Raises
        `NotFoundError` for a cursor that is no entry of the session.
        """
        require_limit(limit)
        with self._database.reading() as connection:
            session = rows.find(connection, require_session_id(session_id))
            if session is None:
                return []
            found = rows.page(
                connection,
                session,
                after=position_of(connection, session, after),
                before=position_of(connection, session, before),
                limit=limit,
                newest=after is None,
            )
            return list(found)[:: 1 if after is not None else -1]

    def get(self, session_id: str, message_id: str) -> Message | None:
        """Return the entry *message_id* of a session."""
        with self._database.reading() as connection:
            session = rows.find(connection, require_session_id(session_id))
            if session is None:
                return None
            found = rows.position_of(connection, session, message_id)
            return None if found is None else rows.at(connection, found)

    def search(  # noqa: PLR0917 - the order is part of the contract
        self,
        text: str,
        session_id: str | None = None,
        limit: int = 20,
        role: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> list[Found]:
        """
        Return at most *limit* messages with words of *text*, the best first.

        What has all words comes before what has some; words in double quotes stand together.
        Forms of an English word find each other. Chinese, Japanese and Thai are found by their
        signs. *since* and *until* (left out itself) bound the time of the messages.
        """
        require_count("limit", limit)
        if role is not None:
            role = require_text("role", role).encode(errors="replace").decode()
        terms = word_index.terms_of(require_text("text", text))
        with self._database.reading() as connection:
            number = None
            if session_id is not None:
                session = rows.find(connection, require_session_id(session_id))
                if session is None:
                    return []
                number = session.number
            bounds = Bounds(number, role, _ms("since", since), _ms("until", until))
            found = word_index.search(connection, terms, bounds, limit) if terms else []
            return [_found(connection, terms, *each) for each in found]

    def sessions(self) -> list[Held]:
        """Return what is held of each session, the last changed first."""
        with self._database.reading() as connection:
            return list(rows.held(connection))

    def held(self, session_id: str) -> Held | None:
        """Return what is held of one session."""
        with self._database.reading() as connection:
            condition, values = "WHERE session_id = ?", (require_session_id(session_id),)
            return next(rows.held(connection, condition, values), None)

    def count(self, session_id: str) -> int:
        """Return how many entries a session has."""
        found = self.held(session_id)
        return 0 if found is None else found.count

    def stats(self) -> dict[str, int]:
        """Return counts, and sizes in bytes."""
        with self._database.reading() as connection:
            return rows.stats(connection)

    def export(self, session_id: str, out: BinaryIO | Path | str, *, redact: bool = False) -> int:
        """
        Write a session to *out* as OpenClaw's JSON Lines (version 3); return how many entries.

        A file is made whole, 0600, or not at all. Lines are as they were given, byte by byte. With
        *redact* secrets of well-known forms are masked; the transcript itself is never. Raises
        `NotFoundError` for a session without a transcript.
        """
        if isinstance(out, Path | str):
            with private_file(Path(out)) as file:
                return self.export(session_id, file, redact=redact)
        with self._database.reading() as connection:
            session = require_session(connection, session_id)
            sql = "SELECT header FROM transcripts WHERE session = ?"
            header = str(connection.execute(sql, (session.number,)).get)
            lines = chain([header], rows.lines(connection, session))
            return write_lines(map(_masked, lines) if redact else lines, out) - 1

    def findings(self, *, deep: bool = True) -> list[str]:
        """Return what is damaged; *deep* reads every message."""
        with self._database.reading() as connection:
            return list(checking.findings(connection, deep=deep))

    def remarks(self) -> list[str]:
        """Return what was kept as it came, but does not fit together, such as orphan results."""
        with self._database.reading() as connection:
            return list(checking.remarks(connection))


def require_session(connection: apsw.Connection, session_id: str) -> Session:
    """Return the session; raises `NotFoundError` for one without a transcript."""
    found = rows.find(connection, require_session_id(session_id))
    if found is None:
        hint = "'clawstate transcripts stats' tells what is kept"
        raise NotFoundError("transcript", session_id, hint)
    return found


def require_limit(limit: int | None) -> None:
    """Refuse a limit below zero, or none at all."""
    if limit is not None:
        require_count("limit", limit)


def position_of(connection: apsw.Connection, session: Session, entry_id: str | None) -> int | None:
    """Return where *entry_id* stands, `None` for none; raises `NotFoundError`."""
    if entry_id is None:
        return None
    found = rows.position_of(connection, session, entry_id)
    if found is None:
        hint = f"{session.session_id} has no message of this id"
        raise NotFoundError("message", entry_id, hint)
    return found


def _masked(line: str) -> str:
    # Only a copy for other eyes: a history that is replayed with masks has brought one back as a
    # command before.
    return without_secrets(line, _MASK)


def _found(connection: apsw.Connection, terms: list[str], position: int, score: float) -> Found:
    message = rows.at(connection, position)
    text, matches = snippet(connection, message.text, terms)
    return Found(message, score, text, matches)


def _ms(name: str, moment: Moment | None) -> int | None:
    if moment is None:
        return None
    if isinstance(moment, str):
        return to_ms(from_iso(moment))
    seconds = moment.timestamp() if isinstance(moment, datetime) else moment
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not abs(seconds) < _FAR:
        hint = "give seconds since the epoch, ISO text or a datetime"
        raise InvalidError(name, f"{seconds!r:.40} is no moment", hint)
    return to_ms(seconds)
