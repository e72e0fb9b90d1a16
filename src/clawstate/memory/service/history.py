"""`HistoryVerbs`: records take the place of others, and tell what they were."""

from __future__ import annotations

from typing import Any

from clawstate.arguments import require_text
from clawstate.memory import histories
from clawstate.memory.records import MemoryRecord
from clawstate.memory.service.parts import MemoryParts
from clawstate.memory.validation import check_name
from clawstate.memory.versions import Conflict, RecordVersion


class HistoryVerbs(MemoryParts):
    """Keeps and tells what records were before."""

    def supersede(self, /, old_id: str, new: str, **changes: Any) -> MemoryRecord:
        """
        Put *new* in the place of the record *old_id*, and return the record that is there now.

        *new* is the id of a record that is kept, or a text: that makes a record with the fields of
        the old one and with *changes* (the names of `add`). The old one leaves searches, lists and
        pages at once, and stays in `history`. Raises `NotFoundError`, `InvalidError`, and
        `ConflictError` for records of two namespaces.
        """
        require_text("old_id", old_id)
        require_text("new", new)
        return histories.supersede(
            self._engine, self._meanings, old_id, new=new, changes=changes, now=self._clock
        )

    def history(self, record_id: str) -> list[RecordVersion]:
        """
        Return what the record was and is, oldest first, with those before it and behind it.

        Of updates the last ten are kept, or as many as `memory.history.versions` says. Forgetting a
        record forgets its history. Raises `NotFoundError`.
        """
        return histories.history(self._engine, require_text("record_id", record_id))

    def conflicts(self, *, namespace: str | None = "default") -> list[Conflict]:
        """Return records that contradict each other in what is known about them, with advice."""
        if namespace is not None:
            check_name("namespace", namespace)
        return self._engine.versions.conflicts(namespace)

    def forget_history(self, record_id: str) -> int:
        """
        Forget what the record was and whose place it took; return how many versions those were.

        The record itself stays. A compaction clears their bytes.
        """
        return self._engine.versions.forget([require_text("record_id", record_id)])
