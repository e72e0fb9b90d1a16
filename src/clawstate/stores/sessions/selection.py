"""Which sessions have to go: by age, by number, by bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from clawstate.arguments import require_count, require_seconds
from clawstate.stores.sessions.archive import Archived
from clawstate.stores.sessions.entry import SessionEntry

# Down to less than the budget, or every new session would exceed it again.
_HIGH_WATER = 0.8  # of the budget, is what stays when it was exceeded


@dataclass(frozen=True, slots=True)
class MaintenanceSettings:
    """
    What `session.maintenance` says, in seconds and bytes; `None` is without a limit.

    Unless *enforce*, nothing is removed of its own accord. What was deleted or pruned can be
    restored for *prune_after*, what was reset for *reset_retention*.
    """

    enforce: bool = False
    prune_after: float | None = 30 * 86_400.0
    max_entries: int | None = 500
    reset_retention: float | None = 30 * 86_400.0
    max_disk_bytes: int | None = None
    high_water_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a pruning goes by."""

    older_than: float | None = None
    max_entries: int | None = None
    max_disk_bytes: int | None = None
    high_water_bytes: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is no limit."""
        if self.older_than is not None:
            require_seconds("older_than", self.older_than)
        for name in ("max_entries", "max_disk_bytes", "high_water_bytes"):
            if (value := getattr(self, name)) is not None:
                require_count(name, value)

    @property
    def any_given(self) -> bool:
        """Whether there is a limit at all."""
        return (self.older_than, self.max_entries, self.max_disk_bytes) != (None, None, None)

    @property
    def high_water(self) -> int:
        """What is left of the disk budget once it was exceeded."""
        budget, given = self.max_disk_bytes or 0, self.high_water_bytes
        return min(budget, int(budget * _HIGH_WATER) if given is None else given)


@dataclass(frozen=True, slots=True)
class SizedEntry:
    """An entry and the bytes that it takes."""

    entry: SessionEntry
    size: int


@dataclass(frozen=True, slots=True)
class Pruned:
    """
    What a pruning removed, or would remove (`dry_run`).

    `by_age`, `by_count` and `by_size` are the sessions, oldest first; `expired` is how many
    archived sessions went for good. The bytes are those of index, profiles and archive.
    """

    dry_run: bool
    by_age: tuple[SessionEntry, ...] = ()
    by_count: tuple[SessionEntry, ...] = ()
    by_size: tuple[SessionEntry, ...] = ()
    kept: int = 0
    expired: int = 0
    bytes_before: int = 0
    bytes_after: int = 0

    @property
    def removed(self) -> tuple[SessionEntry, ...]:
        """All sessions that went, whatever for."""
        return (*self.by_age, *self.by_count, *self.by_size)


@dataclass(frozen=True, slots=True)
class Selection:
    """The sessions that have to go, oldest first, and what the others take."""

    by_age: tuple[SizedEntry, ...]
    by_count: tuple[SizedEntry, ...]
    by_size: tuple[SizedEntry, ...]
    left: tuple[SizedEntry, ...]

    @property
    def gone(self) -> tuple[SizedEntry, ...]:
        """All that have to go."""
        return (*self.by_age, *self.by_count, *self.by_size)


def select(
    entries: Iterable[SizedEntry], limits: Limits, *, now: float, spared: Collection[str] = ()
) -> Selection:
    """
    Return which of *entries* have to go, never those with *spared* keys.

    An entry that does not tell its time is not too old, and the first to go by number.
    """
    # By key among equals, so that a dry run names those that the real one removes.
    left = sorted(entries, key=lambda each: (each.entry.updated_at, each.entry.session_key))
    by_age: list[SizedEntry] = []
    if limits.older_than is not None:
        before = now - limits.older_than
        by_age = [
            each
            for each in left
            if 0 < each.entry.updated_at < before and each.entry.session_key not in spared
        ]
        left = _without(left, by_age)
    by_count: list[SizedEntry] = []
    if limits.max_entries is not None and len(left) > limits.max_entries:
        # Spared ones count, but do not go: the others make room for them.
        free = [each for each in left if each.entry.session_key not in spared]
        by_count = free[: len(left) - limits.max_entries]
        left = _without(left, by_count)
    by_size = _too_large(left, limits, spared)
    return Selection(tuple(by_age), tuple(by_count), tuple(by_size), tuple(_without(left, by_size)))


def select_expired(
    archived: Iterable[Archived], *, now: float, kept_for: float | None, resets_for: float | None
) -> tuple[Archived, ...]:
    """Return those of *archived* that can no longer be restored; times in seconds."""
    # A session that another took the place of is as one that was reset.
    spans = {"reset": resets_for, "replaced": resets_for}
    found = []
    for each in archived:
        span = spans.get(each.reason, kept_for)
        if span is not None and each.at < now - span:
            found.append(each)
    return tuple(found)


def oldest_beyond(archived: Iterable[Archived], room: int) -> tuple[Archived, ...]:
    """Return the oldest of *archived* without which the others fit into *room* bytes."""
    newest = sorted(archived, key=lambda each: each.at, reverse=True)
    taken, beyond = 0, []
    for each in newest:
        taken += each.size
        if taken > room:
            beyond.append(each)
    return tuple(beyond)


def _too_large(left: list[SizedEntry], limits: Limits, spared: Collection[str]) -> list[SizedEntry]:
    taken = sum(each.size for each in left)
    if limits.max_disk_bytes is None or taken <= limits.max_disk_bytes:
        return []
    gone = []
    for each in left:
        if taken <= limits.high_water:
            break
        if each.entry.session_key not in spared:
            gone.append(each)
            taken -= each.size
    return gone


def _without(entries: list[SizedEntry], gone: list[SizedEntry]) -> list[SizedEntry]:
    keys = {each.entry.session_key for each in gone}
    return [each for each in entries if each.entry.session_key not in keys]
