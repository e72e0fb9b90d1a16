"""`HistoryVerbs`: records take the place of others, and tell what they were."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from clawstate.arguments import is_utf8, require_count, require_text
from clawstate.errors import InvalidError
from clawstate.memory import histories
from clawstate.memory.filters import filter_from
from clawstate.memory.records import MemoryRecord
from clawstate.memory.service.parts import MemoryParts
from clawstate.memory.versions import RecordVersion

RecordStanding: TypeAlias = Literal["kept", "archived", "superseded"]
"""Where a record stands: in searches, in the archive, or behind others that took its place."""

RECORD_STANDINGS: tuple[RecordStanding, ...] = ("kept", "archived", "superseded")


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

    def find_ids(
        self, beginning: str, *, limit: int = 10, among: RecordStanding | None = None
    ) -> list[str]:
        """
        Return *limit* ids at most that begin with *beginning*, in order and in all namespaces.

        *among*: only those of records that are `kept`, `archived` or `superseded`; all by default.
        Raises `InvalidError`.
        """
        require_text("beginning", beginning)
        require_count("limit", limit, least=1)
        if among is not None and among not in RECORD_STANDINGS:
            raise InvalidError("among", "is unknown", f"use one of {', '.join(RECORD_STANDINGS)}")
        if not is_utf8(beginning):
            return []
        found: set[str] = set()
        if among in {None, "kept"}:
            # Ids are in order, so all that begin with it follow it.
            page = self._engine.page(filter_from(namespace=None), beginning or None, limit)
            found.update(each.id for each in page if each.id.startswith(beginning))
            found.update(self._engine.get([beginning]))
        if among != "kept":
            found.update(self._engine.versions.ended_ids(beginning, limit, among))
        return sorted(found)[:limit]

    def forget_history(self, record_id: str) -> int:
        """
        Forget what the record was and whose place it took; return how many versions those were.

        The record itself stays. A compaction clears their bytes.
        """
        return self._engine.versions.forget([require_text("record_id", record_id)])
