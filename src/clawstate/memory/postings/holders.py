"""Who holds a term, or some terms side by side: from blocks and tail, as of one snapshot."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.postings.snapshot import K1, Snapshot
from clawstate.memory.postings.store import PostingStore
from clawstate.memory.postings.tail import Ints
from clawstate.memory.postings.term_blocks import Part, TermBlocks

LEAST_WEIGHT = 1e-6

Places: TypeAlias = NDArray[np.uint32] | NDArray[np.int64]
"""Numbers of documents with a place of 16 bits behind, ascending."""


@dataclass(slots=True)
class Holders:
    """
    Who holds a term, or a phrase: by block and, as rows, in the tail.

    `parts` and `bounds` are by block, as in `TermBlocks`; of a term `blocks` is all that there is.
    `weight` is what it counts, `section` the field whose lengths it is judged by.
    """

    section: int = 0
    frequency: int = 0
    weight: float = 0.0
    parts: dict[int, Part] = field(default_factory=dict)
    bounds: dict[int, tuple[int, int]] = field(default_factory=dict)
    blocks: TermBlocks | None = None
    rows: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    counts: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    row_places: Ints = field(default_factory=lambda: np.empty(0, np.int64))


def idf(documents: int, frequency: int) -> float:
    """Return the weight of what *frequency* of *documents* hold."""
    weight = math.log((documents - frequency + 0.5) / (frequency + 0.5))
    return weight if weight > 0 else LEAST_WEIGHT


def find_holders(
    snapshot: Snapshot,
    store: PostingStore,
    terms: Mapping[int, int],
    placed: Collection[int] = (),
) -> dict[int, Holders]:
    """
    Return who holds each of *terms*, which map to the number of their field.

    With places for those in *placed*. Raises `ValueError` for damage.
    """
    kept = snapshot.terms.find(store, snapshot.lengths, terms, placed)
    found = {
        term: Holders(field, one.size, 0.0, one.parts, one.bounds, one)
        for term, field in terms.items()
        for one in (kept[term],)
    }
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
    blocks = [each.blocks for each in parts if each.blocks is not None]
    for block in set.intersection(*(set(each.places) for each in blocks)):
        ids, counts = _count_distinct(_side_by_side([each.occurrences(block) for each in blocks]))
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
