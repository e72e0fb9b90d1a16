"""`RecordVersion`, and what is asked of an engine to keep what records were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, TypeAlias

from clawstate.clock import from_ms, to_ms
from clawstate.memory.moves import Activity, Move
from clawstate.memory.records import MemoryRecord
from clawstate.paging import Position

if TYPE_CHECKING:
    from clawstate.memory.embedder import Embedded, EmbedderIdentity, KnownVector
    from clawstate.memory.filters import Filter
    from clawstate.memory.replacement import Text

Ending: TypeAlias = Literal["updated", "superseded", "archived"]
"""What ended a version: a change of the record, another record in its place, or the archive."""

ConflictKind: TypeAlias = Literal["successors", "position", "edited", "left", "gone"]
"""What contradicts: two records, or a record and its file."""

_ADVICE = {
    "edited": "both are kept; choose with resolve: mine, file or both",
    "left": "it is kept; with resolve, mine keeps it for good, and file forgets it",
    "gone": "they are kept; with resolve, mine keeps them for good, and file forgets them",
}

MOST_VERSIONS = 10
"""How many earlier versions of a record are kept, if nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class VersionLimits:
    """
    Which updates of a record are kept: the last *most*, and all of the last *within* seconds.

    With *most* 0 none is.
    """

    most: int = MOST_VERSIONS
    within: float = 0.0

    def oldest_ms(self, now_ms: int) -> int:
        """Return from when on (ms) all are kept at *now_ms*."""
        return now_ms - int(self.within * 1000)


USUAL_VERSIONS: Final = VersionLimits()
"""What an engine keeps unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class RecordVersion:
    """
    A record as it was from `since` until before `until` (seconds; None for one that is kept now).

    `ending` tells what came then, `successors` the ids of the records in its place, `changed` the
    fields in which it differs from the version before.
    """

    record: MemoryRecord
    since: float
    until: float | None = None
    ending: Ending | None = None
    successors: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class Succession(NamedTuple):
    """That the record `new` took the place of the record `old`."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """
    Records that contradict each other in what is known about them.

    `kind` is `successors` where several took the place of one record, `position` where they stand
    at one place of a thread; `records` are their ids, `about` the id of that record, or the thread.
    With files, `about` is the path: `edited` where a person changed the first record and the file
    says the second by now, `left` where the file does not say the record, `gone` where it gave them
    and is not there. Of very many `records` names the first, and `more` counts the others.
    """

    kind: ConflictKind
    records: tuple[str, ...]
    about: str
    more: int = 0

    @property
    def advice(self) -> str:
        """What to do about it."""
        if self.kind in _ADVICE:
            return _ADVICE[self.kind]
        if self.kind == "successors":
            return "put the right one in the place of the other with supersede, or forget one"
        return "give one of them another position with update, or supersede or forget one"


def begin_at_the_end(old: MemoryRecord, new: Embedded) -> Embedded:
    """Return *new*, which takes the place of *old*, made not before the last change of that."""
    # Else the clock was set back, and the two would overlap in the history.
    earliest = from_ms(to_ms(old.updated_at) + 1)
    if new.record.created_at >= earliest:
        return new
    updated_at = max(new.record.updated_at, earliest)
    record = replace(new.record, created_at=earliest, updated_at=updated_at)
    return replace(new, record=record)


class VersionStore(Protocol):
    """
    Earlier versions of records, and records that others took the place of.

    No search, list or page shows them. They go with the record that is forgotten, all of them, and
    are found no more when their time is over.
    """

    def supersede(
        self, old: MemoryRecord, new: Embedded | str, *, embedder: EmbedderIdentity | None
    ) -> bool:
        """
        Put *new*, a record or the id of one that is kept, in the place of *old*, in one step.

        A record begins at the moment at which *old* ends, which is when it was made.

        False, and nothing is done, when *old* is no longer what is kept (or the last version of
        what was superseded before), or the id is not kept.
        """

    def past(self, ids: Sequence[str]) -> list[RecordVersion]:
        """Return the versions of *ids* that ended, oldest first."""

    def successions(self, ids: Sequence[str]) -> list[Succession]:
        """Return who took the place of any of *ids*, and whose place any of *ids* took."""

    def archive(self, ids: Sequence[str]) -> int:
        """Take those of *ids* that are kept out of what searches see; return how many."""

    def restore(self, ids: Sequence[str]) -> int:
        """
        Put archived records back as they were; return how many those of *ids* were.

        What is kept under such an id by now stays, and the archived one too.
        """

    def archived(self, after: str | None, limit: int) -> list[RecordVersion]:
        """Return the next *limit* archived records after the id *after*, in the order of ids."""

    def forget_updates(self) -> int:
        """
        Forget what stood in records before they were updated; return how many versions those were.

        Records that others took the place of, and archived ones, stay.
        """

    def forget_chosen(self, chosen: Filter) -> int:
        """
        Forget the versions that ended and that *chosen* lets through.

        Returns how many records that is of which nothing is kept.
        """

    def ended(self, chosen: Filter) -> list[RecordVersion]:
        """
        Return records that are no longer kept, each as it was last, that *chosen* lets through.

        Those are the superseded and the archived ones, in the order of their ids.
        """

    def ended_ids(self, beginning: str, limit: int, ending: Ending | None = None) -> list[str]:
        """
        Return *limit* ids at most of such records that begin with *beginning*, in order.

        With *ending* only of those that ended so.
        """

    def conflicts(self, namespace: str | None) -> list[Conflict]:
        """Return what contradicts itself in *namespace*, or anywhere."""

    def texts_at(self, moment: float, limit: int) -> list[Text]:
        """Return texts of versions that were kept at *moment* (s) and have no vector now."""

    def fill(self, made: Mapping[int, KnownVector], embedder: EmbedderIdentity) -> None:
        """
        Give versions vectors, by the keys of `texts_at`, if *embedder* is whose are in use.

        Searches of the past see them from then on.
        """

    def moves(self, first: float, last: float, after: Position | None, limit: int) -> list[Move]:
        """
        Return the next *limit* moves from *first* to *last* (s), in the order of their positions.

        Of what was forgotten, or whose time is over, nothing is told but that and when.
        """

    def activity(self, first: float, step: float, count: int) -> Activity:
        """Return how much moved in each of *count* spans of *step* seconds from *first* on."""

    def kept_at(
        self, moment: float, chosen: Filter, after: Position | None, limit: int
    ) -> list[MemoryRecord]:
        """Return the next *limit* records of *moment* (s), each as it was; else as `latest`."""

    def forget(self, ids: Sequence[str]) -> int:
        """
        Forget the versions of *ids* that ended, and the records whose place they took.

        What is kept stays. Returns how many versions those were.
        """
