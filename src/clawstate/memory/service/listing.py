"""`ListVerbs`: records that meet a filter, page by page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from clawstate.errors import InvalidError
from clawstate.memory.filters import Moment, filter_from
from clawstate.memory.records import MemoryRecord, position_of
from clawstate.memory.service.parts import MemoryParts
from clawstate.memory.validation import check_name
from clawstate.moments import end_seconds
from clawstate.paging import PAGE, Listing, Page

MAX_PAGE = 1_000_000

LISTING = Listing("memory")
"""Records, the one made last first."""


class ListVerbs(MemoryParts):
    """Lists records in the order of their ids, or the one made last first."""

    def records(
        self,
        *,
        where: Mapping[str, Any] | None = None,
        namespace: str | None = "default",
        tags: Iterable[str] | None = None,
        source: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> list[MemoryRecord]:
        """
        Return records in the order of their ids (as made, for ids of ours), *limit* at most.

        *after* is the last id of the page before. *namespace* None means all of them; for
        *where* see `search`.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE:
            raise InvalidError("limit", f"is not a whole number from 1 to {MAX_PAGE:,}")
        if after is not None:
            check_name("after", after)
        chosen = filter_from(
            namespace=namespace, tags=tags, source=source, where=where, since=since, until=until
        )
        return self._engine.page(chosen, after, limit)

    def page(
        self,
        limit: int = PAGE,
        after: str | None = None,
        *,
        where: Mapping[str, Any] | None = None,
        namespace: str | None = "default",
        tags: Iterable[str] | None = None,
        source: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        as_of: Moment | None = None,
    ) -> Page[MemoryRecord]:
        """
        Return a page of records: the *limit* made last, or those behind *after*; as `records` else.

        It costs the same however many records there are. *as_of* lists what was kept then, each
        record as it was; see `search`. Raises `InvalidError` for a *limit* below 1 and an *after*
        that no page gave.
        """
        position = LISTING.require_page(limit, after)
        chosen = filter_from(
            namespace=namespace, tags=tags, source=source, where=where, since=since, until=until
        )
        # One more than asked for tells whether there is another page.
        if as_of is None:
            found = self._engine.latest(chosen, position, limit + 1)
        else:
            moment = end_seconds("as_of", as_of)
            found = self._engine.versions.kept_at(moment, chosen, position, limit + 1)
        return LISTING.page(((position_of(each), each) for each in found), limit)
