"""Groups of vectors that are nearly one: pure functions over arrays, the older before the newer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.map.proximity import EXACT, Matrix, lists_around

Rows = NDArray[np.intp]

_BLOCK = 1_024
_NOISE = np.float32(2e-4)  # vectors are kept as float16, and equal ones must be found as such


class Group(NamedTuple):
    """The rows of a group, the oldest first, and the cosine of each to that."""

    rows: Rows
    similarities: Matrix


def groups_of(vectors: Matrix, texts: NDArray[np.int64], bound: float) -> Iterator[Group]:
    """
    Yield the groups of rows that are each nearer than *bound* to an older one of their group.

    *vectors* are float16 (n, d), of length 1 or 0, which is near to nothing; *texts* have the same
    number where a text is the same. Up to 6,000 texts each is compared with each; of more, each
    with those in the lists around it, which misses few.
    """
    firsts, text_of = np.unique(texts, return_index=True, return_inverse=True)[1:]
    oldest = firsts[text_of]  # of the same text
    # Equal texts are one here, so that a line that is there ten thousand times costs nothing.
    some = np.sort(firsts)
    some = some[vectors[some].any(axis=1)]
    # A row points at one that is older than itself, if anything does.
    oldest[some] = some[_oldest_alike(vectors[some], np.float32(bound) - _NOISE)]
    # From each to what that points at, until nothing moves: then it is the oldest of its group.
    while (further := oldest[oldest]).tobytes() != oldest.tobytes():
        oldest = further
    order = np.argsort(oldest, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(oldest[order]) != 0])
    for rows in np.split(order, starts[1:]):
        if len(rows) > 1:
            yield _group(rows, vectors, texts)


def _group(rows: Rows, vectors: Matrix, texts: NDArray[np.int64]) -> Group:
    found = vectors[rows].astype(np.float32)
    cosines = np.minimum(found @ found[0], np.float32(1))
    cosines[texts[rows] == texts[rows[0]]] = 1
    order = np.argsort(-cosines[1:], kind="stable")
    return Group(np.r_[rows[:1], rows[1:][order]], np.r_[np.float32(1), cosines[1:][order]])


def _oldest_alike(vectors: Matrix, bound: np.float32) -> Rows:
    """Return for each row the oldest that is nearer than *bound*, which may be the row itself."""
    found = np.arange(len(vectors))
    if len(vectors) <= EXACT:
        every = np.arange(len(vectors))
        _look(vectors, every, every, bound, found)
        return found
    for own, among in lists_around(vectors, lambda: None):
        _look(vectors, own, among, bound, found)
    return found


def _look(vectors: Matrix, own: Rows, among: Rows, bound: np.float32, found: Rows) -> None:
    candidates = vectors[among].astype(np.float32)
    for start in range(0, len(own), _BLOCK):
        rows = own[start : start + _BLOCK]
        near = vectors[rows].astype(np.float32) @ candidates.T >= bound
        # The first of ascending rows is the oldest. A newer one is no concern of this row.
        first = near.argmax(axis=1)
        hit = near[np.arange(len(rows)), first]
        found[rows[hit]] = np.minimum(rows[hit], among[first[hit]])
