"""
The scan: pure functions over arrays that find the best rows for a vector.

A row is a place in arrays whose keys ascend, so the lower of two rows is the older record.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.vector_index.codes import Bits, Matrix

Rows = NDArray[np.intp]
"""Places in the arrays."""

_BLOCK = 16_384  # rows in one step: what is counted stays in the cache of the processor
_SAMPLE = 4_096
_STEP = 512  # rows of int16 that are made floats at once
_FINE = np.float32(1e6)  # float32 cosines of equal vectors differ behind these digits


def distances(columns: Bits, bits: Bits) -> NDArray[np.uint16]:
    """Return in how many bits each row differs; *columns* (words, n) hold the bits of n rows."""
    count = columns.shape[1]
    total = np.empty(count, np.uint16)
    # Made here and not kept: several threads scan at once.
    differing, counted = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint8)
    for start in range(0, count, _BLOCK):
        end = min(start + _BLOCK, count)
        out, words, ones = total[start:end], differing[: end - start], counted[: end - start]
        for number, word in enumerate(bits):
            np.bitwise_xor(columns[number, start:end], word, out=words)
            np.bitwise_count(words, out=ones)
            if number:
                np.add(out, ones, out=out)
            else:
                out[:] = ones
    return total


def closest(far: NDArray[np.uint16], least: int) -> Rows | None:
    """
    Return *least* to twice as many rows that no other is closer than.

    None where equal distances stand in the way: then the bits cannot choose.
    """
    count = len(far)
    sample = np.sort(far[:: max(1, count // _SAMPLE)])
    # An eighth more, since a sample may err; counting all distances takes four times as long.
    bar = sample[min(len(sample) - 1, (9 * least // 8) * len(sample) // count + 1)]
    rows = np.flatnonzero(far <= bar)
    if not least <= len(rows) <= 2 * least:
        reached = np.cumsum(np.bincount(far))
        rows = np.flatnonzero(far <= np.searchsorted(reached, least))
    return rows if len(rows) <= 2 * least else None


def products(rows: NDArray[np.int16], query: Matrix, chosen: Rows | None = None) -> Matrix:
    """Return the product of *query* with each of *rows*, or with those *chosen*."""
    count = len(rows) if chosen is None else len(chosen)
    found = np.empty(count, np.float32)
    floats = np.empty((min(_STEP, count), rows.shape[1]), np.float32)
    for start in range(0, count, _STEP):
        end = min(start + _STEP, count)
        part = rows[start:end] if chosen is None else rows.take(chosen[start:end], axis=0)
        np.copyto(floats[: end - start], part)
        np.dot(floats[: end - start], query, out=found[start:end])
    return found


def top(cosines: Matrix, limit: int) -> Rows:
    """Return the places of the *limit* highest, best first; of equal ones the first."""
    fine = np.rint(cosines * _FINE)
    places = np.arange(len(fine))
    if len(fine) > limit:
        bar = np.partition(fine, len(fine) - limit)[len(fine) - limit]
        above = np.flatnonzero(fine > bar)
        places = np.concatenate([above, np.flatnonzero(fine == bar)[: limit - len(above)]])
    return places[np.lexsort((places, -fine[places]))]
