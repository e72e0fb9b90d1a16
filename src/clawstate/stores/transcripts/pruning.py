"""Chooses the sessions that a pruning removes; nothing is changed here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from clawstate.arguments import require_count, require_seconds
from clawstate.stores.transcripts.values import TranscriptInfo


@dataclass(frozen=True, slots=True)
class Limits:
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


def select_outdated(sessions: Iterable[TranscriptInfo], limits: Limits, *, now: float) -> list[str]:
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
