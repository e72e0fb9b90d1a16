"""The report of an import: counts for each kind of things, and remarks about single files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from clawstate.quantities import number_of
from clawstate.records.merging import MergeResult

# Later kinds build on earlier ones: tokens need the key pair, media the messages that name them.
KINDS = (
    "config",
    "auth",
    "sessions",
    "transcripts",
    "media",
    "channels",
    "identity",
    "device-auth",
    "devices",
    "memory",
    "workspace",
    "dedupe",
    "secrets",
)
"""What can be taken over, in the order in which it is; `secrets` only when they are asked for."""

SECRETS = "secrets"
OF_AGENTS = ("auth", "sessions", "transcripts", "media", "memory", "workspace")
"""The kinds of what belongs to one agent."""

_SHOWN = 5  # keys that a remark names

LEFT = "left-alone"
"""The kind of files that are not taken over; they are counted all the same."""


@dataclass(slots=True)
class Count:
    """
    How many things of one kind were *found*, and what became of each of them.

    *found* is the sum of all others. *unchanged* were here already.
    """

    found: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    skipped: int = 0
    failed: int = 0

    def add(
        self,
        *,
        new: int = 0,
        changed: int = 0,
        unchanged: int = 0,
        skipped: int = 0,
        failed: int = 0,
    ) -> None:
        """Count things that were found, by what became of them."""
        self.found += new + changed + unchanged + skipped + failed
        self.new += new
        self.changed += changed
        self.unchanged += unchanged
        self.skipped += skipped
        self.failed += failed


class Outcome(StrEnum):
    """What became of a thing: what *failed* could not be read or kept, though it should be."""

    FAILED = "failed"
    SKIPPED = "skipped"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Remark:
    """
    A sentence about one file; *path* is relative to the source, *line* counts from 1.

    Its *severity* is what became of the thing: that decides how much it matters. It never repeats
    what the file says: that may be secret.
    """

    kind: str
    severity: Outcome
    path: str
    message: str
    line: int | None = None


@dataclass(slots=True)
class Report:
    """
    What an import of *source* found and did, or with *dry_run* would do.

    *is_home* tells that the source is the directory of the state itself.
    """

    source: str
    dry_run: bool
    is_home: bool = False
    counts: dict[str, Count] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)

    def count(self, kind: str) -> Count:
        """Return the counts of *kind*, to add to."""
        return self.counts.setdefault(kind, Count())

    def fail(self, kind: str, path: str, message: str, *, line: int | None = None) -> None:
        """Count one thing of *kind* as failed, and say why."""
        self.count(kind).add(failed=1)
        self.remarks.append(Remark(kind, Outcome.FAILED, path, message, line))

    def skip(self, kind: str, path: str, message: str, *, things: int = 1) -> None:
        """Count *things* of *kind* as left out on purpose, and say why."""
        self.count(kind).add(skipped=things)
        self.remarks.append(Remark(kind, Outcome.SKIPPED, path, message))

    def add_merge(
        self, kind: str, path: str, result: MergeResult, *, what: str, why_kept: str
    ) -> None:
        """Count what a merge of the file *path* did: *what* its records are, and why ours stay."""
        self.count(kind).add(
            new=len(result.new), changed=len(result.changed), unchanged=len(result.same)
        )
        if number := len(result.kept):
            message = f"{number_of(number, what)} {why_kept}: {list_keys(result.kept)}"
            self.skip(kind, path, message, things=number)
        for key, reason in result.refused.items():
            self.fail(kind, path, f"{key}: {reason}")

    def skip_superseded(self, kind: str, path: str, what: str, number: int) -> None:
        """Count things of the file *path* as skipped that OpenClaw's database has as well."""
        if number:
            pronoun = "it" if number == 1 else "them"
            message = f"{number_of(number, what)} left, since OpenClaw's database has {pronoun}"
            self.skip(kind, path, message, things=number)

    def note(self, kind: str, path: str, message: str) -> None:
        """Say something that changes no count."""
        self.remarks.append(Remark(kind, Outcome.NOTE, path, message))

    def has_failed(self) -> bool:
        """Tell whether anything could not be taken over that should have been."""
        # What was left on purpose is no failure: only this decides the exit code (decision 28).
        return any(count.failed for count in self.counts.values())

    def kinds(self) -> Iterator[tuple[str, Count]]:
        """Yield the kinds of which something was found, in their order."""
        for kind in (*KINDS, LEFT):
            if kind in self.counts and self.counts[kind].found:
                yield kind, self.counts[kind]


def list_keys(keys: Sequence[str]) -> str:
    """Return the first few of *keys*, and how many more there are."""
    more = f" and {len(keys) - _SHOWN:,} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
