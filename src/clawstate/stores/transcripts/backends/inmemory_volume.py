"""How much was said, by session and by time, in one process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from clawstate.stores.transcripts.contract import SessionMessages, Volume

Times: TypeAlias = Sequence[tuple[str, Sequence[tuple[int, int]]]]
"""By session the time (ms) and the size of each message."""


def message_counts(times: Times, first_ms: int, last_ms: int) -> list[SessionMessages]:
    """Return how much was said in each session within times, both included."""
    found = []
    for session_id, rows in times:
        there = [each for each, _ in rows if first_ms <= each <= last_ms]
        if there:
            found.append(SessionMessages(session_id, len(there), max(there)))
    return sorted(found)


def count(times: Times, begun: Iterable[int], spans: tuple[int, int, int]) -> Volume:
    """Return how much was said in each span, and how many sessions had *begun*."""
    first, step, number = spans
    told = Volume({}, {}, {})

    def add(to: dict[int, int], at_ms: int, amount: int) -> None:
        span = -1 if at_ms < first else (at_ms - first) // step
        if span < number:
            to[span] = to.get(span, 0) + amount

    for at in begun:
        add(told.sessions, at, 1)
    for _, rows in times:
        for at, size in rows:
            add(told.messages, at, 1)
            add(told.sizes, at, size)
    return told
