"""`Transcripts`: the messages of the sessions, append-only."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from clawstate.arguments import (
    require_count,
    require_seconds,
    require_text,
    require_texts,
    require_whole,
    require_whole_text,
)
from clawstate.clock import Clock, system_clock, to_ms
from clawstate.errors import InvalidError
from clawstate.files.export_file import export_file
from clawstate.files.json_text import dump_compact
from clawstate.health import Finding
from clawstate.moments import end_seconds
from clawstate.paging import PAGE, Listing, Page, Position
from clawstate.records.contract import ANY, Mark
from clawstate.secret_rules import without_secrets
from clawstate.snippets import snippet
from clawstate.stores.transcripts import queries
from clawstate.stores.transcripts.arguments import (
    Moment,
    list_of_messages,
    milliseconds,
    require_turn_name,
)
from clawstate.stores.transcripts.contract import (
    Bounds,
    Place,
    SessionMessages,
    TranscriptLog,
    Turn,
    Volume,
)
from clawstate.stores.transcripts.entries import entries_of, header_of, require_session_id
from clawstate.stores.transcripts.importing import Reading, batches
from clawstate.stores.transcripts.past import page_at
from clawstate.stores.transcripts.plain_text import LONGEST
from clawstate.stores.transcripts.turns import unknown_session
from clawstate.stores.transcripts.values import (
    Message,
    TranscriptHit,
    TranscriptImport,
    TranscriptInfo,
    TranscriptLimits,
    select_outdated,
)

_SESSIONS = Listing("transcripts")
_MESSAGES = Listing("messages")


@dataclass(frozen=True, slots=True)
class TranscriptSettings:
    """What the header of a new transcript tells besides: the working directory of the agent."""

    cwd: str = "/"


class Transcripts:
    """
    The messages of the sessions: appended in turns, never changed (decision 13, specification 7).

    Ids are unique within a session. Order is that of appending, whatever the times say. Every
    method raises `CorruptError`, `VersionError`, `UnavailableError` and `ClosedError` as the
    engine *log* does, `InvalidError` for a session id that OpenClaw would not take, and when
    writing `LockTimeoutError`. Reading makes nothing; the first append makes the database.
    """

    def __init__(
        self,
        log: TranscriptLog,
        *,
        settings: Callable[[], TranscriptSettings] = TranscriptSettings,
        clock: Clock = system_clock,
    ) -> None:
        self.path = log.path
        self._log = log
        self._settings = settings
        self._clock = clock

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

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
        if parent is not None:
            require_whole_text("parent", parent)
        require_whole("expect_leaf", expect_leaf)
        require_turn_name(turn)
        given = list_of_messages(messages)
        now = self._clock()
        entries = entries_of(given, now=now)
        if not entries:
            return []
        made = Turn(
            entries,
            parent=parent,
            expect_leaf=expect_leaf,
            name=turn,
            # Of what was given and not of the entries, whose ids and times are new in each call.
            # Tells a repetition of the turn from another turn of the same name.
            digest=b"" if turn is None else hashlib.sha256(dump_compact(given).encode()).digest(),
            strict=strict,
        )
        return self._log.append(
            session_id, made, header=lambda: self._header(session_id, now), now_ms=to_ms(now)
        )

    def import_lines(self, session_id: str, lines: Iterable[str | bytes]) -> TranscriptImport:
        """
        Add the entries of a transcript's *lines* (version 1 to 4) that are not there yet.

        Ids, times and unknown members stay as they are, so doing it again changes nothing, and an
        import that was cut off is completed by another one. It commits in batches. A line that is
        broken or contradicts an entry is passed over and told.
        """
        require_session_id(session_id)
        if isinstance(lines, str | bytes) or not isinstance(lines, Iterable):
            problem = f"are {type(lines).__name__}, not a list of lines"
            raise InvalidError("lines", problem, "give an open file, or a list")
        now = self._clock()
        # One moment for the whole import: lines without a time get the same one.
        reading = Reading(session_id, now)
        added = kept = 0
        for batch in batches(reading.entries(lines)):
            done = self._log.put_batch(
                session_id,
                batch,
                header=lambda: reading.header or self._header(session_id, now),
                now_ms=to_ms(now),
            )
            added, kept = added + done.added, kept + done.kept
            for number, problem in done.problems:
                reading.problem(number, problem)
        problems = tuple(sorted(reading.problems, key=lambda each: each.line))
        return TranscriptImport(added, kept, problems)

    def fork(self, session_id: str, at: str, new_session_id: str) -> int:
        """
        Begin *new_session_id* with the entries that lead to the entry *at*; return how many.

        Their ids stay, long values are shared. Raises `NotFoundError` for an unknown session or
        entry, `InvalidError` for a new session that has a transcript already.
        """
        require_session_id(session_id)
        require_session_id(new_session_id)
        require_whole_text("at", at)
        now = self._clock()
        header = self._header(new_session_id, now, parent=session_id)
        return self._log.fork(session_id, at, new_session_id, header=header, now_ms=to_ms(now))

    def delete(self, session_id: str) -> bool:
        """
        Remove all of a session; false when it has no transcript.

        Blobs that no other session holds go with it, and freed pages are overwritten. Its words
        stay in the index, findable by nobody, until `optimize`.
        """
        return self._log.delete(require_session_id(session_id))

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
        spared = frozenset(require_texts("keep", keep))
        limits = TranscriptLimits(older_than, most_sessions, most_bytes, spared)
        # A session at a time: one lock for all of them would keep appends waiting for long.
        outdated = select_outdated(self.sessions(), limits, now=self._clock())
        return [each for each in outdated if self.delete(each)]

    def messages(
        self,
        session_id: str,
        limit: int | None = None,
        before: str | None = None,
        after: str | None = None,
        *,
        as_of: Moment | None = None,
    ) -> list[Message]:
        """
        Return entries of a session in their order: all, or a page of at most *limit*.

        A page is the newest one, the one just before the entry *before*, or the one just behind
        the entry *after*; it costs the same anywhere. An unknown session has no messages. With
        *as_of* only those that were there then, by their own times. Raises `NotFoundError` for a
        cursor that is no entry of the session.
        """
        if limit is not None:
            require_count("limit", limit)
        require_session_id(session_id)
        for name, cursor in (("before", before), ("after", after)):
            if cursor is not None:
                require_whole_text(name, cursor)
        if as_of is None:
            return self._log.page(session_id, after=after, before=before, limit=limit)
        end = end_seconds("as_of", as_of)
        return page_at(self._log, session_id, end, limit=limit, before=before, after=after)

    def message_counts(self, since: Moment, until: Moment) -> list[SessionMessages]:
        """Return how much was said in each session after *since* and by *until*."""
        first, last = end_seconds("since", since), end_seconds("until", until)
        return self._log.message_counts(to_ms(first) + 1, to_ms(last))

    def volume(self, since: Moment, step: float, count: int) -> Volume:
        """Return how much was said in each of *count* spans of *step* seconds after *since*."""
        length = max(to_ms(require_seconds("step", step)), 1)
        spans = require_count("count", count, least=1)
        return self._log.volume(to_ms(end_seconds("since", since)), length, spans)

    def get(self, session_id: str, message_id: str) -> Message | None:
        """Return the entry *message_id* of a session."""
        name = require_whole_text("message id", message_id)
        return self._log.get(require_session_id(session_id), name)

    def search(  # noqa: PLR0917 - the order is part of the contract
        self,
        text: str,
        session_id: str | None = None,
        limit: int = 20,
        role: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> list[TranscriptHit]:
        """
        Return at most *limit* messages with words of *text*, the best first.

        What has all words comes before what has some; words in double quotes stand together.
        Forms of an English word find each other. Chinese, Japanese and Thai are found by their
        signs. *since* and *until* (left out itself) bound the time of the messages.
        """
        require_count("limit", limit)
        if role is not None:
            # What no UTF-8 can hold is no role of any message, so it finds nothing and is no error.
            role = require_text("role", role).encode(errors="replace").decode()
        terms = queries.terms_of(require_text("text", text))
        if session_id is not None:
            require_session_id(session_id)
        bounds = Bounds(
            session_id, role, milliseconds("since", since), milliseconds("until", until)
        )
        found = self._log.search(terms, bounds, limit) if terms else []
        # What is not indexed cannot have matched.
        shown = ((each, score, each.text[:LONGEST]) for each, score in found)
        return [TranscriptHit(each, score, *snippet(text, terms)) for each, score, text in shown]

    def sessions(self, limit: int | None = None, after: str | None = None) -> list[TranscriptInfo]:
        """
        Return the counts and times of each session, the last changed first.

        A page has at most *limit*, those behind the session *after*. Raises `NotFoundError` for a
        session *after* that has no transcript.
        """
        if limit is not None:
            require_count("limit", limit)
        place = None
        if after is not None:
            found = self._log.info(require_session_id(after))
            if found is None:
                raise unknown_session(after)
            place = found.place
        return [each.info for each in self._log.infos(limit=limit, after=place)]

    def page(self, limit: int = PAGE, after: str | None = None) -> Page[TranscriptInfo]:
        """
        Return a page of what `sessions` gives: the *limit* last changed, or those behind *after*.

        It costs the same however many sessions there are. Raises `InvalidError` for a *limit* below
        1 and an *after* that no page gave.
        """
        position = _SESSIONS.require_page(limit, after)
        found = self._log.infos(limit=limit + 1, after=position and _place(position))
        placed = (((-float(each.place[0]), str(each.number)), each.info) for each in found)
        return _SESSIONS.page(placed, limit)

    def message_page(
        self, session_id: str, limit: int = PAGE, after: str | None = None
    ) -> Page[Message]:
        """
        Return a page of the messages of a session: the newest first, or those behind *after*.

        An unknown session has none. Raises `InvalidError` as `page` does, `NotFoundError` for an
        *after* of another session.
        """
        position = _MESSAGES.require_page(limit, after)
        before = None if position is None else position[1]
        key = require_session_id(session_id)
        found = self._log.page(key, after=None, before=before, limit=limit + 1)
        placed = (((-float(each.position), each.id), each) for each in found[::-1])
        return _MESSAGES.page(placed, limit)

    def info(self, session_id: str) -> TranscriptInfo | None:
        """Return the counts and times of one session, or `None`."""
        found = self._log.info(require_session_id(session_id))
        return None if found is None else found.info

    def count(self, session_id: str) -> int:
        """Return how many entries a session has."""
        found = self.info(session_id)
        return 0 if found is None else found.count

    def stats(self) -> dict[str, int]:
        """Return counts, and sizes in bytes."""
        return self._log.stats()

    def export(self, session_id: str, out: BinaryIO | Path | str, *, redact: bool = False) -> int:
        """
        Write a session to *out* as OpenClaw's JSON Lines (version 3); return how many entries.

        A file is made whole, 0600, or not at all. Lines are as they were given, byte by byte. With
        *redact* secrets of well-known forms are masked; the transcript itself is never. Raises
        `NotFoundError` for a session without a transcript.
        """
        if isinstance(out, Path | str):
            with export_file(Path(out)) as file:
                return self.export(session_id, file, redact=redact)
        if not hasattr(out, "write"):
            raise InvalidError("out", f"is {type(out).__name__}, no file", "give a path or a file")
        with self._log.lines(require_session_id(session_id)) as lines:
            count = -1  # the header is no entry
            for line in map(_mask, lines) if redact else lines:
                out.write(line.encode() + b"\n")
                count += 1
            return count

    def check(self, *, deep: bool = True) -> list[Finding]:
        """
        Return what is damaged; *deep* reads every message.

        Also what was kept as it came, but does not fit together, such as orphan results.
        """
        return self._log.check(deep=deep)

    def optimize(self, *, rebuild: bool = False) -> None:
        """Merge the word index, which forgets deleted words; or *rebuild* it from the messages."""
        self._log.optimize(rebuild=rebuild)

    def close(self) -> None:
        """Close the engine; a call after this raises `ClosedError`."""
        self._log.close()

    def _header(self, session_id: str, now: float, *, parent: str | None = None) -> str:
        return header_of(session_id, now=now, cwd=self._settings().cwd, parent=parent)


def _place(position: Position) -> Place:
    rank, number = position
    # A cursor comes from outside, such as a URL; 19 digits are no integer of an engine.
    if not (math.isfinite(rank) and number.isdecimal() and len(number) < 19):
        raise _SESSIONS.not_a_cursor()
    return int(-rank), int(number)


def _mask(line: str) -> str:
    # Only a copy for other eyes: a history that is replayed with masks has brought one back as a
    # command before.
    return without_secrets(line, "[redacted]")
