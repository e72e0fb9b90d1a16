"""`HistoryVerbs`: records take the place of others, and tell what they were."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from clawstate.arguments import is_utf8, require_count, require_text
from clawstate.errors import InvalidError
from clawstate.memory import changes, histories
from clawstate.memory.filters import filter_from
from clawstate.memory.moves import MemoryChange, MemorySpan, spans_of
from clawstate.memory.records import MemoryRecord
from clawstate.memory.service.parts import MemoryParts
from clawstate.memory.versions import RecordVersion
from clawstate.moments import DAY, Moment, end_seconds
from clawstate.paging import PAGE, Page

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

        Of updates all of the last 30 days are kept, or as long as `state.history.keepFor` says, and
        the last ten before, or as many as `memory.history.versions` says. Forgetting a record
        forgets its history. Raises `NotFoundError`.
        """
        return histories.history(self._engine, require_text("record_id", record_id))

    def changes(
        self,
        since: Moment,
        until: Moment | None = None,
        *,
        limit: int = PAGE,
        after: str | None = None,
    ) -> Page[MemoryChange]:
        """
        Return a page of what happened to records after *since* and by *until* (now), last first.

        What was known at *until* is what was known at *since* with these changes; of a day its end
        is meant. A record counts from its time of creation. Of what was forgotten nothing is told
        but when, and how much. Raises `InvalidError`.
        """
        begin, end = changes.span(since, until, now=self._clock())
        return changes.changes(self._engine, begin, end, limit, after)

    def put_back(self, record_id: str, as_of: Moment) -> MemoryRecord:
        """
        Make the record what it was at *as_of*, and return it.

        That is a change as any other: what it was until now stays in its `history`. One that is
        archived, or that another took the place of, is kept again. Raises `NotFoundError` where it
        was not kept then, or was forgotten.
        """
        require_text("record_id", record_id)
        moment = end_seconds("as_of", as_of)
        kept = changes.put_back(self._engine, self._meanings, record_id, moment, now=self._clock)
        self._fill_later()
        return kept

    def activity(
        self, since: Moment, until: Moment | None = None, *, step: float = DAY
    ) -> tuple[MemorySpan, ...]:
        """
        Return how much moved in each span of *step* seconds after *since*, up to *until* (now).

        Raises `InvalidError`, also for more than 1,000 spans.
        """
        begin, end = changes.span(since, until, now=self._clock())
        count = changes.count_spans(begin, end, step)
        return spans_of(self._engine.versions.activity(begin, step, count), count)

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
