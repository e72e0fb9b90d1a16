"""
One state of packed postings, kept between searches: what is read once for each fold.

BM25 as FTS5 defines it: k1 = 1.2, b = 0.75; each field is judged by its own lengths.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.postings.folding import LOW, arrays
from clawstate.memory.postings.store import BLOCK, FIELDS, PostingReads, PostingStore, Totals
from clawstate.memory.postings.tail import Ints, Tail
from clawstate.memory.postings.term_blocks import BUDGET, BUDGET_EACH, BlockLengths, TermCache

K1, B = 1.2, 0.75

Floats = NDArray[np.float32]


class Snapshot:
    """One state of the postings, which never changes: lengths, tail, counts, terms of blocks."""

    def __init__(
        self,
        totals: Totals,
        lengths: BlockLengths,
        tail: Tail,
        terms: TermCache,
    ) -> None:
        self.totals = totals
        self.lengths = lengths
        self.tail = tail
        self.terms = terms
        self._norms: dict[tuple[int, int], Floats] = {}
        self._present: tuple[object, list[str]] | None = None
        tokens, holders = totals.tokens, totals.holders
        texts = max(totals.documents, 1)
        self.means = [
            (tokens[each] / (holders[each] if each else texts) if holders[each] else 1.0) or 1.0
            for each in range(FIELDS)
        ]
        self.alive = tail.alive()
        gone = np.sort(tail.gone)
        self._gone = {
            block: (gone[gone >> BLOCK == block] & LOW)
            # Not by `np.unique`: its first call loads a package of numpy in 40 ms.
            for block in sorted(set((gone >> BLOCK).tolist()))
        }

    def present(self, store: PostingReads, marks: Mapping[str, str]) -> list[str]:
        """Return what those of *marks* stand for that any document has had since the last fold."""
        # Asked by each search, and always of the same marks.
        if self._present is None or self._present[0] is not marks:
            self._present = marks, [marks[each] for each in store.numbers(marks)]
        return self._present[1]

    def norm(self, block: int, number: int) -> Floats:
        """Return what the lengths of field *number* add to the counts in *block*."""
        key = block, number
        if key not in self._norms:
            texts, fields = self.lengths[block]
            if not number:
                # A length is kept one longer. Where no document is, it is not -1 but 0: a sum over
                # all places must not divide 0 by 0 there.
                sizes = np.maximum(texts.astype(np.float32) - 1, 0)
            elif fields is None:
                sizes = np.zeros(len(texts), np.float32)
            else:
                sizes = fields[number - 1].astype(np.float32)
            self._norms[key] = saturation(sizes, self.means[number]).astype(np.float32)
        return self._norms[key]

    def lengths_of(self, block: int, low: NDArray[np.uint16], number: int) -> Ints:
        """Return the lengths of field *number* of documents of *block*; 0 for who is none of it."""
        texts, fields = self.lengths[block]
        kept = texts if not number else None if fields is None else fields[number - 1]
        if kept is None or not len(kept):
            return np.zeros(len(low), np.int64)
        found = kept.take(low, mode="clip").astype(np.int64)
        found *= low < len(kept)
        # A length of a text is kept one longer.
        return found if number else np.maximum(found - 1, 0)

    def gone(self, block: int) -> Ints | None:
        """Return which documents of *block* the tail took away."""
        return self._gone.get(block)


class SnapshotCache:
    """The newest snapshot that a process read, and how to come from it to the next."""

    # Lengths are read once for each fold, and of the tail only what came since: a snapshot is
    # never changed, so searches in other threads go on with theirs.
    def __init__(self) -> None:
        self._known: tuple[object, Snapshot] | None = None

    def snapshot(self, store: PostingStore, identity: object) -> Snapshot:
        """Return the state of *store*, a database of this *identity*; `ValueError` for damage."""
        totals = store.totals()
        known = self._known
        if known is not None and known[0] == identity and known[1].totals == totals:
            return known[1]
        budget = max(BUDGET, BUDGET_EACH * totals.documents)
        lengths, tail, terms = None, Tail(), TermCache(budget)
        if known is not None and known[0] == identity and known[1].totals.epoch == totals.epoch:
            lengths, terms = known[1].lengths, known[1].terms
            if known[1].tail.last <= totals.last:
                tail = known[1].tail
        if lengths is None:
            lengths = {each.block: arrays(each) for each in store.lengths()}
        found = Snapshot(totals, lengths, tail.extend(store.tail(tail.last)), terms)
        if known is None or known[0] != identity or known[1].totals.epoch <= totals.epoch:
            self._known = identity, found
        return found


def saturation(lengths: NDArray[np.floating], mean: float) -> NDArray[np.floating]:
    """Return K1 by the lengths of documents: what is added to a count below it."""
    return K1 * (1 - B + B * lengths / mean)
