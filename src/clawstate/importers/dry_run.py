"""`Unwritten`: a memory that is read as it is and takes nothing in, for dry runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clawstate.memory.file_conflicts import FileConflict, FileConflicts
from clawstate.memory.imports import Before
from clawstate.memory.ledger import Finished, Imported
from clawstate.memory.records import MemoryRecord
from clawstate.memory.service import Memory
from clawstate.memory.upkeep import lend_in_process
from clawstate.records.contract import Lease

_TTL = 3600.0  # seconds


class Unwritten:
    """
    What a dry run imports into, in the place of *memory*: its answers, and none of its writes.

    It stands for the notes of imports as well. So a dry run runs the code of an import, and cannot
    count otherwise.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._former: dict[str, str] = {}
        self.imports = self
        self.conflicts = UnwrittenConflicts(memory.imports.conflicts)

    def now(self) -> float:
        """Return the present."""
        return self._memory.now()

    def alone(self, namespace: str) -> Lease:
        """Return a lease of nobody else's: nothing is written."""
        return lend_in_process()(namespace, _TTL, 0.0)

    def fingerprints(self, namespace: str) -> dict[str, str]:
        """Return the sources that were imported whole."""
        return self._memory.imports.fingerprints(namespace)

    def sources(self, namespace: str) -> set[str]:
        """Return the sources that are noted."""
        moved = self._former
        return self._memory.imports.sources(namespace) - set(moved.values()) | moved.keys()

    def sources_of(self, passages: Sequence[bytes], *, namespace: str) -> dict[str, int]:
        """Return the sources that gave *passages*."""
        return self._memory.imports.sources_of(passages, namespace=namespace)

    def begin_all(self, sources: Sequence[str], *, namespace: str) -> dict[str, Before]:
        """Return what is known of *sources*, and note nothing."""
        former = [self._former.get(each, each) for each in sources]
        known = self._memory.imports.look(former, namespace=namespace)
        return {each: known[name] for each, name in zip(sources, former, strict=True)}

    def look(self, sources: Sequence[str], *, namespace: str) -> dict[str, Before]:
        """Return what is known of *sources*."""
        return self.begin_all(sources, namespace=namespace)

    def were_forgotten(self, given: Sequence[tuple[str, bytes]], *, namespace: str) -> set[str]:
        """Return the ids of those of *given* that were forgotten."""
        return self._memory.imports.were_forgotten(given, namespace=namespace)

    def note_all(self, given: Mapping[str, Sequence[Imported]], *, namespace: str) -> None:
        """Do nothing."""

    def finish_all(self, finished: Sequence[Finished], *, namespace: str) -> int:  # noqa: ARG002
        """Return how many records would go."""
        return sum(len(each.vanished) for each in finished)

    def forget(self, source: str, *, namespace: str, left: Sequence[str] = ()) -> int:
        """Return how many records would go."""
        rows = self._memory.imports.look([source], namespace=namespace)[source].rows
        return len(rows.keys() - set(left))

    def rename(self, old: str, new: str, *, namespace: str) -> None:  # noqa: ARG002
        """Know for this run that *new* was *old*."""
        self._former[new] = old

    def get_many(self, ids: Sequence[str]) -> dict[str, MemoryRecord]:
        """Return those records that are kept."""
        return self._memory.get_many(ids)

    def records(self, **chosen: Any) -> list[MemoryRecord]:
        """Return records that are kept."""
        return self._memory.records(**chosen)

    def add_many(self, records: Sequence[MemoryRecord]) -> list[str]:
        """Return the ids that *records* would have."""
        return [each.id for each in records]


class UnwrittenConflicts:
    """The conflicts that are noted, to which nothing is added."""

    def __init__(self, conflicts: FileConflicts) -> None:
        self._conflicts = conflicts

    def entries(self, namespace: str | None) -> list[FileConflict]:
        """Return what is noted."""
        return self._conflicts.entries(namespace)

    def put(self, found: Iterable[FileConflict]) -> None:
        """Do nothing."""

    def remove(self, settled: Sequence[FileConflict]) -> None:
        """Do nothing."""
