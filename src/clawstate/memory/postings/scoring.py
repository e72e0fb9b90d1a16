"""
Exact BM25 over postings: every list of the query is added up, none is guessed or cut off.

BM25 as FTS5 defines it (k1 = 1.2, b = 0.75, idf = ln((N - n + 0.5) / (n + 0.5)), at least 1e-6),
each field by its own lengths. Sums are float32 to choose candidates, float64 for what is told.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.postings.folding import LOW
from clawstate.memory.postings.holders import Holders
from clawstate.memory.postings.snapshot import K1, B, Floats, Snapshot, saturation
from clawstate.memory.postings.store import BLOCK
from clawstate.memory.postings.tail import Ints

Bools = NDArray[np.bool_]

# Where the lists that are kept with a place for each document could no longer lift one into the
# candidates, they are asked for the few that are close alone; from this share on, for all.
_FEW = 8

# To cut more scores than this a sample tells first which cannot be among the best: a partition of
# all takes five times as long.
_MANY = 4_096
_SAMPLE = 1_024
_BLOCKS = 4
_SPARE = 4  # of a sample, so that a bar from it seldom is too high


class Allowed:
    """
    Which documents a filter lets through, by block and in the tail; each answer is worked out once.

    *marks* are sets of terms: a document needs one of each set. *docs*, sorted, are all that it
    lets through, None for any.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        marks: Sequence[Sequence[Holders]] = (),
        *,
        terms: Sequence[Sequence[int]] = (),
        docs: Ints | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._marks = marks
        self._terms = terms
        self._docs = docs
        self.is_all = not marks and docs is None

    def block(self, block: int) -> Bools:
        """Return for each document of *block* whether it is let through."""
        slots = len(self._snapshot.lengths[block][0])
        mask = np.ones(slots, np.bool_)
        for holders, terms in zip(self._marks, self._terms, strict=True):
            mask &= self._mark(block, slots, holders, terms)
        if self._docs is not None:
            mask &= _within(self._docs, block, slots)
        return mask

    def numbers(self) -> Ints:
        """Return, ascending, the numbers of all that are let through, and of some that are gone."""
        blocks = sorted(self._snapshot.lengths)
        found = [np.flatnonzero(self.block(block)) | block << BLOCK for block in blocks]
        return np.sort(np.concatenate([*found, self._snapshot.tail.docs[self.rows()]]))

    def rows(self) -> Bools:
        """Return for each document of the tail whether it is let through."""
        tail = self._snapshot.tail
        mask = self._snapshot.alive.copy()
        for holders, terms in zip(self._marks, self._terms, strict=True):
            one = np.zeros(len(mask), np.bool_)
            for each, term in zip(holders, terms, strict=True):
                own = np.zeros(len(mask), np.bool_)
                own[each.rows] = True
                ours = tail.marked[tail.marked[:, 1] == term]
                for doc, _, sign in ours.tolist():
                    own[tail.docs == doc] = sign > 0
                one |= own
            mask &= one
        if self._docs is not None:
            mask &= np.isin(tail.docs, self._docs)
        return mask

    def _mark(
        self, block: int, slots: int, holders: Sequence[Holders], terms: Sequence[int]
    ) -> Bools:
        found = np.zeros(slots, np.bool_)
        marked = self._snapshot.tail.marked
        for each, term in zip(holders, terms, strict=True):
            own = np.zeros(slots, np.bool_)
            if block in each.parts:
                ids, counts = each.parts[block]
                if ids is None:
                    own[: len(counts)] = counts > 0
                else:
                    own[ids] = True
            ours = marked[(marked[:, 1] == term) & (marked[:, 0] >> BLOCK == block)]
            for doc, _, sign in ours.tolist():
                if doc & LOW < slots:
                    own[doc & LOW] = sign > 0
            found |= own
        return found


def _within(docs: Ints, block: int, slots: int) -> Bools:
    first, last = np.searchsorted(docs, [block << BLOCK, (block << BLOCK) + slots])
    mask = np.zeros(slots, np.bool_)
    mask[docs[first:last] & LOW] = True
    return mask


