"""The latest records of a collection one after the other, fetched in pages."""

from __future__ import annotations

from collections.abc import Iterator

from clawstate.paging import Position
from clawstate.records.contract import Collection, Versioned
from clawstate.records.rules import position_of

_MOST = 1_000  # records that are fetched at once


def latest(
    collection: Collection, after: Position | None, *, first: int
) -> Iterator[tuple[Position, Versioned]]:
    """
    Give all records behind *after*, the greatest number first, each with its position.

    The *first* so many are fetched at once, then more and more: whoever wants a page, and passes
    over some, asks for little more than that. Each fetch is of a moment of its own.
    """
    size = first
    while True:
        count = 0
        for each in collection.latest(size, after=after):
            count += 1
            after = position_of(collection.spec, each.key, each.value)
            yield after, each
        if count < size:
            return
        size = min(2 * size, _MOST)
