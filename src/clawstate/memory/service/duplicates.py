"""`DuplicateVerbs`: records that say nearly the same."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

from clawstate.errors import InvalidError
from clawstate.memory.duplicates.values import LISTING, DuplicateGroup
from clawstate.memory.filters import Moment, filter_from
from clawstate.memory.service.parts import MemoryParts
from clawstate.paging import PAGE, Page

LEAST_SIMILARITY = 0.8
"""Below it texts that merely have a subject in common would be groups of thousands."""


class DuplicateVerbs(MemoryParts):
    """Lists near-duplicates (decision 075)."""

    def duplicates(
        self,
        limit: int = PAGE,
        after: str | None = None,
        *,
        min_similarity: float = 0.95,
        namespace: str | None = "default",
        tags: Iterable[str] | None = None,
        source: str | None = None,
        where: Mapping[str, Any] | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> Page[DuplicateGroup]:
        """
        Return a page of groups of records that say nearly the same, the most alike first.

        Alike are records of one namespace whose texts are equal but for case and blanks, or whose
        vectors have a cosine of at least *min_similarity*, from 0.8 to 1. Records without a vector
        are compared by their texts alone. All records that meet the demands are read, which takes
        some seconds of 100,000; further pages of an unchanged memory cost nothing. `supersede`
        puts one in the place of another. Raises `InvalidError`.
        """
        position = LISTING.require_page(limit, after)
        is_number = isinstance(min_similarity, int | float) and not isinstance(min_similarity, bool)
        if not is_number or not LEAST_SIMILARITY <= min_similarity <= 1:
            raise InvalidError("min_similarity", f"is no number from {LEAST_SIMILARITY} to 1")
        chosen = filter_from(
            namespace=namespace, tags=tags, source=source, where=where, since=since, until=until
        )
        found = self._duplicates.groups(chosen, float(min_similarity))
        places = [each.position for each in found]
        first = 0 if position is None else bisect_right(places, position)
        return LISTING.page(zip(places[first:], found[first:], strict=True), limit)
