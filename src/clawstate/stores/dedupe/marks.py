"""`Marks`: the marks of one namespace on disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

from clawstate.errors import CorruptError
from clawstate.records import contract
from clawstate.records.contract import Json
from clawstate.records.merging import MergeResult, merge_into
from clawstate.stores.dedupe.expiry import ExpiryPolicy, merge_marks
from clawstate.stores.dedupe.group_commit import Call, GroupCommit
from clawstate.stores.dedupe.statistics import Counters, NamespaceStatistics, count_marks

_SHARE = 8  # of the limit: so many new marks may come between two sweeps


class Made(NamedTuple):
    """A mark, in milliseconds, and whether it was made just now."""

    at: float
    is_new: bool


@runtime_checkable
class DamagedWhole(Protocol):
    """Records in a file of their own, which can be damaged as a whole."""

    def damage(self) -> CorruptError | None:
        """Return why the file cannot be read, or `None`."""


class Marks:
    """The marks in *records*; *policy* tells what counts at the moment that it is called."""

    def __init__(self, records: contract.Collection, policy: Callable[[], ExpiryPolicy]) -> None:
        self._records = records
        self._policy = policy
        self._together = GroupCommit(self._answer)
        self._until_sweep = 0  # the first look comes at once, for processes that make one mark

    def record(self, key: str) -> Made:
        """
        Make the mark of *key* unless there is one that holds; return the one that is there.

        Threads that come at one time share a durable write.
        """
        return self._together.answer(key)

    def record_all(self, keys: Iterable[str]) -> dict[str, Made]:
        """Do what `record` does for all *keys* in one change."""
        wanted = list(keys)

        def change(found: dict[str, Json]) -> tuple[dict[str, Json], dict[str, Made]]:
            # The moment at which the lock is held: a mark that waited must not be the oldest.
            policy = self._policy()
            fresh: dict[str, Json] = {
                key: policy.now for key in wanted if not policy.holds(found.get(key))
            }
            marks = {**found, **fresh}
            return marks, {key: Made(marks[key], is_new=key in fresh) for key in wanted}

        # All or none: with half of them marked, a caller that failed could not tell which are
        # handled.
        return self._records.change_some(wanted, change)

    def merge(self, marks: Mapping[str, Json], *, dry_run: bool = False) -> MergeResult:
        """Merge *marks*, in milliseconds; a *dry_run* writes nothing."""

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], MergeResult]:
            return merge_marks(records, marks, self._policy())

        return merge_into(self._records, change, dry_run=dry_run)

    def holds(self, key: str) -> bool:
        """Tell whether *key* has a mark that holds."""
        found = self._records.get(key)
        # An expired mark may still lie there: it goes with a later write, and counts for nothing.
        return found is not None and self._policy().holds(found.value)

    def delete(self, key: str) -> bool:
        """Remove the mark of *key*; False if there was none."""
        return self._records.delete(key)

    def newest(self, count: int) -> list[tuple[float, str]]:
        """Return at most *count* marks that hold, with their keys, the newest last."""
        policy = self._policy()
        found = self._records.scan()
        marks = sorted((each.value, each.key) for each in found if policy.holds(each.value))
        return marks[len(marks) - min(len(marks), count) :]

    def prune(self, spared: Collection[str] = ()) -> int:
        """
        Remove expired marks, and the oldest of those too many, and return how many went.

        Of those of one moment the *spared* keys go last.
        """

        def change(records: dict[str, Json]) -> tuple[dict[str, Json], int]:
            last = {key: records[key] for key in spared if key in records}
            first = {key: value for key, value in records.items() if key not in last}
            kept = self._policy().prune({**first, **last})
            return kept, len(records) - len(kept)

        return self._records.change_all(change)

    def sweep_when_due(self, made: Collection[str]) -> None:
        """
        Take note of the new marks *made*, and prune now and then.

        A file is tidied by each write; in rows that would cost more than the mark itself.
        """
        self._until_sweep -= len(made)
        if self._until_sweep > 0:
            return
        # An eighth: so one sweep, which reads all marks, is paid by many writes of a single row.
        limit = self._policy().limit
        self._until_sweep = max(1, limit // _SHARE)
        if self._records.count() > limit:
            self.prune(made)

    def stats(self, counters: Counters, memory_size: int) -> NamespaceStatistics:
        """Return the statistics of the namespace."""
        return count_marks(self._records.scan(), self._policy(), counters, memory_size)

    @property
    def path(self) -> str:
        """Where the marks lie, below the directory of their engine."""
        return str(self._records.spec.path)

    def require_whole(self) -> None:
        """Raise `CorruptError` for a damaged file, in whose place reading goes on with a copy."""
        records = self._records
        if isinstance(records, DamagedWhole) and (damage := records.damage()) is not None:
            raise damage

    def _answer(self, calls: list[Call[Made]]) -> None:
        # `update` of one key is the cheaper change: on SQLite it reads and writes a single row.
        if len(calls) == 1:
            calls[0].answer = self._record_one(calls[0].key)
            return
        made = self.record_all(each.key for each in calls)
        for each in calls:
            each.answer = made[each.key]
            # Of several threads with one key only the first is told that it is new.
            made[each.key] = Made(made[each.key].at, is_new=False)

    def _record_one(self, key: str) -> Made:
        made = Made(0.0, is_new=False)

        def change(old: Json) -> Json:
            nonlocal made
            policy = self._policy()
            made = Made(old, is_new=False) if policy.holds(old) else Made(policy.now, is_new=True)
            return made.at

        self._records.update(key, change)
        return made