def best(
    snapshot: Snapshot, lists: Sequence[Holders], allowed: Allowed, limit: int
) -> tuple[Ints, NDArray[np.float64]]:
    """Return the numbers and scores of the best *limit* documents, in any order, above 0."""
    lists = [each for each in lists if each.frequency > 0]
    docs, scores = _tail_scores(snapshot, lists, allowed)
    docs, scores = _cut(docs, scores, limit)
    for block in sorted({block for each in lists for block in each.parts}):
        least = float(scores.min()) if len(scores) >= limit else 0.0
        here = [each for each in lists if block in each.parts]
        dense = [each for each in here if each.parts[block][0] is None]
        low, found = _cut(
            *_block_scores(
                _Block(snapshot, block, allowed),
                [each for each in here if each.parts[block][0] is not None],
                dense,
                rest=sum(_bound(snapshot, each, block) for each in dense),
                least=least,
            ),
            limit,
        )
        docs, scores = _cut(
            np.concatenate([docs, low.astype(np.int64) | block << BLOCK]),
            np.concatenate([scores, found]),
            limit,
        )
    return docs, scores.astype(np.float64)


def _cut(docs: Ints, scores: Floats, limit: int) -> tuple[Ints, Floats]:
    if len(docs) <= limit:
        return docs, scores
    # With all that equal the last: among equals the older document is the better.
    if len(scores) > _MANY:
        docs, scores = _without_most(docs, scores, limit)
    edge = np.partition(scores, len(scores) - limit)[len(scores) - limit]
    above, equal = np.flatnonzero(scores > edge), np.flatnonzero(scores == edge)
    chosen = np.concatenate([above, equal[np.argsort(docs[equal])][: limit - len(above)]])
    return docs[chosen], scores[chosen]


