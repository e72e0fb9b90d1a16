"""
Positions in a plane in which neighbours stay neighbours: t-SNE, its repulsion by a grid.

Each record is drawn to its neighbours, and all push each other away by 1 / (1 + d^2)^2. That push
is worked out for all at once on a grid, by a convolution, as FIt-SNE does (Linderman et al. 2019):
the time grows with the records, not with their square.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.map.proximity import Matrix, Places, Stop

_STEP = 0.5  # between two nodes of the grid, where the push changes within 1
_MOST_NODES = 448  # on a side; where the plane is wider the nodes stand farther apart
_MARGIN = 3
_SLOW, _FAST = 0.5, 0.8  # of the last movement that goes on
_LEAST_GAIN = 0.01
_LEAST_RATE = 1.0
_FEWEST = 1e-9


@dataclass(frozen=True, slots=True)
class Phase:
    """So many *rounds* in which neighbours are drawn *pull* times as strongly as they should be."""

    rounds: int
    pull: float = 1.0
    momentum: float = _FAST


FROM_NOTHING = Phase(200, 12.0, _SLOW), Phase(300)
"""What leads from a projection to a map."""

FROM_NOTHING_SMALL = Phase(80, 12.0, _SLOW), Phase(120)
"""The same for some hundred records, which come to rest sooner."""

FROM_FEWER = Phase(40, 4.0, _SLOW), Phase(120)
"""What is left to do where each begins near its neighbours."""


def settle(
    graph: Places,
    start: Matrix,
    phases: tuple[Phase, ...],
    stop: Stop,
    progress: Callable[[int], None],
) -> Matrix:
    """
    Return where records come to rest that begin at *start*, float32 (n, 2).

    *graph*, int32 (n, k), has the neighbours of each; *progress* is told the rounds that are done.
    """
    places = start.astype(np.float32, copy=True)
    moved, gains = np.zeros_like(places), np.ones_like(places)
    rate = max(len(places) / 12.0, _LEAST_RATE)
    grid = _Grid()
    done = 0
    for phase in phases:
        for _ in range(phase.rounds):
            stop()
            slope = _draw(graph, places)
            slope *= phase.pull
            slope -= grid.push(places)
            slope *= 4.0
            same = (slope > 0) == (moved > 0)
            gains = np.where(same, gains * np.float32(0.8), gains + np.float32(0.2))
            np.maximum(gains, _LEAST_GAIN, out=gains)
            moved *= phase.momentum
            moved -= np.float32(rate) * gains * slope
            places += moved
            places -= places.mean(axis=0)
            done += 1
            progress(done)
    return places


def _draw(graph: Places, places: Matrix) -> Matrix:
    """Return how neighbours draw each: both ways, all with one weight, which is 1 in sum."""
    count, each = graph.shape
    found = np.empty_like(places)
    apart = [places[:, axis, np.newaxis] - places[:, axis].take(graph) for axis in (0, 1)]
    strength = 1.0 / (1.0 + apart[0] * apart[0] + apart[1] * apart[1])
    others = graph.ravel()
    for axis in (0, 1):
        part = apart[axis] * strength
        found[:, axis] = part.sum(axis=1)
        found[:, axis] -= np.bincount(others, part.ravel(), count)
    found *= np.float32(1.0 / (2.0 * count * each))
    return found


@dataclass(slots=True)
class _Grid:
    """The push of all on each; the kernels are made once for each size of the grid."""

    size: tuple[int, int, float] = (0, 0, 0.0)
    kernels: list[NDArray[np.complexfloating]] = field(default_factory=list)

    def push(self, places: Matrix) -> Matrix:
        """Return how each is pushed, by a weight that is 1 in sum over all pairs."""
        low = places.min(axis=0)
        widths = places.max(axis=0) - low
        step = max(_STEP, float(widths.max()) / _MOST_NODES)
        nodes = [_round_up(int(width / step) + 2 * _MARGIN) for width in widths]
        self._prepare(nodes[0], nodes[1], step)
        at = (places - low) / np.float32(step) + np.float32(_MARGIN - 1)
        cell = np.rint(at).astype(np.int64)
        weights = _shares(at - cell)
        first = (cell[:, 0] - 1) * nodes[1] + cell[:, 1] - 1
        load = np.zeros(nodes[0] * nodes[1])
        for row in range(3):
            for column in range(3):
                shares = weights[row, 0] * weights[column, 1]
                load += np.bincount(first + row * nodes[1] + column, shares, len(load))
        shape = 2 * nodes[0], 2 * nodes[1]
        spectrum = np.fft.rfft2(load.reshape(nodes).astype(np.float32), shape)
        fields = [
            np.fft.irfft2(spectrum * kernel, shape)[: nodes[0], : nodes[1]].ravel()
            for kernel in self.kernels
        ]
        total, found = np.zeros(len(places), np.float32), np.zeros_like(places)
        for row in range(3):
            for column in range(3):
                shares = weights[row, 0] * weights[column, 1]
                here = first + row * nodes[1] + column
                total += shares * fields[0].take(here)
                found[:, 0] += shares * fields[1].take(here)
                found[:, 1] += shares * fields[2].take(here)
        # Without itself, of which each is at a distance of 0.
        whole = float(total.sum(dtype=np.float64)) - len(places)
        found /= np.float32(max(whole, _FEWEST))
        return found

    def _prepare(self, rows: int, columns: int, step: float) -> None:
        if self.size == (rows, columns, step):
            return
        self.size = rows, columns, step
        x = np.fft.fftfreq(2 * rows, 1 / (2 * rows)).astype(np.float32)[:, np.newaxis] * step
        y = np.fft.fftfreq(2 * columns, 1 / (2 * columns)).astype(np.float32)[np.newaxis] * step
        near = 1 / (1 + x * x + y * y)
        self.kernels = [
            np.fft.rfft2(each.astype(np.float32)) for each in (near, x * near**2, y * near**2)
        ]


def _shares(off: Matrix) -> Matrix:
    """Return what three nodes get of one that is *off* the middle one, shape (3, 2, n)."""
    # Quadratic, by Lagrange.
    off = off.T
    return np.stack([off * (off - 1) / 2, 1 - off * off, off * (off + 1) / 2])


def _round_up(nodes: int) -> int:
    """Return a number of nodes that transforms are fast with, and kernels are kept for longer."""
    return -(-nodes // 32) * 32
