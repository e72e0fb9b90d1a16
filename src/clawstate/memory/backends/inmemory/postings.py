"""Postings of records in one process: a tail that holds them all, and no blocks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from clawstate.memory.analysis import terms_with_places
from clawstate.memory.postings.store import (
    FIELDS,
    Batch,
    Block,
    Document,
    Kind,
    Lengths,
    Totals,
    pack,
)


class Terms(NamedTuple):
    """The terms of a record with their places, and how many each field has."""

    lengths: Sequence[int]
    placed: Sequence[tuple[str, int]]


def terms_of(fields: Sequence[str]) -> Terms:
    """Return the terms of a record's *fields*."""
    return Terms(*terms_with_places(fields))


class InMemoryPostings:
    """A `PostingStore` over the terms of *rows*."""

    def __init__(self, rows: Mapping[int, Terms]) -> None:
        self._numbers = {
            term: number
            for number, term in enumerate(
                dict.fromkeys(term for row in rows.values() for term, _ in row.placed), start=1
            )
        }
        documents = [
            Document(key, row.lengths, [(self._numbers[term], at) for term, at in row.placed])
            for key, row in rows.items()
        ]
        self._tail = [Batch(1, Kind.ADD, pack(documents))]
        columns = [*zip(*(row.lengths for row in rows.values()), strict=True)] or [()] * FIELDS
        self._totals = Totals(
            documents=len(rows),
            tokens=tuple(map(sum, columns)),
            holders=tuple(sum(map(bool, column)) for column in columns),
            waiting=len(rows),
            last=1,
        )

    def totals(self) -> Totals:
        """Return the counts."""
        return self._totals

    def tail(self, after: int) -> list[Batch]:
        """Return the one batch."""
        return [each for each in self._tail if each.seq > after]

    def numbers(self, terms: Iterable[str]) -> Mapping[str, int]:
        """Return the numbers of *terms*."""
        return {each: self._numbers[each] for each in terms if each in self._numbers}

    def sizes(self, terms: Sequence[int]) -> Mapping[int, int]:  # noqa: ARG002
        """Return nothing."""
        return {}

    def blocks(self, terms: Sequence[int], placed: Collection[int]) -> list[Block]:  # noqa: ARG002 - nothing is folded
        """Return nothing."""
        return []

    def at(self, keys: Sequence[int]) -> list[Block]:  # noqa: ARG002
        """Return nothing."""
        return []

    def lengths(self, blocks: Collection[int] | None = None) -> list[Lengths]:  # noqa: ARG002
        """Return nothing."""
        return []
