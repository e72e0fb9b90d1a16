"""Who is near whom among many vectors, without comparing each with each: lists around centres."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
F = TypeVar("F", bound=np.floating[Any])
Places = NDArray[np.int32]
Stop = Callable[[], None]
"""Is called between the steps of a long computation; raises to end it."""

EXACT = 6_000
"""Up to so many vectors each is compared with each."""

_SAMPLE = 8_192
_PROBED = 12  # lists around that of a vector that are looked through for its neighbours
_ROUNDS = 6
_BLOCK = 1_024
_PART = 8_192


def shuffle(count: int, name: str) -> NDArray[np.intp]:
    """Return the numbers below *count* in an order that is the same for ever for one *name*."""
    # From a hash: a release of numpy may change its random numbers, and with them every map.
    drawn = np.frombuffer(hashlib.shake_256(name.encode()).digest(8 * count), "<u8")
    return np.argsort(drawn, kind="stable")


def spread(vectors: NDArray[F], limit: int, name: str) -> NDArray[F]:
    """Return *limit* of *vectors* from all over, or all of them."""
    if len(vectors) <= limit:
        return vectors
    return vectors[np.sort(shuffle(len(vectors), name)[:limit])]


def directions(sample: Matrix, count: int) -> tuple[Matrix, Matrix]:
    """Return the mean of *sample*, and as columns *count* directions in which it differs most."""
    mean = sample.mean(axis=0, dtype=np.float32)
    apart = sample - mean
    values, vectors = np.linalg.eigh((apart.T @ apart).astype(np.float64))
    chosen = vectors[:, np.argsort(-values, kind="stable")[:count]]
    # The sign of a direction is an accident of the computation: the largest part points upwards.
    signs = np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(chosen.shape[1])])
    signs[signs == 0] = 1
    return mean, (chosen * signs).astype(np.float32)


def nearest_places(vectors: Matrix, queries: Matrix, count: int) -> Places:
    """Return the places in *vectors* of the *count* nearest to each of *queries*, nearest first."""
    count = min(count, len(vectors))
    found = np.empty((len(queries), count), np.int32)
    halves = _halves(vectors)
    for start in range(0, len(queries), _BLOCK):
        part = queries[start : start + _BLOCK] @ vectors.T
        part -= halves
        found[start : start + _BLOCK] = _highest(part, count)
    return found


def neighbours(vectors: Matrix, count: int, stop: Stop) -> Places:
    """
    Return the places of *count* neighbours of each of *vectors*, most of them the nearest.

    There are at least two vectors; each row lacks the vector itself.
    """
    count = min(count, len(vectors) - 1)
    if len(vectors) <= EXACT:
        return _compare_all(vectors, count, stop)
    return _compare_around(vectors, count, stop)


def lists_around(
    vectors: NDArray[np.floating], stop: Stop
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """
    Yield places of vectors that lie together, and those, ascending, among which to look around.

    Each place comes once in the first of them. *vectors* may be of float16.
    """
    centres = _centres(vectors, round(len(vectors) ** 0.5), stop)
    lists = np.concatenate(
        [nearest_places(centres, part, 1)[:, 0] for part in _parts(vectors, stop)]
    )
    order = np.argsort(lists, kind="stable")
    bounds = np.searchsorted(lists[order], np.arange(len(centres) + 1))
    for number, others in enumerate(nearest_places(centres, centres, _PROBED)):
        stop()
        own = order[bounds[number] : bounds[number + 1]]
        if len(own):
            parts = [order[bounds[each] : bounds[each + 1]] for each in others]
            yield own, np.sort(np.concatenate(parts))


def _compare_all(vectors: Matrix, count: int, stop: Stop) -> Places:
    found = np.empty((len(vectors), count), np.int32)
    halves = _halves(vectors)
    for start in range(0, len(vectors), _BLOCK):
        stop()
        part = vectors[start : start + _BLOCK] @ vectors.T
        part -= halves
        rows = np.arange(len(part))
        part[rows, start + rows] = -np.inf
        found[start : start + _BLOCK] = _highest(part, count)
    return found


def _compare_around(vectors: Matrix, count: int, stop: Stop) -> Places:
    found = np.empty((len(vectors), count), np.int32)
    for own, around in lists_around(vectors, stop):
        among = around if len(around) > count else np.arange(len(vectors))
        candidates, halves = vectors[among], _halves(vectors[among])
        for start in range(0, len(own), _BLOCK):
            rows = own[start : start + _BLOCK]
            part = vectors[rows] @ candidates.T
            part -= halves
            at = np.minimum(np.searchsorted(among, rows), len(among) - 1)
            here = among[at] == rows
            part[np.flatnonzero(here), at[here]] = -np.inf
            found[rows] = among[_highest(part, count)]
    return found


def _centres(vectors: NDArray[np.floating], count: int, stop: Stop) -> Matrix:
    """Return *count* centres that lie among *vectors* as those do."""
    sample = spread(vectors, max(_SAMPLE, 32 * count), "clawstate map centres").astype(np.float32)
    centres = sample[np.sort(shuffle(len(sample), "clawstate map first centres")[:count])].copy()
    for _ in range(_ROUNDS):
        nearest = np.concatenate(
            [nearest_places(centres, part, 1)[:, 0] for part in _parts(sample, stop)]
        )
        order = np.argsort(nearest, kind="stable")
        held, starts = np.unique(nearest[order], return_index=True)
        sums = np.add.reduceat(sample[order], starts, axis=0)
        centres[held] = sums / np.diff([*starts, len(order)])[:, np.newaxis]
    return centres


def _parts(vectors: NDArray[np.floating], stop: Stop) -> Iterator[Matrix]:
    stop()
    for start in range(0, len(vectors), _PART):
        yield vectors[start : start + _PART].astype(np.float32, copy=False)


def _halves(vectors: Matrix) -> Matrix:
    """Return what makes a product the order of distances: half the squares of the lengths."""
    halves: Matrix = np.einsum("ij,ij->i", vectors, vectors)
    halves /= 2
    return halves


def _highest(values: Matrix, count: int) -> NDArray[np.intp]:
    """Return the places of the *count* highest of each row, the highest first."""
    if count < values.shape[1]:
        places = np.argpartition(values, values.shape[1] - count, axis=1)[:, -count:]
    else:
        places = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    places = np.sort(places, axis=1)
    order = np.argsort(-np.take_along_axis(values, places, 1), axis=1, kind="stable")
    return np.take_along_axis(places, order, 1)
