"""`DuplicateGroup`: records that say nearly the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from clawstate.paging import Listing, Position

LISTING: Final = Listing("duplicates")
"""Groups, those of the most alike records first."""

MOST_NAMED: Final = 100
"""Ids that a group tells; a template may have been filled in thousands of times."""


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """
    Records that say nearly the same, by their ids: the oldest first, then those most like it.

    `similarities` has for each of `records` the cosine to the first, 1 for an equal text, and 1
    for the first itself. It may lie below what was asked for: each of the others is so near to an
    older one of the group, not always to the first. Of very many, `more` counts the rest.
    """

    records: tuple[str, ...]
    similarities: tuple[float, ...]
    more: int = 0

    @property
    def similarity(self) -> float:
        """How alike the two are that are the most alike of the first and another one."""
        return self.similarities[1]

    @property
    def position(self) -> Position:
        """Where it stands in the listing."""
        return -self.similarity, self.records[0]
