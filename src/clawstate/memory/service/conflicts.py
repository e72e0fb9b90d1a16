"""`ConflictVerbs`: what contradicts itself, or the files it came from, and how it is settled."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from clawstate.arguments import require_text
from clawstate.errors import InvalidError, NotFoundError
from clawstate.memory.file_conflicts import PLACES, FileConflict
from clawstate.memory.records import MemoryRecord
from clawstate.memory.service.history import HistoryVerbs
from clawstate.memory.service.records import RecordVerbs
from clawstate.memory.validation import check_name
from clawstate.memory.versions import Conflict

ConflictSide: TypeAlias = Literal["mine", "file", "both"]
"""What stays: the record as it is in the memory, what the file says, or one beside the other."""

CONFLICT_SIDES: tuple[ConflictSide, ...] = ("mine", "file", "both")

_NAMED = 100  # ids that a conflict tells of a file that is gone; it may have given thousands
_STEP = 1_000  # records that are forgotten in one step


class ConflictVerbs(RecordVerbs, HistoryVerbs):
    """Lists conflicts, and settles those between records and their files (decision 061)."""

    def conflicts(self, *, namespace: str | None = "default") -> list[Conflict]:
        """
        Return records that contradict each other, or the files they came from, with advice.

        Raises `InvalidError`.
        """
        if namespace is not None:
            check_name("namespace", namespace)
        of_files = [told for each in self._open(namespace) if (told := self._tell(each))]
        # What a file does not say stands where something else of it does, which is the same again.
        told_of = {each.records[0] for each in of_files}
        others = [
            each
            for each in self._engine.versions.conflicts(namespace)
            if each.kind != "position" or len(set(each.records) - told_of) > 1
        ]
        return of_files + others

    def resolve(self, about: str, *, keep: ConflictSide, namespace: str | None = None) -> int:
        """
        Settle what `conflicts` tells between the memory and a file; return how many records went.

        *about* is the id of a record of the conflict, or the path of a file that is gone. *keep*
        says what stays: `mine`, what the memory has; `file`, what the file says, so that what it
        does not say is forgotten; `both`. Of two records the one that gives way stays in the
        `history` of the other. Raises `NotFoundError` where there is no such conflict,
        `InvalidError`.
        """
        require_text("about", about)
        if keep not in CONFLICT_SIDES:
            raise InvalidError("keep", "is unknown", f"use one of {', '.join(CONFLICT_SIDES)}")
        if namespace is not None:
            check_name("namespace", namespace)
        found = [
            each
            for each in self._open(namespace)
            if about in (each.record, each.theirs) or (not each.record and about == each.source)
        ]
        if not found:
            hint = "'clawstate memory conflicts' shows those with files; settle others with"
            raise NotFoundError("conflict", about, f"{hint} supersede, update or forget")
        if keep == "both" and any(each.kind != "edited" for each in found):
            raise InvalidError("keep", "both is for two records", "use mine or file")
        gone = sum(self._settle(each, keep) for each in found)
        self.imports.conflicts.remove(found)
        return gone

    def _open(self, namespace: str | None) -> list[FileConflict]:
        """Return the conflicts with files that are open still; notes of others are taken away."""
        noted = self.imports.conflicts.entries(namespace)
        ids = {each.record for each in noted} | {each.theirs or "" for each in noted}
        kept = self._engine.get(sorted(ids - {""}))
        is_open = {each.key: self._is_open(each, kept) for each in noted}
        self.imports.conflicts.remove([each for each in noted if not is_open[each.key]])
        return [each for each in noted if is_open[each.key]]

    def _is_open(self, conflict: FileConflict, kept: dict[str, MemoryRecord]) -> bool:
        if conflict.kind == "gone":
            return not os.path.lexists(conflict.source) and bool(self._ids_of(conflict, 1))
        mine = kept.get(conflict.record)
        if conflict.kind == "left":
            return mine is not None
        theirs = kept.get(conflict.theirs or "")
        return mine is not None and theirs is not None and mine.text != theirs.text

    def _tell(self, conflict: FileConflict) -> Conflict | None:
        if conflict.kind != "gone":
            ids = (conflict.record, *([conflict.theirs] if conflict.theirs else []))
            return Conflict(conflict.kind, ids, conflict.source)
        every = self._ids_of(conflict)
        return Conflict("gone", tuple(every[:_NAMED]), conflict.source, len(every[_NAMED:]))

    def _ids_of(self, conflict: FileConflict, most: int | None = None) -> Sequence[str]:
        """Return the ids of what a file gave that is gone, and is kept still; *most* or more."""
        source, namespace = conflict.source, conflict.namespace
        known = sorted(self.imports.look([source], namespace=namespace)[source].known)
        found: list[str] = []
        for begin in range(0, len(known), _STEP):
            found += self._engine.get(known[begin : begin + _STEP])
            if most is not None and len(found) >= most:
                break
        return found

    def _settle(self, conflict: FileConflict, keep: ConflictSide) -> int:
        """Do what *keep* says; return how many records left the memory, or gave way."""
        if keep == "both" or (keep == "mine" and conflict.kind == "left"):
            if not conflict.follows:
                # It is no part of the run of passages that its file is.
                self.update(conflict.record, thread=None, position=None)
            return 0
        if conflict.kind == "gone":
            left = self._ids_of(conflict) if keep == "mine" else ()
            source, namespace = conflict.source, conflict.namespace
            return self.imports.forget(source, namespace=namespace, left=left)
        if conflict.theirs is None:
            # Not for good: should the file say it again, it is told again.
            return self._engine.delete([conflict.record], for_good=False)
        mine, theirs = self.require(conflict.record), self.require(conflict.theirs)
        # The one that imports compare with the file stays, so that it follows the file from now on,
        # or is known as edited; the other goes behind it in its history.
        stays, goes = (mine, theirs) if conflict.follows else (theirs, mine)
        wanted = mine if keep == "mine" else theirs
        if stays is not wanted:
            changes = _said_by(wanted, of=stays)
            self.update(stays.id, expected_updated_at=stays.updated_at, **changes)
        self.supersede(goes.id, stays.id)
        return 1


def _said_by(wanted: MemoryRecord, *, of: MemoryRecord) -> dict[str, Any]:
    """Return the changes that make *of* say what *wanted* does, at the place where it stands."""
    placed = {name: value for name, value in of.metadata.items() if name in PLACES}
    told = {name: value for name, value in wanted.metadata.items() if name not in PLACES}
    return {
        "text": wanted.text,
        "tags": wanted.tags,
        "metadata": {**told, **placed},
        "importance": wanted.importance,
        "category": wanted.category,
    }
