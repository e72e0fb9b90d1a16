"""`InMemoryTranscripts`: the transcripts in one process; the reference for other engines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from clawstate.clock import from_ms
from clawstate.errors import ClosedError
from clawstate.health import Finding
from clawstate.interrupts import Mutex
from clawstate.sqlite.bm25 import Phrase
from clawstate.sqlite.words import stems
from clawstate.stores.transcripts import tool_calls, turns
from clawstate.stores.transcripts.backends import inmemory_volume
from clawstate.stores.transcripts.backends.inmemory_words import WordIndex
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
from clawstate.stores.transcripts.entries import Entry
from clawstate.stores.transcripts.external_values import cut
from clawstate.stores.transcripts.queries import best
from clawstate.stores.transcripts.values import Message, TranscriptInfo


@dataclass(frozen=True, slots=True)
class _Row:
    """An entry as it is kept: its line, and the stems of its words."""

    position: int
    id: str
    parent: str | None
    kind: str
    role: str | None
    timestamp_ms: int
    line: str
    words: Phrase

    @property
    def size(self) -> int:
        """Bytes as exported."""
        return len(self.line.encode()) + 1

    @property
    def entry(self) -> dict[str, Any]:
        """The entry, as a copy of the caller's own."""
        value: dict[str, Any] = json.loads(self.line)
        return value

    def message(self, session_id: str) -> Message:
        """Return what a caller is given."""
        moment = from_ms(self.timestamp_ms)
        return Message(
            *(session_id, self.id, self.parent, self.kind, self.role or "", moment),
            position=self.position,
            entry=self.entry,
        )


@dataclass(frozen=True, slots=True)
class _Session:
    """
    A session as of one moment: the first *count* of *rows*, which only grow.

    What lies behind them was added by a turn that was cut off, and is written over by the next.
    """

    number: int
    session_id: str
    header: str
    created_ms: int
    updated_ms: int
    rows: list[_Row] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)  # by id
    turns: Mapping[str, tuple[bytes, list[str]]] = field(default_factory=dict)
    count: int = 0

    @property
    def leaf(self) -> str | None:
        """The id of the newest entry."""
        return self.rows[self.count - 1].id if self.count else None

    def place(self, entry_id: str) -> int | None:
        """Return which of the rows has this id."""
        found = self.places.get(entry_id, self.count)
        is_row = found < self.count and self.rows[found].id == entry_id
        return found if is_row else None

    def info(self) -> TranscriptInfo:
        """Return what is told of the session."""
        rows = self.rows[: self.count]
        return TranscriptInfo(
            self.session_id,
            self.count,
            sum(row.size for row in rows),
            self.leaf,
            from_ms(self.created_ms),
            from_ms(self.updated_ms),
        )


class _Draft:
    """A session with what a turn adds to it, until `commit`."""

    def __init__(self, session: _Session, position: int) -> None:
        self._session = session
        self._position = position
        self._rows: list[_Row] = []
        self._lines: dict[str, str] = {}

    @property
    def session_id(self) -> str:
        """The id of the session."""
        return self._session.session_id

    @property
    def leaf(self) -> str | None:
        """The id of the newest entry before the turn."""
        return self._session.leaf

    def holds(self, entry_id: str) -> bool:
        """Tell whether an entry has this id."""
        return entry_id in self._lines or self._session.place(entry_id) is not None

    def line(self, entry_id: str) -> str | None:
        """Return the line of an entry."""
        place = self._session.place(entry_id)
        return self._lines.get(entry_id) if place is None else self._session.rows[place].line

    def newest(self, limit: int) -> Iterator[Mapping[str, Any]]:
        """Give the newest entries."""
        for row in self._session.rows[max(0, self._session.count - limit) : self._session.count]:
            yield row.entry

    def turn(self, name: str) -> tuple[bytes, list[str]] | None:
        """Return the digest of the turn *name* and the ids of its entries."""
        return self._session.turns.get(name)

    def insert(self, entry: Entry) -> None:
        """Add *entry*."""
        cut(entry.line)  # refuses what is nested too deeply for others
        words = tuple(stems(entry.words)) if entry.words else ()
        self._copy(entry, words)

    def copy(self, row: _Row) -> None:
        """Add the entry of another session."""
        self._rows.append(replace(row, position=self._position + len(self._rows)))
        self._lines[row.id] = row.line

    def commit(self, *, now_ms: int, turn: Turn | None = None) -> tuple[_Session, list[str]]:
        """Return the session with what was added, and the ids of that."""
        session, ids = self._session, [row.id for row in self._rows]
        session.rows[session.count :] = self._rows
        session.places.update((each, session.count + at) for at, each in enumerate(ids))
        named = dict(session.turns)
        if turn is not None and turn.name is not None:
            named[turn.name] = (turn.digest, ids)
        updated = max(session.updated_ms, now_ms) if ids else session.updated_ms
        count = session.count + len(ids)
        return replace(session, count=count, turns=named, updated_ms=updated), ids

    def _copy(self, entry: Entry, words: Phrase) -> None:
        row = _Row(
            *(0, str(entry.id), entry.parent, entry.kind, entry.role, entry.timestamp_ms),
            line=entry.line,
            words=words,
        )
        self.copy(row)


