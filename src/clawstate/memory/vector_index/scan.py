"""
The scan: pure functions over arrays that find the best rows for a vector.

A row is a place in arrays whose keys ascend, so the lower of two rows is the older record.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.vector_index.codes import Bits, Matrix

Rows = NDArray[np.intp]
"""Places in the arrays."""

Distances = NDArray[np.uint8] | NDArray[np.uint16]

# Words of bits in one step: few long steps, for between two of them threads wait for each other.
_BLOCK = 1 << 20
_SUMMED = 3  # words whose bits are counted in a byte
IN_A_BYTE = 4  # words of bits whose distances are kept in a byte
_SAMPLE = 4_096
_OUTLIERS = 20  # one of so many hits may lie anywhere
_STEP = 512  # rows of int16 that are made floats at once
_FINE = np.float32(1e6)  # float32 cosines of equal vectors differ behind these digits


def distances(columns: Bits, bits: Bits) -> Distances:
    """
    Return in how many bits each row differs; *columns* (words, n) hold the bits of n rows.

    Of 256 bits those of the last word count 63 at most, so that the number fits a byte.
    """
    words, count = columns.shape
    is_narrow = words <= IN_A_BYTE
    total: Distances = np.empty(count, np.uint8) if is_narrow else np.empty(count, np.uint16)
    # Made here and not kept: several threads scan at once.
    room = max(1, min(count, _BLOCK // max(words, 1)))
    differing, counted = np.empty((words, room), np.uint64), np.empty((words, room), np.uint8)
    for start in range(0, count, room):
        end = min(start + room, count)
        out, many, ones = total[start:end], differing[:, : end - start], counted[:, : end - start]
        np.bitwise_xor(columns[:, start:end], bits[:, np.newaxis], out=many)
        np.bitwise_count(many, out=ones)
        if is_narrow:
            if words == IN_A_BYTE:
                np.minimum(ones[-1], 63, out=ones[-1])
            np.add.reduce(ones, axis=0, dtype=np.uint8, out=out)
            continue
        out[:] = np.add.reduce(ones[:_SUMMED], axis=0, dtype=np.uint8)
        for first in range(_SUMMED, words, _SUMMED):
            part = np.add.reduce(ones[first : first + _SUMMED], axis=0, dtype=np.uint8)
            np.add(out, part, out=out)
    return total


def gather(columns: Bits, chosen: Rows) -> Bits:
    """Return the *chosen* rows of *columns*, in their order."""
    found = np.empty((len(columns), len(chosen)), np.uint64)
    # One at a time: `take` from all of them, which lie apart, would first copy them whole.
    for column, out in zip(columns, found, strict=True):
        column.take(chosen, out=out, mode="clip")
    return found


class Narrowed(NamedTuple):
    """
    Rows that were chosen by some of their bits, and those of them that were chosen by all.

    `near` are the first, ascending, `head` and `whole` how far each is by some bits and by all, and
    `chosen` the places in `near` of the others.
    """

    near: Rows
    head: Distances
    whole: Distances
    chosen: Rows

    def are_inside(self, rows: Rows) -> bool:
        """Tell whether *rows*, of those chosen, lie well inside: then none as near was left out."""
        at = self.near.searchsorted(rows)
        steps = (self.head, self.head[at]), (self.whole[self.chosen], self.whole[at])
        # Where bits tell little, what is the nearest lies anywhere, also at the edge and beyond it.
        return all(are_nearest(every, hits, part=2) for every, hits in steps)


def are_nearest(every: Distances, hits: Distances, *, part: int) -> bool:
    """Tell whether *hits*, but for outliers, are of the nearest *part*th of *every* row."""
    bar = np.sort(hits)[-1 - len(hits) // _OUTLIERS]
    return part * int(np.count_nonzero(every <= bar)) <= len(every)


def narrow(
    columns: Bits, bits: Bits, out: Rows | None, *, head: int, near: int, least: int
) -> Narrowed | None:
    """
    Return *near* rows that are the closest by the first *head* words, and *least* of them by all.

    Or some more, without the rows *out*. None where bits cannot choose.
    """
    far = distances(columns[:head], bits[:head])
    if out is not None:
        far[out] = np.iinfo(far.dtype).max
    rows = closest(far, near)
    if rows is None:
        return None
    by_head = far[rows]
    rest = distances(gather(columns[head:], rows), bits[head:])
    whole = np.add(rest, by_head, dtype=np.uint16)
    chosen = closest(whole, least)
    return None if chosen is None else Narrowed(rows, by_head, whole, chosen)


def closest(far: Distances, least: int) -> Rows | None:
    """
    Return *least* to twice as many rows that no other is closer than.

    None where equal distances stand in the way: then the bits cannot choose.
    """
    count = len(far)
    # Stable, which is by digits: a quarter of the time for numbers this short.
    sample = np.sort(far[:: max(1, count // _SAMPLE)], kind="stable")
    # To count all distances takes four times as long. By the sample those are chosen that are
    # enough but for an accident (five deviations of its error), and counted alone.
    place = (9 * least // 8) * len(sample) // count
    beyond = min(len(sample) - 1, place + 5 * math.isqrt(place) + 5)
    rows = np.flatnonzero(far <= sample[beyond])
    if len(rows) < least:
        rows = np.arange(count)
    near = far.take(rows)
    reached = np.cumsum(np.bincount(near))
    # An eighth more than the least, where distances allow it.
    bar = np.searchsorted(reached, 9 * least // 8)
    if bar == len(reached) or reached[bar] > 2 * least:
        bar = np.searchsorted(reached, least)
    rows = rows[near <= bar]
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