def _without_most(docs: Ints, scores: Floats, limit: int) -> tuple[Ints, Floats]:
    """Return those that *limit* others cannot be above, by a guess from a sample; else all."""
    sample = scores[:: len(scores) // _SAMPLE]
    wanted = min(len(sample), 2 * limit * len(sample) // len(scores) + _SPARE)
    bar = np.partition(sample, len(sample) - wanted)[len(sample) - wanted]
    left = np.flatnonzero(scores >= bar)
    return (docs[left], scores[left]) if len(left) >= limit else (docs, scores)


def _tail_scores(
    snapshot: Snapshot, lists: Sequence[Holders], allowed: Allowed
) -> tuple[Ints, Floats]:
    tail = snapshot.tail
    if not len(tail.docs):
        return np.empty(0, np.int64), np.empty(0, np.float32)
    sums = np.zeros(len(tail.docs), np.float32)
    for each in lists:
        if len(each.rows):
            sizes = tail.lengths[each.rows, each.section].astype(np.float32)
            norm = saturation(sizes, snapshot.means[each.section])
            sums[each.rows] += each.weight * each.counts / (each.counts + norm)
    sums *= snapshot.alive if allowed.is_all else allowed.rows()
    rows = np.flatnonzero(sums > 0)
    return tail.docs[rows], sums[rows]


class _Block:
    """The sums of one block, while its lists are added up."""

    def __init__(self, snapshot: Snapshot, block: int, allowed: Allowed) -> None:
        self._snapshot = snapshot
        self._block = block
        self._mask = None if allowed.is_all else allowed.block(block)
        self._gone = snapshot.gone(block)
        self.sums = np.zeros(len(snapshot.lengths[block][0]), np.float32)

    def add(self, each: Holders, low: Ints | None = None) -> None:
        """Add one list: all of it, or of a dense one the documents *low*."""
        ids, counts = each.parts[self._block]
        norm = self._snapshot.norm(self._block, each.section)
        if ids is not None:
            at = ids.astype(np.intp)  # once, and not in each step by itself
        elif low is not None:
            at = low[low < len(counts)]
            counts = counts[at]
        else:
            at = None
        tf = counts.astype(np.float32)
        below = norm[: len(tf)] + tf if at is None else norm.take(at) + tf
        tf *= np.float32(each.weight)
        tf /= below
        if at is None:
            self.sums[: len(tf)] += tf
        else:
            np.add.at(self.sums, at, tf)  # in half the time of `sums[at] += tf`

    def shut_out(self) -> None:
        """Set the sums of who is gone, or is not let through, to 0."""
        if self._gone is not None and len(self._gone):
            self.sums[self._gone[self._gone < len(self.sums)]] = 0
        if self._mask is not None:
            self.sums *= self._mask


def _block_scores(
    block: _Block, lists: Sequence[Holders], dense: Sequence[Holders], *, rest: float, least: float
) -> tuple[Ints, Floats]:
    """Return who has more than *least*; *rest* is what the *dense* lists can add at most."""
    for each in lists:
        block.add(each)
    block.shut_out()
    close = None
    if dense and least > rest:
        # Only who is this close already can come among the best by the lists that are left.
        close = np.flatnonzero(block.sums > np.float32((least - rest) * (1 - 1e-5)))
        if len(close) * _FEW >= len(block.sums):
            close = None
    for each in dense:
        block.add(each, close)
    if dense:
        block.shut_out()
    found = np.flatnonzero(block.sums > np.float32(least * (1 - 1e-6)))
    return found, block.sums[found]


def _bound(snapshot: Snapshot, each: Holders, block: int) -> float:
    most, least = each.bounds.get(block, (255, 0))
    if each.section:
        least = 0  # that of the text says nothing of another field
    norm = K1 * (1 - B + B * least / snapshot.means[each.section])
    return each.weight * most / (most + norm)


class Docs:
    """Some documents, ascending, by their blocks."""

    def __init__(self, numbers: Ints) -> None:
        self.numbers = numbers
        blocks = numbers >> BLOCK
        ends = [*((blocks[1:] != blocks[:-1]).nonzero()[0] + 1).tolist(), len(numbers)]
        # As narrow as the lists they are looked for in, which would be made wide each time.
        low = (numbers & LOW).astype(np.uint16)
        self.narrow = numbers.astype(np.uint32)
        self.runs = [
            (first, last, int(blocks[first]), low[first:last])
            for first, last in zip([0, *ends], ends, strict=False)
            if last > first
        ]
        self._norms: dict[int, NDArray[np.floating]] = {}

    def norms(self, snapshot: Snapshot, section: int) -> NDArray[np.floating]:
        """Return what the lengths of a field add to the counts of those who are in blocks."""
        found = self._norms.get(section)
        if found is None:
            lengths = np.zeros(len(self.numbers), np.float64)
            for first, last, block, low in self.runs:
                if block in snapshot.lengths:
                    lengths[first:last] = snapshot.lengths_of(block, low, section)
            found = saturation(lengths, snapshot.means[section])
            self._norms[section] = found
        return found


def exact_scores(snapshot: Snapshot, each: Holders, docs: Docs) -> NDArray[np.float64]:
    """Return the exact scores of *docs* by one list; 0 for who is not in it."""
    found = counts(each, docs)
    below = found + docs.norms(snapshot, each.section)
    if len(each.rows):
        there, rows = _in_tail(snapshot, each, docs)
        found[there] = each.counts[rows]
        lengths = snapshot.tail.lengths[each.rows[rows], each.section]
        below[there] = found[there] + saturation(lengths, snapshot.means[each.section])
    found *= each.weight
    found /= below
    return found


def counts(each: Holders, docs: Docs) -> NDArray[np.float64]:
    """Return how often each of *docs* is in the blocks of one list."""
    found = np.zeros(len(docs.numbers), np.float64)
    # One search in all blocks, but in few: to join lists costs as much as to look into four.
    joined = each.blocks if len(docs.runs) > _BLOCKS else None
    if joined is not None:
        listed, many = joined.sparse()
        if len(listed):
            at = listed.searchsorted(docs.narrow)
            here = listed.take(at, mode="clip") == docs.narrow
            np.multiply(many.take(at, mode="clip"), here, out=found)
    for first, last, block, low in docs.runs:
        if block not in each.parts:
            continue
        ids, many = each.parts[block]
        if ids is None:
            if len(many):
                found[first:last] = many.take(low, mode="clip") * (low < len(many))
        elif joined is None and len(ids):
            at = ids.searchsorted(low)
            found[first:last] = many.take(at, mode="clip") * (ids.take(at, mode="clip") == low)
    return found


def all_counts(snapshot: Snapshot, each: Holders, docs: Docs) -> NDArray[np.float64]:
    """Return how often each of *docs* is in one list, in blocks and in the tail."""
    found = counts(each, docs)
    if len(each.rows):
        there, rows = _in_tail(snapshot, each, docs)
        found[there] = each.counts[rows]
    return found


def _in_tail(snapshot: Snapshot, each: Holders, docs: Docs) -> tuple[Ints, Ints]:
    """Return which of *docs* a list has in the tail, and at which of its rows."""
    numbers = snapshot.tail.docs[each.rows]
    order = np.argsort(numbers, kind="stable")
    at = np.minimum(np.searchsorted(numbers[order], docs.numbers), len(order) - 1)
    there = np.flatnonzero(numbers[order][at] == docs.numbers)
    return there, order[at[there]]
