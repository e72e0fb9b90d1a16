"""`Transcripts`: the messages of the sessions, append-only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import apsw

from clawstate.clock import Clock, system_clock, to_ms
from clawstate.errors import InvalidError
from clawstate.files.json_text import dump_compact
from clawstate.files.whole_text import require_whole
from clawstate.records.contract import ANY, Mark
from clawstate.sqlite import Database
from clawstate.stores.transcripts import appending, checking, pruning, rows
from clawstate.stores.transcripts.appending import Turn
from clawstate.stores.transcripts.blobs import Blob
from clawstate.stores.transcripts.entries import entries_of, header_of, require_session_id
from clawstate.stores.transcripts.importing import Importing
from clawstate.stores.transcripts.reader import (
    TranscriptReader,
    position_of,
    require_session,
)
from clawstate.stores.transcripts.rows import Session
from clawstate.stores.transcripts.values import Imported


@dataclass(frozen=True, slots=True)
class TranscriptSettings:
    """What the header of a new transcript tells besides: the working directory of the agent."""

    cwd: str = "/"


class Transcripts(TranscriptReader):
    """
    The messages of the sessions: appended in turns, never changed (decision 7, specification 7).

    Ids are unique within a session. Order is that of appending, whatever the times say. Every
    method raises `CorruptError`, `VersionError`, `UnavailableError` and `ClosedError` as the
    database does, `InvalidError` for a session id that OpenClaw would not take, and when writing
    `LockTimeoutError`. Reading makes nothing; the first append makes the database.
    """

    def __init__(
        self,
        database: Database,
        *,
        settings: Callable[[], TranscriptSettings] = TranscriptSettings,
        clock: Clock = system_clock,
    ) -> None:
        super().__init__(database)
        self._settings = settings
        self._clock = clock

    def append(
        self,
        session_id: str,
        messages: Iterable[Mapping[str, Any]] | Mapping[str, Any],
        *,
        parent: str | None = None,
        expect_leaf: str | Mark | None = ANY,
        turn: str | None = None,
        strict: bool = False,
    ) -> list[str]:
        """
        Add a turn of *messages* to the end of a session, all or none, and return their ids.

        A message is `{role, content, ...}`, or an entry of OpenClaw's transcripts with a `type`;
        unknown members are kept. On disk when the call returns. The first follows *parent*, by
        default the newest entry, each other the one before it. With *expect_leaf* the newest entry
        must be this one (`None`: there is none), else raises `ConflictError`. A turn that was kept
        under the name *turn* before is not kept again: its ids are returned. With *strict* each
        result of a tool must answer a call, and each call of the turn have its result.

        Raises `InvalidError` for what is no message or larger than 64 MiB, `NotFoundError` for an
        unknown parent.
        """
        require_session_id(session_id)
        require_whole("parent", parent)
        require_whole("expect_leaf", expect_leaf)
        require_whole("turn", turn)
        given = _listed(messages)
        now = self._clock()
        entries = entries_of(given, now=now)
        if not entries:
            return []
        texts = appending.long_texts(entries)
        made = Turn(
            entries,
            given="" if turn is None else dump_compact(given),
            parent=parent,
            expect_leaf=expect_leaf,
            name=turn,
            strict=strict,
            ready=self._packed(texts) if texts else {},
        )
        with self._database.writing() as connection:
            session = self._session(connection, session_id, now)
            kept = None if turn is None else appending.repeated(connection, session, made)
            if kept is not None:
                return kept
            return appending.append(connection, session, made, now_ms=to_ms(now))

    def import_lines(self, session_id: str, lines: Iterable[str | bytes]) -> Imported:
        """
        Add the entries of a transcript's *lines* (version 1 to 4) that are not there yet.

        Ids, times and unknown members stay as they are, so doing it again changes nothing, and an
        import that was cut off is completed by another one. It commits in batches. A line that is
        broken or contradicts an entry is passed over and told.
        """
        require_session_id(session_id)
        importing = Importing(session_id, self._clock(), self._settings().cwd)
        for batch in importing.batches(lines):
            with self._database.writing() as connection:
                importing.put(connection, batch)
        return importing.report()

    def fork(self, session_id: str, at: str, new_session_id: str) -> int:
        """
        Begin *new_session_id* with the entries that lead to the entry *at*; return how many.

        Their ids stay, long values are shared. Raises `NotFoundError` for an unknown session or
        entry, `InvalidError` for a new session that has a transcript already.
        """
        require_session_id(new_session_id)
        now = self._clock()
        with self._database.writing() as connection:
            old = require_session(connection, session_id)
            end = position_of(connection, old, at)
            if rows.find(connection, new_session_id) is not None:
                raise InvalidError("session id", f"{new_session_id!r} has a transcript already")
            header = header_of(
                new_session_id, now=now, cwd=self._settings().cwd, parent=old.session_id
            )
            new = rows.make(connection, new_session_id, header, now_ms=to_ms(now))
            return rows.copy_chain(connection, old, new, end=end, now_ms=to_ms(now))

    def delete(self, session_id: str) -> bool:
        """
        Remove all of a session; false when it has no transcript.

        Blobs that no other session holds go with it, and freed pages are overwritten. Its words
        stay in the index, findable by nobody, until `optimize`.
        """
        if self.held(session_id) is None:
            return False
        with self._database.writing() as connection:
            session = rows.find(connection, session_id)
            if session is not None:
                rows.remove(connection, session)
            return session is not None

    def prune(
        self,
        *,
        older_than: float | None = None,
        most_sessions: int | None = None,
        most_bytes: int | None = None,
        keep: Iterable[str] = (),
    ) -> list[str]:
        """
        Remove whole sessions, the longest unchanged first, and return their ids.

        Those unchanged for *older_than* seconds go, and as many as it takes to have at most
        *most_sessions* and *most_bytes*; those in *keep* stay. No transcript is ever shortened.
        """
        limits = pruning.Limits(older_than, most_sessions, most_bytes, frozenset(keep))
        chosen = pruning.outdated(self.sessions(), limits, now=self._clock())
        return [each for each in chosen if self.delete(each)]

    def optimize(self, *, rebuild: bool = False) -> None:
        """Merge the word index, which forgets deleted words; or *rebuild* it from the messages."""
        if not self._database.exists():
            return
        with self._database.writing() as connection, rows.overwriting(connection):
            if rebuild:
                checking.rebuild_words(connection)
            connection.execute("INSERT INTO message_words (message_words) VALUES ('optimize')")

    def close(self) -> None:
        """Close the database; a call after this raises `ClosedError`."""
        self._database.close()

    def _session(self, connection: apsw.Connection, session_id: str, now: float) -> Session:
        found = rows.find(connection, session_id)
        if found is not None:
            return found
        header = header_of(session_id, now=now, cwd=self._settings().cwd)
        return rows.make(connection, session_id, header, now_ms=to_ms(now))

    def _packed(self, texts: list[str]) -> dict[str, Blob]:
        with self._database.reading() as connection:
            new = appending.fresh(connection, texts)
        return appending.packed(new)


def _listed(messages: Any) -> list[Any]:
    if not isinstance(messages, Iterable):
        problem = f"are {type(messages).__name__}, not a list of messages"
        raise InvalidError("messages", problem, "give [{'role': ..., 'content': ...}]")
    return [messages] if isinstance(messages, Mapping) else list(messages)
