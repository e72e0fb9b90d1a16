"""`PostgresTranscripts`: the transcripts in PostgreSQL, for any number of machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeVar

from clawstate.errors import UnavailableError
from clawstate.health import Finding
from clawstate.postgres.blocks import Lent
from clawstate.postgres.connection import Connection
from clawstate.postgres.database import Database
from clawstate.postgres.part import Part
from clawstate.postgres.transaction import Note, Transaction
from clawstate.stores.transcripts import turns
from clawstate.stores.transcripts.backends import packing
from clawstate.stores.transcripts.backends.packing import Blob
from clawstate.stores.transcripts.backends.postgres import (
    blobs,
    checking,
    rows,
    volume,
    word_search,
)
from clawstate.stores.transcripts.backends.postgres.rows import Added, Session
from clawstate.stores.transcripts.backends.postgres.schema import MIGRATIONS, PART
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

A = TypeVar("A")

TABLES = ("transcripts", "messages", "message_blobs", "message_pieces", "message_turns")

# A share of the table is held from the look on: whoever moves the transcripts waits for it.
_GATE = """
SELECT m.told FROM (SELECT 1) k LEFT JOIN clawstate.transcripts_moved m ON m.tenant = %(tenant)s
WHERE NOT EXISTS (SELECT 1 FROM clawstate.transcripts WHERE false FOR KEY SHARE)
"""
_MOVED_HINT = (
    "open the state again; a move that was cut off is carried on by the same"
    " 'clawstate store migrate'"
)
_SMALL = 128 << 20  # bytes that are written anew in a second or two
_SIZE = " + ".join(f"pg_total_relation_size('clawstate.{each}')" for each in TABLES)
_SIZE = f"SELECT {_SIZE}"


class PostgresTranscripts:
    """A `TranscriptLog` of *tenant* in *database*; *note* tells the feed which sessions moved."""

    capabilities = frozenset({Capability.DURABLE, Capability.SHARED})

    def __init__(
        self, database: Database, *, tenant: str = "default", note: Note = lambda *_: None
    ) -> None:
        self._part = Part(database, PART, MIGRATIONS, tenant=tenant)
        self._note = note
        self.path = Path(database.place)

    def append(
        self, session_id: str, turn: Turn, *, header: Callable[[], str], now_ms: int
    ) -> list[str]:
        """Add *turn* to the end of a session; see `TranscriptLog.append`."""
        # Compressing a picture takes longer than the whole transaction, in which all others wait.
        ready = self._pack(turn.entries)

        def change(within: Transaction) -> list[str]:
            session = rows.hold(within, session_id, header(), now_ms=now_ms)
            # While it is held: of two retries at once the second sees the first.
            kept = turns.find_repeated(session, turn)
            if kept is not None:
                return kept
            within.note(PART, [session_id])
            return _append(session, turn, ready, now_ms)

        return self._change(change)

    def put_batch(
        self, session_id: str, batch: Batch, *, header: Callable[[], str], now_ms: int
    ) -> BatchResult:
        """Add what is new of *batch*."""

        def change(within: Transaction) -> BatchResult:
            session = rows.hold(within, session_id, header(), now_ms=now_ms)
            added: list[Added] = []

            def insert(entry: Entry) -> None:
                added.append(rows.insert(session, entry, {}))

            result = turns.merge(session, batch, insert)
            rows.grow(session, added, now_ms=now_ms)
            if added:
                within.note(PART, [session_id])
            return result

        return self._change(change)

    def fork(
        self, session_id: str, at: str, new_session_id: str, *, header: str, now_ms: int
    ) -> int:
        """Begin *new_session_id* with the entries that lead to *at*."""

        def change(within: Transaction) -> int:
            old = _require(within, session_id, "FOR SHARE")
            end = _position_of(old, at)
            if rows.find(within, new_session_id) is not None:
                raise turns.session_exists(new_session_id)
            new = rows.hold(within, new_session_id, header, now_ms=now_ms)
            if new.leaf is not None:  # another one began it just now
                raise turns.session_exists(new_session_id)
            within.note(PART, [new_session_id])
            return rows.copy_chain(old, new, end=end, now_ms=now_ms)

        return self._change(change)

    def delete(self, session_id: str) -> bool:
        """
        Remove all of a session.

        Its rows can be read by nobody from then on; their bytes go with `optimize`.
        """
        # A look costs no lock, and makes no tables where there are none.
        if self.info(session_id) is None:
            return False

        def change(within: Transaction) -> bool:
            session = rows.find(within, session_id, "FOR UPDATE")
            if session is not None:
                rows.remove(session)
                within.note(PART, [session_id])
            return session is not None

        return self._change(change)

    def get(self, session_id: str, message_id: str) -> Message | None:
        """Return one entry of a session."""

        def read(within: Transaction) -> Message | None:
            session = rows.find(within, session_id)
            if session is None:
                return None
            found = rows.position_of(session, message_id)
            return None if found is None else rows.at(within, [found])[found]

        return self._read(read)

    def page(
        self, session_id: str, *, after: str | None, before: str | None, limit: int | None
    ) -> list[Message]:
        """Return entries in their order."""

        def read(within: Transaction) -> list[Message]:
            session = rows.find(within, session_id)
            if session is None:
                return []
            found = rows.page(
                session,
                after=None if after is None else _position_of(session, after),
                before=None if before is None else _position_of(session, before),
                limit=limit,
                newest=after is None,
            )
            return list(found)[:: 1 if after is not None else -1]

        return self._read(read)

    def lines(self, session_id: str) -> Lent[Iterator[str]]:
        """Lend all lines of a session, the header first."""

        def read(connection: Connection) -> Iterator[str]:
            within = Transaction(connection, self._part.tenant)
            session = _require(within, session_id)
            return chain([rows.header_of(session)], rows.lines(session))

        return Lent(self._part.reading(), read)

    def search(self, terms: Sequence[str], bounds: Bounds, limit: int) -> list[Scored]:
        """Return the best *limit* messages within *bounds*."""

        def read(within: Transaction) -> list[Scored]:
            number = None
            if bounds.session_id is not None:
                session = rows.find(within, bounds.session_id)
                if session is None:
                    return []
                number = session.number
            found = word_search.search(within, terms, bounds, number, limit)
            messages = rows.at(within, [position for position, _ in found])
            return [(messages[position], score) for position, score in found]

        return self._read(read)

    def info(self, session_id: str) -> Listed | None:
        """Return the counts and times of one session, or `None`."""
        return self._ask(lambda within: rows.info(within, session_id))

    def infos(self, *, limit: int | None = None, after: Place | None = None) -> list[Listed]:
        """Return the counts and times of each session, the last changed first."""
        return self._ask(lambda within: rows.newest_sessions(within, limit=limit, after=after))

    def message_counts(self, first_ms: int, last_ms: int) -> list[SessionMessages]:
        """Return how much was said in each session."""
        return self._read(lambda within: volume.message_counts(within, first_ms, last_ms))

    def volume(self, first_ms: int, step_ms: int, count: int) -> Volume:
        """Return how much was said in each span."""
        return self._read(lambda within: volume.count(within, first_ms, step_ms, count))

    def stats(self) -> dict[str, int]:
        """Return counts, and sizes in bytes."""
        return self._ask(rows.stats)

    def check(self, *, deep: bool) -> list[Finding]:
        """Return what is damaged, or does not fit together; *deep* reads every message."""

        def read(within: Transaction) -> list[tuple[str, str]]:
            found = list(checking.check(within, deep=deep))
            # Damage first: what is said of rows that cannot be read would only repeat it.
            if deep and not found:
                found = [(turns.ORPHAN, each) for each in checking.find_orphans(within)]
            return found

        return [
            turns.finding(code, self.path, sentence, rebuild=self._rebuild)
            for code, sentence in self._read(read)
        ]

    def optimize(self, *, rebuild: bool) -> None:
        """Clear the bytes of what was deleted; with *rebuild* make the words anew."""
        if not self._part.exists():
            return
        if rebuild:
            self._change(checking.rebuild_words)
        is_small = self._read(lambda within: int(within.one(_SIZE))) <= _SMALL
        # Written anew, else the bytes of what was deleted stay in the gaps of pages; of large
        # tables only where a person asks for it, since readers wait meanwhile.
        options = "FULL" if is_small or rebuild else "INDEX_CLEANUP ON"

        def clear(connection: Connection) -> None:
            for each in TABLES:
                connection.execute(f"VACUUM ({options}) clawstate.{each}")

        self._part.database.attempt(clear)

    def close(self) -> None:
        """End this use of the database; a call after this raises `ClosedError`."""
        self._part.close()

    def _rebuild(self) -> str:
        self.optimize(rebuild=True)
        return "built anew"

    def _pack(self, entries: Iterable[Entry]) -> dict[str, Blob]:
        """Return the new blobs of *entries*: packing takes time, and no lock is held for it."""
        long = (each.with_place(each.id or new_id(), None) for each in entries if each.size > LONG)
        texts = {packing.digest(text): text for each in long for _, text in cut(each.line)[1]}
        if not texts:
            return {}
        # Only a hint, since no lock is held: `blobs.put` looks again, and packs what is missing.
        old = self._read(lambda within: blobs.find_known(within, list(texts)))
        return {text: packing.pack(text) for digest, text in texts.items() if digest not in old}

    def _read(self, work: Callable[[Transaction], A]) -> A:
        return self._part.read(lambda connection: work(Transaction(connection, self._part.tenant)))

    def _ask(self, work: Callable[[Transaction], A]) -> A:
        """Return what *work* reads with one statement, which needs no transaction."""
        return self._part.attempt(
            lambda connection: work(Transaction(connection, self._part.tenant))
        )

    def _change(self, work: Callable[[Transaction], A]) -> A:
        def change(connection: Connection) -> A:
            within = Transaction(connection, self._part.tenant, self._note)
            if (told := within.one(_GATE)) is not None:
                raise UnavailableError(self._part.place, f"the transcripts are {told}", _MOVED_HINT)
            return work(within)

        # In READ COMMITTED: whoever waited for the row of a session sees what was added meanwhile.
        return self._part.change(change)


def _append(session: Session, turn: Turn, ready: dict[str, Blob], now_ms: int) -> list[str]:
    # One by one: each is added before the next is asked for.
    added = [rows.insert(session, entry, ready) for entry in turns.place(session, turn)]
    rows.grow(session, added, now_ms=now_ms)
    if turn.name is not None:
        session.put_turn(turn.name, turn.digest, added)
    return [each.id for each in added]


def _require(within: Transaction, session_id: str, lock: str = "") -> Session:
    found = rows.find(within, session_id, lock)
    if found is None:
        raise turns.unknown_session(session_id)
    return found


def _position_of(session: Session, entry_id: str) -> int:
    found = rows.position_of(session, entry_id)
    if found is None:
        raise turns.unknown_message(session.session_id, entry_id)
    return found