class InMemoryTranscripts:
    """
    A `TranscriptLog` that forgets everything with the process.

    Its ranking is BM25 over Porter stems as FTS5 computes it, so that others can be compared.
    """

    capabilities: frozenset[Capability] = frozenset()

    def __init__(self) -> None:
        self.path = Path("memory")
        self._sessions: dict[str, _Session] = {}
        self._position = 1
        self._number = 1
        self._mutex = Mutex()
        self._closed = False

    def append(
        self, session_id: str, turn: Turn, *, header: Callable[[], str], now_ms: int
    ) -> list[str]:
        """Add *turn* to the end of a session; see `TranscriptLog.append`."""
        with self._mutex:
            draft = self._draft(session_id, header, now_ms)
            known = turns.find_repeated(draft, turn)
            if known is not None:
                return known
            for entry in turns.place(draft, turn):
                draft.insert(entry)
            return self._keep(draft, now_ms, turn)

    def put_batch(
        self, session_id: str, batch: Batch, *, header: Callable[[], str], now_ms: int
    ) -> BatchResult:
        """Add what is new of *batch*."""
        with self._mutex:
            draft = self._draft(session_id, header, now_ms)
            result = turns.merge(draft, batch, draft.insert)
            self._keep(draft, now_ms)
            return result

    def fork(
        self, session_id: str, at: str, new_session_id: str, *, header: str, now_ms: int
    ) -> int:
        """Begin *new_session_id* with the entries that lead to *at*."""
        with self._mutex:
            old = self._require(session_id)
            chain: list[_Row] = []
            place = _place_of(old, at)
            while True:
                row = old.rows[place]
                chain.append(row)
                before = None if row.parent is None else old.place(row.parent)
                if before is None or before >= place:
                    break
                place = before
            if new_session_id in self._sessions:
                raise turns.session_exists(new_session_id)
            draft = self._draft(new_session_id, lambda: header, now_ms)
            for row in reversed(chain):
                draft.copy(row)
            return len(self._keep(draft, now_ms))

    def delete(self, session_id: str) -> bool:
        """Remove all of a session."""
        with self._mutex:
            self._require_open()
            return self._sessions.pop(session_id, None) is not None

    def get(self, session_id: str, message_id: str) -> Message | None:
        """Return one entry of a session."""
        session = self._find(session_id)
        place = None if session is None else session.place(message_id)
        if session is None or place is None:
            return None
        return session.rows[place].message(session_id)

    def page(
        self, session_id: str, *, after: str | None, before: str | None, limit: int | None
    ) -> list[Message]:
        """Return entries in their order."""
        session = self._find(session_id)
        if session is None:
            return []
        first = 0 if after is None else _place_of(session, after) + 1
        last = session.count if before is None else _place_of(session, before)
        rows = session.rows[first : max(first, last)]
        if limit is not None:
            rows = rows[:limit] if after is not None else rows[max(0, len(rows) - limit) :]
        return [row.message(session_id) for row in rows]

    @contextmanager
    def lines(self, session_id: str) -> Iterator[Iterator[str]]:
        """Lend all lines of a session, the header first."""
        self._require_open()
        session = self._require(session_id)
        yield iter([session.header, *(row.line for row in session.rows[: session.count])])

    def search(self, terms: Sequence[str], bounds: Bounds, limit: int) -> list[Scored]:
        """Return the best *limit* messages within *bounds*."""
        rows = [
            (session, row) for session in self._every() for row in session.rows[: session.count]
        ]
        allowed = {
            row.position: (session, row) for session, row in rows if _within(session, row, bounds)
        }
        words = [(row.position, row.words) for _, row in rows if row.words]
        found = best(WordIndex(words, allowed=allowed, limit=limit), terms, limit)
        return [(allowed[at][1].message(allowed[at][0].session_id), score) for at, score in found]

    def info(self, session_id: str) -> Listed | None:
        """Return the counts and times of one session, or `None`."""
        session = self._find(session_id)
        return None if session is None else Listed(session.info(), session.number)

    def infos(self, *, limit: int | None = None, after: Place | None = None) -> list[Listed]:
        """Return the counts and times of each session, the last changed first."""
        every = [Listed(each.info(), each.number) for each in self._every()]
        found = [each for each in every if after is None or each.place < after]
        return sorted(found, key=lambda each: each.place, reverse=True)[:limit]

    def message_counts(self, first_ms: int, last_ms: int) -> list[SessionMessages]:
        """Return how much was said in each session."""
        return inmemory_volume.message_counts(self._message_times(), first_ms, last_ms)

    def volume(self, first_ms: int, step_ms: int, count: int) -> Volume:
        """Return how much was said in each span."""
        begun = [each.created_ms for each in self._every()]
        return inmemory_volume.count(self._message_times(), begun, (first_ms, step_ms, count))

    def stats(self) -> dict[str, int]:
        """Return counts, and sizes in bytes."""
        info = [each.info() for each in self._every()]
        messages, size = sum(each.count for each in info), sum(each.size for each in info)
        return {"sessions": len(info), "messages": messages, "bytes": size}

    def check(self, *, deep: bool) -> list[Finding]:
        """Return what does not fit together; there is nothing that could be damaged."""
        self._require_open()
        if not deep:
            return []
        return [turns.finding(turns.ORPHAN, self.path, each) for each in self._find_orphans()]

    def optimize(self, *, rebuild: bool) -> None:  # noqa: ARG002 - see below
        """Do nothing: the words of what was deleted are gone with it."""
        self._require_open()

    def close(self) -> None:
        """Forget everything."""
        self._closed = True
        self._sessions = {}

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError("the transcripts in memory")

    def _find_orphans(self) -> list[str]:
        told: list[str] = []
        for session in self._every():
            rows = session.rows[: session.count]
            parents = ((at, row.parent) for at, row in enumerate(rows) if row.parent is not None)
            places = ((at, session.place(parent)) for at, parent in parents)
            broken = sum(place is None or place >= at for at, place in places)
            if broken:
                told.append(turns.broken_chain(session.session_id, broken))
            orphans = list(tool_calls.orphans((row.id, row.entry) for row in rows))
            if orphans:
                told.append(turns.orphan_results(session.session_id, orphans))
        return told

    def _message_times(self) -> inmemory_volume.Times:
        rows = [(each.session_id, each.rows[: each.count]) for each in self._every()]
        said = [(key, [row for row in each if row.role]) for key, each in rows]
        return [(key, [(row.timestamp_ms, row.size) for row in each]) for key, each in said]

    def _every(self) -> list[_Session]:
        self._require_open()
        return list(self._sessions.copy().values())

    def _find(self, session_id: str) -> _Session | None:
        self._require_open()
        return self._sessions.get(session_id)

    def _require(self, session_id: str) -> _Session:
        found = self._find(session_id)
        if found is None:
            raise turns.unknown_session(session_id)
        return found

    def _draft(self, session_id: str, header: Callable[[], str], now_ms: int) -> _Draft:
        session = self._find(session_id)
        if session is None:
            session = _Session(self._number, session_id, header(), now_ms, now_ms)
        return _Draft(session, self._position)

    def _keep(self, draft: _Draft, now_ms: int, turn: Turn | None = None) -> list[str]:
        session, ids = draft.commit(now_ms=now_ms, turn=turn)
        self._position += len(ids)
        self._number += session.session_id not in self._sessions
        self._sessions[session.session_id] = session
        return ids


def _within(session: _Session, row: _Row, bounds: Bounds) -> bool:
    return (
        bounds.session_id in {None, session.session_id}
        and bounds.role in {None, row.role}
        and (bounds.since_ms is None or row.timestamp_ms >= bounds.since_ms)
        and (bounds.until_ms is None or row.timestamp_ms < bounds.until_ms)
    )


def _place_of(session: _Session, entry_id: str) -> int:
    found = session.place(entry_id)
    if found is None:
        raise turns.unknown_message(session.session_id, entry_id)
    return found
