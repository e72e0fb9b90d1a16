"""Statistics: the answers of the checks in this process, and the marks on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from clawstate.clock import from_ms
from clawstate.health import Finding
from clawstate.quantities import number_of
from clawstate.records.contract import Versioned
from clawstate.stores.dedupe.expiry import ExpiryPolicy, is_mark

_AHEAD = 60.0  # seconds by which clocks of one network differ


@dataclass(slots=True)
class Counters:
    """Counts since the start of this process."""

    memory_hits: int = 0
    file_hits: int = 0
    new: int = 0
    errors: int = 0

    def add(self, other: Counters) -> None:
        """Count what *other* counted as well."""
        self.memory_hits += other.memory_hits
        self.file_hits += other.file_hits
        self.new += other.new
        self.errors += other.errors


@dataclass(frozen=True, slots=True)
class NamespaceStatistics:
    """
    One namespace: *marks* on disk that hold, *expired* ones beside them, *ignored* members.

    *oldest* and *newest* are the times of marks that hold, in seconds since the epoch. The counts
    are those of this process while it had the namespace in use.
    """

    marks: int
    expired: int
    ignored: int
    oldest: float | None
    newest: float | None
    memory_size: int
    memory_hits: int
    file_hits: int
    new: int
    errors: int


@dataclass(frozen=True, slots=True)
class DedupeStatistics:
    """Checks of this process by their answers, and all namespaces with their sizes."""

    memory_hits: int
    file_hits: int
    new: int
    errors: int
    memory_size: int
    marks: int
    namespaces: Mapping[str, NamespaceStatistics]


def count_marks(
    found: Iterable[Versioned], policy: ExpiryPolicy, counters: Counters, memory_size: int
) -> NamespaceStatistics:
    """Return the statistics of a namespace with the members *found*."""
    values = [each.value for each in found]
    marks = [value for value in values if is_mark(value)]
    alive = [value for value in marks if policy.holds(value)]
    return NamespaceStatistics(
        marks=len(alive),
        expired=len(marks) - len(alive),
        ignored=len(values) - len(marks),
        oldest=from_ms(min(alive)) if alive else None,
        newest=from_ms(max(alive)) if alive else None,
        memory_size=memory_size,
        memory_hits=counters.memory_hits,
        file_hits=counters.file_hits,
        new=counters.new,
        errors=counters.errors,
    )


def odd_marks(name: str, found: NamespaceStatistics, *, path: str, now: float) -> Iterator[Finding]:
    """Give what is no mark of the namespace *name*, and marks that a wrong clock made."""
    if found.ignored:
        one, many = f"member of {name!r} is no mark", f"members of {name!r} are no marks"
        message = f"{number_of(found.ignored, one, many)}; what is none is ignored"
        yield Finding("dedupe-members", "info", path, message, "remove them with an editor")
    ahead = 0.0 if found.newest is None else found.newest - now
    if ahead > _AHEAD:
        message = f"{name!r} has a mark from the future; was a clock set?"
        remedy = f"its key counts as seen for {ahead:.0f} s longer; 'clawstate dedupe forget' it"
        yield Finding("dedupe-future", "warning", path, message, remedy)
