"""Who holds a term, or some terms side by side: from blocks and tail, as of one snapshot."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.postings.folding import LOW
from clawstate.memory.postings.snapshot import K1, Snapshot
from clawstate.memory.postings.store import BLOCK, MOST, PostingReads
from clawstate.memory.postings.tail import Ints
from clawstate.memory.postings.term_blocks import Part, Places, TermBlocks

LEAST_WEIGHT = 1e-6

_FEW = 12_000  # documents, up to which all their places are compared
_SHORT = 16  # times as long is the list in which single documents are looked for one by one
_WIDE = 64  # numbers for each document of a list, up to which they are marked


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
    store: PostingReads,
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


def union(snapshot: Snapshot, terms: Mapping[int, Holders]) -> Holders:
    """Return who holds any of *terms*, of one field, by number; it counts as often as the most."""
    lists = [*terms.values()]
    if len(lists) == 1:
        return replace(lists[0])  # its weight is the caller's to change
    found = Holders(section=lists[0].section)
    for block in sorted({block for each in lists for block in each.parts}):
        bounds = [each.bounds[block] for each in lists if block in each.bounds]
        found.bounds[block] = max(most for most, _ in bounds), min(least for _, least in bounds)
        parts = [each.parts[block] for each in lists if block in each.parts]
        found.parts[block] = parts[0] if len(parts) == 1 else _join(parts)
        ids, counts = found.parts[block]
        found.frequency += int(np.count_nonzero(counts)) if ids is None else len(ids)
    found.rows, found.counts = _most_of_each(
        np.concatenate([each.rows for each in lists]),
        np.concatenate([each.counts for each in lists]),
    )
    found.frequency += len(found.rows)
    tail = snapshot.tail
    if len(tail.gone_terms):
        gone = tail.gone_docs[np.isin(tail.gone_terms, [*terms])]
        found.frequency -= len(set(gone.tolist()))
    documents = snapshot.totals.documents
    found.frequency = max(found.frequency, 0)
    found.weight = (K1 + 1) * idf(documents, min(found.frequency, documents))
    return found


def _join(parts: Sequence[Part]) -> Part:
    """Return who is in any of *parts* of one block."""
    listed = [(ids, counts) for ids, counts in parts if ids is not None]
    if len(listed) == len(parts):
        joined = np.concatenate([ids for ids, _ in listed])
        return _most_of_each(joined, np.concatenate([many for _, many in listed]))
    ends = [int(ids[-1]) + 1 for ids, _ in listed if len(ids)]
    every = np.zeros(max([*ends, *(len(many) for ids, many in parts if ids is None)]), np.uint8)
    for ids, many in parts:
        if ids is None:
            every[: len(many)] = np.maximum(every[: len(many)], many)
        else:
            every[ids] = np.maximum(every[ids], many)
    return None, every


_Int = TypeVar("_Int", bound=np.integer)
_Count = TypeVar("_Count", bound=np.integer)


def _most_of_each(
    keys: NDArray[_Int], counts: NDArray[_Count]
) -> tuple[NDArray[_Int], NDArray[_Count]]:
    """Return the distinct *keys*, ascending, with the highest of the *counts* of each."""
    if len(keys) < 2:
        return keys, counts
    # As one number each, which is sorted five times as fast as by two keys: counts are bytes.
    both = keys.astype(np.int64)
    both <<= 8
    both |= counts.astype(np.int64)
    both.sort()
    upper = both >> 8
    last = np.append(np.flatnonzero(upper[1:] != upper[:-1]), len(both) - 1)
    return upper.take(last).astype(keys.dtype), (both.take(last) & 255).astype(counts.dtype)


def phrase(snapshot: Snapshot, parts: Sequence[Holders], *, weight: float) -> Holders:
    """Return who holds the terms of *parts* side by side, in this order."""
    found = Holders(section=parts[0].section)
    blocks = [each.blocks for each in parts if each.blocks is not None]
    docs: NDArray[np.integer]
    if sum(each.size for each in blocks) <= _FEW:
        docs, counts = _count_distinct(_side_by_side([each.keys() for each in blocks]))
    else:
        docs, counts = _phrase_in_many([each.with_places() for each in blocks])
    ends = [*((docs[1:] >> BLOCK != docs[:-1] >> BLOCK).nonzero()[0] + 1).tolist(), len(docs)]
    for first, last in zip([0, *ends], ends, strict=False) if len(docs) else ():
        block = int(docs[first]) >> BLOCK
        ids, many = docs[first:last] & LOW, counts[first:last]
        gone = snapshot.gone(block)
        if gone is not None:
            kept = ~np.isin(ids, gone)
            ids, many = ids[kept], many[kept]
        if len(ids):
            found.parts[block] = ids.astype(np.uint16), np.minimum(many, MOST).astype(np.uint8)
            found.frequency += len(ids)
    if all(len(each.row_places) for each in parts):
        rows, counts = _count_distinct(_side_by_side([np.sort(each.row_places) for each in parts]))
        found.rows, found.counts = rows, counts
        found.frequency += int(np.count_nonzero(snapshot.alive[found.rows]))
    found.weight = weight * (K1 + 1) * idf(snapshot.totals.documents, found.frequency)
    return found


def _phrase_in_many(parts: Sequence[Places]) -> tuple[NDArray[np.integer], Ints]:
    """Return who holds the terms of *parts* side by side, ascending, and how often."""
    rarest = min(range(len(parts)), key=lambda number: len(parts[number].docs))
    docs = parts[rarest].docs
    # First who has all of them at all, since to compare places takes much longer.
    for number, each in enumerate(parts):
        if number != rarest and len(docs):
            docs = docs.take(np.flatnonzero(_are_in(docs, each.docs)))
    if not len(docs):
        return docs, np.empty(0, np.int64)
    found = _side_by_side([each.of(each.docs.searchsorted(docs)) for each in parts])
    chosen, counts = _count_distinct(found)
    return docs[chosen], counts


def _are_in(docs: NDArray[np.uint32], others: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Tell which of *docs* are among *others*; both ascend."""
    if not len(others):
        return np.zeros(len(docs), np.bool_)
    if _SHORT * len(docs) < len(others) or others[-1] > _WIDE * len(others):
        return np.equal(others.take(others.searchsorted(docs), mode="clip"), docs)
    # To mark them all is faster than to look for many, one by one.
    marked = np.zeros(int(max(docs[-1], others[-1])) + 1, np.bool_)
    marked[others.astype(np.intp)] = True  # twice as fast as by what is not made wide first
    found: NDArray[np.bool_] = marked.take(docs)
    return found


def _side_by_side(parts: Sequence[Ints]) -> Ints:
    """Return where the first of *parts* stands with the others behind it, one after the other."""
    rarest = min(range(len(parts)), key=lambda number: len(parts[number]))
    found: Ints = parts[rarest] - rarest
    for number, each in enumerate(parts):
        if not len(found) or not len(each):
            return found[:0]
        if number != rarest:
            wanted = found + number
            here = each.take(each.searchsorted(wanted), mode="clip") == wanted
            found = found.take(np.flatnonzero(here))
    # The last place stands for all behind it, and says nothing about who is beside whom; a place
    # below 0, which would be one of the document before, is one of the last as well.
    return found[found.astype(np.uint16) < 0xFFFF - len(parts)]


def _count_distinct(keys: Ints) -> tuple[Ints, Ints]:
    """Return the distinct upper halves of *keys*, which ascend, and how often each is there."""
    upper = keys >> 16
    if len(upper) < 2:
        return upper, np.ones(len(upper), np.int64)
    first = np.concatenate([[0], (upper[1:] != upper[:-1]).nonzero()[0] + 1])
    counts = np.append(first[1:], len(upper)) - first
    return upper[first], counts
