"""`Move`: what happened to the records of a memory, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from clawstate.memory.records import MemoryRecord
from clawstate.paging import Position

MoveKind: TypeAlias = Literal["added", "updated", "superseded", "archived", "forgotten"]
"""What happened to a record; of what was forgotten nothing but that is known."""

MOVE_KINDS: Final[tuple[MoveKind, ...]] = (
    *("added", "updated", "superseded", "archived", "forgotten"),
)

REMEMBERED: Final = 30 * 86_400_000
"""For how long it is known that something was forgotten, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Move:
    """
    That something happened at a moment, `at`, in milliseconds.

    `name` is the id of the record, or for what was forgotten a number; `count` how many those were.
    """

    at: int
    kind: MoveKind
    name: str
    count: int = 1

    @property
    def position(self) -> Position:
        """Where it stands: the last first, of one moment by kind and name."""
        return -float(self.at), f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class MemoryChange:
    """
    What happened to a record at a moment, `at`, in seconds; what it was `before` and is `after`.

    `successors` are the ids of the records that took its place then or later. Of what was forgotten
    only `count` is known: how many records those were; `number` tells one such from another.
    """

    at: float
    kind: MoveKind
    record_id: str | None = None
    before: MemoryRecord | None = None
    after: MemoryRecord | None = None
    successors: tuple[str, ...] = ()
    count: int = 1
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """
    How many moves there were, by span and kind; spans count from 0, and -1 is all before.

    `sizes` are the bytes of the texts that are kept now, by the span in which they were made.
    """

    counts: dict[tuple[int, MoveKind], int] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MemorySpan:
    """
    How many records were added, and so on, in a span, and how many there were at its end.

    `bytes` are those of the texts of records that are kept now and were made by then. Of what was
    forgotten since only `forgotten` tells.
    """

    added: int = 0
    updated: int = 0
    superseded: int = 0
    archived: int = 0
    forgotten: int = 0
    records: int = 0
    bytes: int = 0


def spans_of(activity: Activity, count: int) -> tuple[MemorySpan, ...]:
    """Return *activity* as *count* spans."""

    def of(number: int, kind: MoveKind) -> int:
        return activity.counts.get((number, kind), 0)

    def growth(number: int) -> int:
        return of(number, "added") - of(number, "superseded") - of(number, "archived")

    found: list[MemorySpan] = []
    records, size = growth(-1), activity.sizes.get(-1, 0)
    for number in range(count):
        records += growth(number)
        size += activity.sizes.get(number, 0)
        counts = {each: of(number, each) for each in MOVE_KINDS}
        found.append(MemorySpan(**counts, records=records, bytes=size))
    return tuple(found)


def span_of(at_ms: int, first_ms: int, step_ms: int, count: int) -> int | None:
    """Return the number of the span of a moment; None behind the last."""
    number = -1 if at_ms < first_ms else (at_ms - first_ms) // step_ms
    return number if number < count else None
