"""Who holds a term, or some terms side by side: from blocks and tail, as of one snapshot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.postings.folding import LOW
from clawstate.memory.postings.snapshot import K1, Snapshot
from clawstate.memory.postings.store import BLOCK, Block
from clawstate.memory.postings.tail import Ints

LEAST_WEIGHT = 1e-6

Places: TypeAlias = NDArray[np.uint32] | NDArray[np.int64]
"""Numbers of documents with a place of 16 bits behind, ascending."""


@dataclass(slots=True)
class Holders:
    """
    Who holds a term, or a phrase: by block and, as rows, in the tail.

    `parts` maps a block to the low halves of numbers, or None where `counts` has a place for each
    document; `weight` is what it counts, `section` the field whose lengths it is judged by.
    """

    section: int = 0
    frequency: int = 0
    weight: float = 0.0
    parts: dict[int, tuple[NDArray[np.uint16] | None, NDArray[np.uint8]]] = field(
        default_factory=dict
    )
    places: dict[int, NDArray[np.uint16]] = field(default_factory=dict)
    bounds: dict[int, tuple[int, int]] = field(default_factory=dict)
    rows: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    counts: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    row_places: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    _occurrences: dict[int, NDArray[np.uint32]] = field(default_factory=dict)

    def occurrences(self, block: int) -> NDArray[np.uint32]:
        """Return the documents' low halves with the places of a term behind, ascending."""
        found = self._occurrences.get(block)
        if found is None:
            ids, counts = self.parts[block]
            low: NDArray[Any] = counts.nonzero()[0] if ids is None else ids
            many = counts[low] if ids is None else counts
            found = low.astype(np.uint32)
            found <<= 16
            found = found.repeat(many)
            found |= self.places[block]
            self._occurrences[block] = found
        return found


def idf(documents: int, frequency: int) -> float:
    """Return the weight of what *frequency* of *documents* hold."""
    weight = math.log((documents - frequency + 0.5) / (frequency + 0.5))
    return weight if weight > 0 else LEAST_WEIGHT


def find_holders(
    snapshot: Snapshot, blocks: Iterable[Block], terms: Mapping[int, int]
) -> dict[int, Holders]:
    """Return who holds each of *terms*, which map to the number of their field."""
    found = {term: Holders(section=field) for term, field in terms.items()}
    for each in blocks:
        holders = found[each.key >> BLOCK]
        block = each.key & LOW
        counts = np.frombuffer(each.counts, np.uint8)
        ids = None if each.dense else np.frombuffer(each.ids, "<u2")
        slots = len(snapshot.lengths[block][0]) if block in snapshot.lengths else 0
        wrong = len(counts) > slots if ids is None else len(ids) != len(counts)
        if wrong or (ids is not None and len(ids) and int(ids[-1]) >= slots):
            raise ValueError(f"block {each.key} of the word index does not fit")
        holders.parts[block] = ids, counts
        holders.bounds[block] = each.most, 0 if holders.section else each.least
        holders.frequency += each.size
        if each.places:
            holders.places[block] = np.frombuffer(each.places, "<u2")
    tail = snapshot.tail
    if len(tail.terms):
        for term, holders in found.items():
            at = np.flatnonzero(tail.terms == term)
            if len(at):
                rows = tail.rows[at]
                holders.rows, holders.counts = np.unique(rows, return_counts=True)
                holders.counts = np.minimum(holders.counts, 255)
                holders.row_places = rows << 16 | tail.places[at].astype(np.int64)
                holders.frequency += len(holders.rows)
    if len(tail.gone_terms):
        for term, holders in found.items():
            holders.frequency -= int(np.count_nonzero(tail.gone_terms == term))
    documents = snapshot.totals.documents
    for holders in found.values():
        # Of marks that records got later only those in blocks are counted; nobody asks.
        holders.frequency = max(holders.frequency, 0)
        holders.weight = (K1 + 1) * idf(documents, min(holders.frequency, documents))
    return found


def phrase(snapshot: Snapshot, parts: Sequence[Holders], *, weight: float) -> Holders:
    """Return who holds the terms of *parts* side by side, in this order."""
    found = Holders(section=parts[0].section)
    for block in set.intersection(*(set(each.places) for each in parts)):
        ids, counts = _count_distinct(_side_by_side([each.occurrences(block) for each in parts]))
        gone = snapshot.gone(block)
        if gone is not None and len(ids):
            kept = ~np.isin(ids, gone)
            ids, counts = ids[kept], counts[kept]
        if len(ids):
            found.parts[block] = ids.astype(np.uint16), np.minimum(counts, 255).astype(np.uint8)
            found.frequency += len(ids)
    if all(len(each.row_places) for each in parts):
        rows, counts = _count_distinct(_side_by_side([np.sort(each.row_places) for each in parts]))
        found.rows, found.counts = rows.astype(np.int64), counts
        found.frequency += int(np.count_nonzero(snapshot.alive[found.rows]))
    found.weight = weight * (K1 + 1) * idf(snapshot.totals.documents, found.frequency)
    return found


def _side_by_side(parts: Sequence[Places]) -> Places:
    """Return where the first of *parts* stands with the others behind it, one after the other."""
    rarest = min(range(len(parts)), key=lambda number: len(parts[number]))
    found: Places = parts[rarest] - rarest
    for number, each in enumerate(parts):
        if not len(found) or not len(each):
            return found[:0]
        if number != rarest:
            wanted = found + number
            found = found[each.take(each.searchsorted(wanted), mode="clip") == wanted]
    # The last place stands for all behind it, and says nothing about who is beside whom; a place
    # below 0, which would be one of the document before, is one of the last as well.
    return found[found.astype(np.uint16) < 0xFFFF - len(parts)]


def _count_distinct(keys: Places) -> tuple[Places, Ints]:
    """Return the distinct upper halves of *keys*, which ascend, and how often each is there."""
    upper = keys >> 16
    if len(upper) < 2:
        return upper, np.ones(len(upper), np.int64)
    first = np.concatenate([[0], (upper[1:] != upper[:-1]).nonzero()[0] + 1])
    counts = np.append(first[1:], len(upper)) - first
    return upper[first], counts
