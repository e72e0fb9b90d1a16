"""Where the records of a whole memory lie on its map: from their vectors, in some seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.map.layout import FROM_FEWER, FROM_NOTHING, FROM_NOTHING_SMALL, Phase, settle
from clawstate.memory.map.proximity import (
    Matrix,
    Places,
    Stop,
    directions,
    nearest_places,
    neighbours,
    shuffle,
    spread,
)

WIDEST = 256
"""Longer vectors are compared in so many directions, those in which they differ most."""

_NEIGHBOURS = 15
_FIRST = 8_000  # are laid out alone, and the others among them: a tenth of the time of all at once
_BASIS = 8_192
_SOME = 500
_USUAL, _RIM = 0.9, 0.35  # of the records lie within all but the rim of the map
_TINY = 1e-4  # t-SNE begins in a space so small that everything can still pass everything
_RADIUS = 0.47  # of a map of n records at rest, in roots of n
_AGAIN = Phase(30, 2.0, 0.5), Phase(120)  # where most lay in their places before
_REACH = 6  # rounds in which places spread from neighbour to neighbour


@dataclass(frozen=True, slots=True)
class Progress:
    """Tells a share, 0 to 1, of what lies between two shares."""

    tell: Callable[[float], None]
    first: float = 0.0
    last: float = 1.0

    def part(self, first: float, last: float) -> Progress:
        """Return what tells of a part of this."""
        width = self.last - self.first
        return Progress(self.tell, self.first + first * width, self.first + last * width)

    def __call__(self, share: float) -> None:
        """Tell *share* of this part."""
        self.tell(self.first + share * (self.last - self.first))


class Projection:
    """The directions in which a sample of vectors differs most: for a first map, and to shorten."""

    def __init__(self, sample: Matrix) -> None:
        sample = spread(sample, _BASIS, "clawstate map basis")
        self._mean, self._directions = directions(sample, min(WIDEST, sample.shape[1]))
        self.is_needed = sample.shape[1] > WIDEST
        flat = (sample - self._mean) @ self._directions[:, :2]
        self._width = float(np.abs(flat).max(initial=0.0)) or 1.0

    def shorten(self, vectors: Matrix) -> Matrix:
        """Return *vectors* in the directions that are kept."""
        if not self.is_needed:
            return vectors
        apart: Matrix = vectors - self._mean
        return (apart @ self._directions).astype(np.float32)

    def flatten(self, vectors: Matrix) -> Matrix:
        """Return *vectors* in a plane, those of the sample within -1 and 1."""
        flat = np.zeros((len(vectors), 2), np.float32)
        columns = self._directions[:, :2]
        flat[:, : columns.shape[1]] = (vectors - self._mean) @ columns
        found: Matrix = np.clip(flat / np.float32(self._width), -1, 1)
        return found


def place_all(
    vectors: Matrix,
    before: Matrix,
    stop: Stop = lambda: None,
    progress: Progress = Progress(lambda _: None),
) -> Matrix:
    """
    Return a place within -1 and 1 for each of *vectors*, float32 (n, 2); equal input, equal output.

    *before* has where each lay on the map that there was, NaN for those that lay nowhere; where
    most lay somewhere, they stay about there. *stop* raises to end it.
    """
    count = len(vectors)
    if count < 2:
        return np.zeros((count, 2), np.float32)
    lay = np.isfinite(before[:, 0])
    each = max(3, min(_NEIGHBOURS, count // 8))
    size = np.float32(_RADIUS * count**0.5)
    if 2 * np.count_nonzero(lay) >= count:
        graph = neighbours(vectors, each, stop)
        progress(0.4)
        start, phases = before * size, _AGAIN
        rest = progress.part(0.4, 1)
    elif count > _FIRST + _FIRST // 4:
        lay = np.zeros(count, np.bool_)
        lay[shuffle(count, "clawstate map first")[:_FIRST]] = True
        first = _from_nothing(vectors[lay], stop, progress.part(0, 0.1))
        graph = neighbours(vectors, each, stop)
        progress(0.45)
        start = np.full((count, 2), np.nan, np.float32)
        start[lay] = first * size
        phases, rest = FROM_FEWER, progress.part(0.45, 1)
    else:
        return _from_nothing(vectors, stop, progress)
    start = _among_neighbours(graph, start, lay, vectors) + _jitter(count)
    return _within_one(settle(graph, start, phases, stop, _rounds_of(phases, rest)))


def places_among(vectors: Matrix, others: Matrix, places: Matrix) -> Matrix:
    """Return a place for each of *vectors*: among those *others*, at *places*, that are nearest."""
    near = nearest_places(others, vectors, 3)
    # The nearest counts most: halfway between two groups there is nothing that it is like.
    shares = np.array([0.6, 0.3, 0.1], np.float32)[: near.shape[1]]
    shares /= shares.sum()
    first = places[near[:, 0]]
    close = places[near]
    # Neighbours in the vectors that lie far apart on the map: it goes to the first of them.
    apart = np.abs(close - first[:, np.newaxis]).max(axis=2) > 0.1
    close = np.where(apart[:, :, np.newaxis], first[:, np.newaxis], close)
    found: Matrix = np.einsum("ijk,j->ik", close, shares).astype(np.float32)
    return found


def _from_nothing(vectors: Matrix, stop: Stop, progress: Progress) -> Matrix:
    count = len(vectors)
    graph = neighbours(vectors, max(3, min(_NEIGHBOURS, count // 8)), stop)
    start = Projection(vectors).flatten(vectors)
    start = (start + _jitter(count) * np.float32(0.01)) * np.float32(_TINY)
    phases = FROM_NOTHING if count > _SOME else FROM_NOTHING_SMALL
    return _within_one(settle(graph, start, phases, stop, _rounds_of(phases, progress)))


def _among_neighbours(
    graph: Places, start: Matrix, lay: NDArray[np.bool_], vectors: Matrix
) -> Matrix:
    """Return *start* with a place for those that *lay* nowhere: the middle of their neighbours."""
    found, known = np.where(lay[:, np.newaxis], start, 0).astype(np.float32), lay.copy()
    for _ in range(_REACH):
        missing = np.flatnonzero(~known)
        if not len(missing):
            return found
        around = graph[missing]
        counts = known[around].sum(axis=1)
        reached = counts > 0
        sums = (found[around] * known[around][:, :, np.newaxis]).sum(axis=1)
        found[missing[reached]] = sums[reached] / counts[reached][:, np.newaxis]
        known[missing[reached]] = True
    missing = np.flatnonzero(~known)
    if len(missing):
        some = np.flatnonzero(known)
        some = some[np.linspace(0, len(some) - 1, min(len(some), 2_000)).astype(np.intp)]
        found[missing] = found[some[nearest_places(vectors[some], vectors[missing], 1)[:, 0]]]
    return found


def _jitter(count: int) -> Matrix:
    """Return small steps, so that no two lie in one place, where nothing would part them."""
    steps = np.stack([shuffle(count, f"clawstate map {axis}") for axis in "xy"], axis=1)
    return (steps / np.float32(count) - np.float32(0.5)).astype(np.float32) * np.float32(0.5)


def _within_one(places: Matrix) -> Matrix:
    """Return *places* within -1 and 1, in their order from the middle; equal ones a hair apart."""
    far = np.sqrt(np.einsum("ij,ij->i", places, places))
    usual = float(np.quantile(far, _USUAL)) or 1.0
    # A few that lie far out must not make the others a speck: beyond the usual it grows slowly.
    far = np.maximum(far / np.float32(usual), 1e-9)
    near = np.where(far > 1, 1 + _RIM * (1 - np.exp((1 - far) / _RIM)), far)
    hair = np.float32(0.02 / len(places) ** 0.5)
    scale = (1 - hair) / (np.float32(usual) * (1 + _RIM))
    found = places * (near / far * scale)[:, np.newaxis] + _jitter(len(places)) * hair
    whole: Matrix = found.astype(np.float32)
    return whole


def _rounds_of(phases: tuple[Phase, ...], progress: Progress) -> Callable[[int], None]:
    total = sum(each.rounds for each in phases)
    return lambda done: progress(done / total)
