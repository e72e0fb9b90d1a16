"""What transcripts give: messages, what a search found, what a session holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from clawstate.arguments import require_count, require_seconds
from clawstate.records.contract import Json
from clawstate.secret_rules import without_secrets
from clawstate.stores.transcripts.plain_text import plain_text

_TOLD = 60  # characters of what was said in a repr

MESSAGE = "message"
"""The type of the entries that were said; others note what happened to the session."""


@dataclass(frozen=True, slots=True)
class Message:
    """
    One entry of a transcript: something said, or a note such as `model_change`.

    *entry* is all of it, in the form of OpenClaw's transcripts (version 3), as a copy of the
    caller's own. *role* is empty for a note. *position* grows with every entry of the state.
    *timestamp* is in seconds since the epoch, and orders nothing.
    """

    session_id: str
    id: str
    parent: str | None
    kind: str
    role: str
    timestamp: float
    position: int
    entry: dict[str, Json]

    def __repr__(self) -> str:
        # What was said is told in short, and without secrets: a repr ends up in logs.
        words = without_secrets(" ".join(self.text.split()), "[redacted]")
        short = words if len(words) <= _TOLD else f"{words[: _TOLD - 1]}…"
        said = f"{self.role or self.kind}, {short!r}"
        return f"Message({said}, id={self.id!r}, session_id={self.session_id!r})"

    @property
    def body(self) -> Mapping[str, Json]:
        """What was said with all its members; of other kinds, the entry itself."""
        inner = self.entry.get(MESSAGE) if self.kind == MESSAGE else None
        return inner if isinstance(inner, dict) else self.entry

    @property
    def content(self) -> Json:
        """What was said: text, or a list of parts; `None` when there is none."""
        return self.body.get("content")

    @property
    def text(self) -> str:
        """The words of it, without images, thoughts and the arguments of tool calls."""
        return plain_text(self.entry)


@dataclass(frozen=True, slots=True)
class TranscriptHit:
    """
    A message that a search found; a higher *score* fits better, within one search.

    *snippet* is the telling part of its text in one line; *matches* are (start, end) in it.
    """

    message: Message
    score: float
    # What was said stays out of logs.
    snippet: str = field(repr=False)
    matches: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class TranscriptInfo:
    """
    The counts and times of one session.

    *size* is in bytes, as exported; *leaf* is the id of the newest entry, `None` if there is none.
    *created_at* and *updated_at* (last change) are seconds since the epoch.
    """

    session_id: str
    count: int
    size: int
    leaf: str | None
    created_at: float
    updated_at: float


CONTRADICTION = "another entry has its id"
"""How the message of a problem begins whose entry differs from the one of its id."""


@dataclass(frozen=True, slots=True)
class TranscriptProblem:
    """A line of an import that was passed over, by its number from 1."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class TranscriptImport:
    """What an import did: entries added, entries that were there already, lines passed over."""

    added: int
    kept: int
    problems: tuple[TranscriptProblem, ...]


@dataclass(frozen=True, slots=True)
class TranscriptLimits:
    """What may stay: an age in seconds, a number, a size in bytes, and those to *keep* anyway."""

    older_than: float | None = None
    most_sessions: int | None = None
    most_bytes: int | None = None
    keep: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse what is no limit: a negative age would take everything."""
        if self.older_than is not None:
            require_seconds("older_than", self.older_than)
        for name in ("most_sessions", "most_bytes"):
            if (value := getattr(self, name)) is not None:
                require_count(name, value)


def select_outdated(
    sessions: Iterable[TranscriptInfo], limits: TranscriptLimits, *, now: float
) -> list[str]:
    """Return the ids of those of *sessions* (newest first) that exceed *limits*, oldest first."""
    every = list(sessions)
    count, size = len(every), sum(each.size for each in every)
    chosen = []
    # The oldest first: each that goes for its age counts for the other limits as well.
    for info in reversed(every):
        is_old = limits.older_than is not None and info.updated_at < now - limits.older_than
        is_many = limits.most_sessions is not None and count > limits.most_sessions
        is_much = limits.most_bytes is not None and size > limits.most_bytes
        if info.session_id not in limits.keep and (is_old or is_many or is_much):
            chosen.append(info.session_id)
            count -= 1
            size -= info.size
    return chosen
