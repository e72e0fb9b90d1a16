"""What every engine of transcripts promises: `TranscriptLog`, and what is handed to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

from clawstate.clock import to_ms
from clawstate.health import Finding
from clawstate.records.contract import ANY, Mark
from clawstate.stores.transcripts.entries import Entry
from clawstate.stores.transcripts.values import Message, TranscriptInfo


class Capability(Enum):
    """What an engine can do beyond the contract that all of them keep."""

    # The tests of an engine skip, by name, the laws of a capability that it does not declare.
    DURABLE = "what was acknowledged survives a power cut"
    SHARED = "several processes may append to one session at once"


@dataclass(frozen=True, slots=True)
class Turn:
    """
    Entries that are appended together, and what has to hold before.

    *digest* (SHA-256) tells a repetition of the turn *name* from another turn of that name; with
    *strict* each result of a tool answers a call.
    """

    entries: Sequence[Entry]
    parent: str | None = None
    expect_leaf: str | Mark | None = ANY
    name: str | None = None
    digest: bytes = b""
    strict: bool = False


Batch: TypeAlias = Sequence[tuple[int, Entry]]
"""Entries of an import, each with the number of its line from 1."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How many entries of a batch were added or there already, and what is wrong with others."""

    added: int
    kept: int
    problems: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which messages may be found; times in milliseconds, *until* itself left out."""

    session_id: str | None = None
    role: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


Scored: TypeAlias = tuple[Message, float]
"""A message that a search found, and its score from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The *info* of a session, and its *number*: greater for one that began later."""

    info: TranscriptInfo
    # The last change alone does not order: many sessions change within one millisecond.
    number: int

    @property
    def place(self) -> Place:
        """Where it stands among the sessions, the last changed first."""
        return to_ms(self.info.updated_at), self.number


Place: TypeAlias = tuple[int, int]
"""When a session was changed, in milliseconds, and its number."""


class SessionMessages(NamedTuple):
    """How many messages a session has of some time, and when the last of them was."""

    session_id: str
    messages: int
    last_ms: int


class Volume(NamedTuple):
    """
    Messages, their bytes, and sessions that began, by span; -1 is all before the first.

    By their own times, as far as they are kept.
    """

    messages: dict[int, int]
    sizes: dict[int, int]
    sessions: dict[int, int]


class TranscriptLog(Protocol):
    """
    The entries of the sessions in the order in which they came. Safe for threads.

    A *header* is made when a session has no transcript yet, and becomes its first line. Times are
    milliseconds since the epoch. Every method raises `CorruptError`, `VersionError`,
    `UnavailableError` and `ClosedError`, and when writing `LockTimeoutError`. Reading makes
    nothing.
    """

    @property
    def path(self) -> Path:
        """Where the transcripts lie; names them in messages where there is no file."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the engine can do beyond the contract."""

    def append(
        self, session_id: str, turn: Turn, *, header: Callable[[], str], now_ms: int
    ) -> list[str]:
        """
        Add *turn* to the end of a session, all or none, and return the ids of its entries.

        The rules are those of `turns.place`; a turn whose name and digest are there already is not
        added again. Raises `ConflictError`, `InvalidError`, `NotFoundError`.
        """

    def put_batch(
        self, session_id: str, batch: Batch, *, header: Callable[[], str], now_ms: int
    ) -> BatchResult:
        """Add those entries of *batch* whose ids are new, in one transaction; see `turns.merge`."""

    def fork(
        self, session_id: str, at: str, new_session_id: str, *, header: str, now_ms: int
    ) -> int:
        """
        Begin *new_session_id* with the entries that lead to the entry *at*; return how many.

        Raises `NotFoundError` for an unknown session or entry, `InvalidError` for a new session
        that has a transcript.
        """

    def delete(self, session_id: str) -> bool:
        """Remove all of a session, so that nothing of it can be read again; false if unknown."""

    def get(self, session_id: str, message_id: str) -> Message | None:
        """Return one entry of a session."""

    def page(
        self, session_id: str, *, after: str | None, before: str | None, limit: int | None
    ) -> list[Message]:
        """
        Return entries in their order: the first *limit* behind *after*, else the newest ones.

        Those before the entry *before* where it is given. An unknown session has none. Raises
        `NotFoundError` for a cursor that is no entry of the session.
        """

    # Lent for a block, so that a large session need not be in memory, and all of it is of one
    # moment.
    def lines(self, session_id: str) -> AbstractContextManager[Iterator[str]]:
        """Lend all lines of a session as of one moment, the header first; `NotFoundError`."""

    def search(self, terms: Sequence[str], bounds: Bounds, limit: int) -> list[Scored]:
        """
        Return the best *limit* messages within *bounds*: what has all *terms*, then some.

        The score is that of `queries.combined`; among equals the newer comes first.
        """

    def info(self, session_id: str) -> Listed | None:
        """Return the counts and times of one session, or `None`."""

    def infos(self, *, limit: int | None = None, after: Place | None = None) -> list[Listed]:
        """
        Return the info of each session, the last changed first, of equals the last begun.

        *after* leaves out all that stand before this place, and the one at it; none need be there.
        """

    def message_counts(self, first_ms: int, last_ms: int) -> list[SessionMessages]:
        """Return how much was said in each session within times, both included."""

    def volume(self, first_ms: int, step_ms: int, count: int) -> Volume:
        """Return how much was said in each of *count* spans of *step_ms* from *first_ms* on."""

    def stats(self) -> dict[str, int]:
        """Return counts and sizes in bytes: `sessions`, `messages`, `bytes`, and others."""

    def check(self, *, deep: bool) -> list[Finding]:
        """
        Return what is damaged; *deep* reads every message.

        Where nothing is, also what was kept as it came but does not fit together.
        """

    def optimize(self, *, rebuild: bool) -> None:
        """Let the words of deleted messages go; with *rebuild* make the word index anew."""

    def close(self) -> None:
        """Close the engine; a call after this raises `ClosedError`."""
