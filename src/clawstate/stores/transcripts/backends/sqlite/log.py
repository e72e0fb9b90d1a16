"""`SqliteTranscripts`: the transcripts as tables of a SQLite database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import apsw

from clawstate.health import Finding
from clawstate.sqlite import Database, open_part
from clawstate.sqlite.blocks import Lent
from clawstate.sqlite.change_log import note_changes
from clawstate.stores.transcripts import turns
from clawstate.stores.transcripts.backends import packing
from clawstate.stores.transcripts.backends.packing import Blob
from clawstate.stores.transcripts.backends.sqlite import blobs, checking, rows, volume, word_index
from clawstate.stores.transcripts.backends.sqlite.rows import Session
from clawstate.stores.transcripts.backends.sqlite.schema import MIGRATIONS, PART
from clawstate.stores.transcripts.contract import (
    Batch,
    BatchResult,
    Bounds,
    Capability,
    Listed,
    Place,
    Scored,
    SessionMessages,
    Turn,
    Volume,
)
from clawstate.stores.transcripts.entries import Entry, new_id
from clawstate.stores.transcripts.external_values import LONG, cut
from clawstate.stores.transcripts.values import Message


class SqliteTranscripts:
    """A `TranscriptLog` in the database *place*, or in one of its own at that path."""

    capabilities = frozenset({Capability.DURABLE, Capability.SHARED})

    def __init__(self, place: Database | Path) -> None:
        self._database = open_part(place, PART, MIGRATIONS)
        self.path = self._database.path

    def append(
        self, session_id: str, turn: Turn, *, header: Callable[[], str], now_ms: int
    ) -> list[str]:
        """Add *turn* to the end of a session; see `TranscriptLog.append`."""
        # Compressing a picture takes longer than the whole transaction, in which all others wait.
        ready = self._pack(turn.entries)
        with self._database.writing() as connection:
            session = _find_or_make(connection, session_id, header, now_ms)
            # Under the lock: of two retries at once the second sees the first.
            kept = turns.find_repeated(session, turn)
            if kept is not None:
                return kept
            note_changes(connection, PART, [session_id])
            return _append(session, turn, ready, now_ms)

    def put_batch(
        self, session_id: str, batch: Batch, *, header: Callable[[], str], now_ms: int
    ) -> BatchResult:
        """Add what is new of *batch*."""
        added: list[tuple[str, int]] = []
        with self._database.writing() as connection:
            session = _find_or_make(connection, session_id, header, now_ms)

            def insert(entry: Entry) -> None:
                _, size = rows.insert(connection, session, entry, {})
                added.append((str(entry.id), size))

            result = turns.merge(session, batch, insert)
            _grow(session, added, now_ms)
            if added:
                note_changes(connection, PART, [session_id])
        return result

    def fork(
        self, session_id: str, at: str, new_session_id: str, *, header: str, now_ms: int
    ) -> int:
        """Begin *new_session_id* with the entries that lead to *at*."""
        with self._database.writing() as connection:
            old = _require(connection, session_id)
            end = _position_of(old, at)
            if rows.find(connection, new_session_id) is not None:
                raise turns.session_exists(new_session_id)
            new = rows.make(connection, new_session_id, header, now_ms=now_ms)
            note_changes(connection, PART, [new_session_id])
            return rows.copy_chain(connection, old, new, end=end, now_ms=now_ms)

    def delete(self, session_id: str) -> bool:
        """
        Remove all of a session, and overwrite the pages that it leaves.

        Its words stay in the index, findable by nobody, until `optimize`.
        """
        # A look costs no lock, and makes no database where there is none.
        if self.info(session_id) is None:
            return False
        with self._database.writing() as connection:
            session = rows.find(connection, session_id)
            if session is not None:
                rows.remove(connection, session)
                note_changes(connection, PART, [session_id])
            return session is not None

    def get(self, session_id: str, message_id: str) -> Message | None:
        """Return one entry of a session."""
        with self._database.reading() as connection:
            session = rows.find(connection, session_id)
            if session is None:
                return None
            found = rows.position_of(connection, session, message_id)
            return None if found is None else rows.at(connection, found)

    def page(
        self, session_id: str, *, after: str | None, before: str | None, limit: int | None
    ) -> list[Message]:
        """Return entries in their order."""
        with self._database.reading() as connection:
            session = rows.find(connection, session_id)
            if session is None:
                return []
            found = rows.page(
                connection,
                session,
                after=None if after is None else _position_of(session, after),
                before=None if before is None else _position_of(session, before),
                limit=limit,
                newest=after is None,
            )
            return list(found)[:: 1 if after is not None else -1]

    def lines(self, session_id: str) -> Lent[Iterator[str]]:
        """Lend all lines of a session, the header first."""

        def read(connection: apsw.Connection) -> Iterator[str]:
            session = _require(connection, session_id)
            sql = "SELECT header FROM transcripts WHERE session = ?"
            header = str(connection.execute(sql, (session.number,)).get)
            return chain([header], rows.lines(connection, session))

        return Lent(self._database.reading(), read)

    def search(self, terms: Sequence[str], bounds: Bounds, limit: int) -> list[Scored]:
        """Return the best *limit* messages within *bounds*."""
        with self._database.reading() as connection:
            number = None
            if bounds.session_id is not None:
                session = rows.find(connection, bounds.session_id)
                if session is None:
                    return []
                number = session.number
            found = word_index.search(connection, terms, bounds, number, limit)
            return [(rows.at(connection, position), score) for position, score in found]

    def info(self, session_id: str) -> Listed | None:
        """Return the counts and times of one session, or `None`."""
        with self._database.reading() as connection:
            return next(rows.scan_info(connection, "WHERE session_id = ?", (session_id,)), None)

    def infos(self, *, limit: int | None = None, after: Place | None = None) -> list[Listed]:
        """Return the counts and times of each session, the last changed first."""
        with self._database.reading() as connection:
            return list(rows.newest_sessions(connection, limit=limit, after=after))

    def message_counts(self, first_ms: int, last_ms: int) -> list[SessionMessages]:
        """Return how much was said in each session."""
        with self._database.reading() as connection:
            return volume.message_counts(connection, first_ms, last_ms)

    def volume(self, first_ms: int, step_ms: int, count: int) -> Volume:
        """Return how much was said in each span."""
        with self._database.reading() as connection:
            return volume.count(connection, first_ms, step_ms, count)

    def stats(self) -> dict[str, int]:
        """Return counts, and sizes in bytes."""
        with self._database.reading() as connection:
            return rows.stats(connection)

    def check(self, *, deep: bool) -> list[Finding]:
        """Return what is damaged, or does not fit together; *deep* reads every message."""
        with self._database.reading() as connection:
            found = list(checking.check(connection, deep=deep))
            # Damage first: what is said of rows that cannot be read would only repeat it.
            if deep and not found:
                found = [(turns.ORPHAN, each) for each in checking.find_orphans(connection)]
        return [
            turns.finding(code, self.path, sentence, rebuild=self._rebuild)
            for code, sentence in found
        ]

    def optimize(self, *, rebuild: bool) -> None:
        """Merge the word index; or *rebuild* it from the messages."""
        if not self._database.exists():
            return
        # `optimize` is what removes the words of deleted messages, so freed pages are overwritten.
        with self._database.writing() as connection, rows.overwrite_freed(connection):
            if rebuild:
                checking.rebuild_words(connection)
            connection.execute("INSERT INTO message_words (message_words) VALUES ('optimize')")

    def close(self) -> None:
        """End the use of the database; a call after this raises `ClosedError`."""
        self._database.close()

    def _rebuild(self) -> str:
        self.optimize(rebuild=True)
        return "built anew"

    def _pack(self, entries: Iterable[Entry]) -> dict[str, Blob]:
        """Return the new blobs of *entries*: packing takes time, and no lock is held for it."""
        long = (each.with_place(each.id or new_id(), None) for each in entries if each.size > LONG)
        texts = {packing.digest(text): text for each in long for _, text in cut(each.line)[1]}
        if not texts:
            return {}
        with self._database.reading() as connection:
            # Only a hint, since no lock is held: `blobs.put` looks again, and packs what is
            # missing.
            old = blobs.find_known(connection, list(texts))
        return {text: packing.pack(text) for digest, text in texts.items() if digest not in old}


def _append(session: Session, turn: Turn, ready: dict[str, Blob], now_ms: int) -> list[str]:
    connection = session.connection
    positions: list[int] = []
    added: list[tuple[str, int]] = []
    for entry in turns.place(session, turn):
        position, size = rows.insert(connection, session, entry, ready)
        positions.append(position)
        added.append((str(entry.id), size))
    _grow(session, added, now_ms)
    if turn.name is not None:
        connection.execute(
            "INSERT INTO message_turns VALUES (?, ?, ?, ?, ?)",
            (session.number, turn.name, turn.digest, positions[0], positions[-1]),
        )
    return [entry_id for entry_id, _ in added]


def _grow(session: Session, added: Sequence[tuple[str, int]], now_ms: int) -> None:
    if added:
        size = sum(each for _, each in added)
        rows.grow(
            session.connection,
            session,
            count=len(added),
            size=size,
            leaf=added[-1][0],
            now_ms=now_ms,
        )


def _find_or_make(
    connection: apsw.Connection, session_id: str, header: Callable[[], str], now_ms: int
) -> Session:
    found = rows.find(connection, session_id)
    return found or rows.make(connection, session_id, header(), now_ms=now_ms)


def _require(connection: apsw.Connection, session_id: str) -> Session:
    found = rows.find(connection, session_id)
    if found is None:
        raise turns.unknown_session(session_id)
    return found


def _position_of(session: Session, entry_id: str) -> int:
    found = rows.position_of(session.connection, session, entry_id)
    if found is None:
        raise turns.unknown_message(session.session_id, entry_id)
    return found
