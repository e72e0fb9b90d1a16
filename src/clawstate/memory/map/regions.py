"""The parts of a map where records lie close together: the hills of their density."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.map.proximity import Matrix

_CELLS = 192
_WIDTHS = 0.11, 0.045, 0.02
"""How far density is smoothed by level, in the half width of a map: the less, the more hills."""

_FEWEST = 3, 3, 4
_MOST = 12, 60, 240


class Region(NamedTuple):
    """The *members*, as places in the positions, of a part around *x*, *y*."""

    level: int
    x: float
    y: float
    members: NDArray[np.intp]


def find_regions(positions: Matrix) -> list[Region]:
    """Return regions of *positions*, float32 (n, 2) within -1 and 1, by level, largest first."""
    if not len(positions):
        return []
    cells = np.clip(((positions + 1) / 2 * _CELLS).astype(np.int64), 0, _CELLS - 1)
    where = cells[:, 0] * _CELLS + cells[:, 1]
    density = np.bincount(where, minlength=_CELLS * _CELLS).reshape(_CELLS, _CELLS)
    found: list[Region] = []
    for level, width in enumerate(_WIDTHS):
        hills = _hills(_smooth(density.astype(np.float64), width * _CELLS / 2))[where]
        order = np.argsort(hills, kind="stable")
        starts = np.flatnonzero(np.diff(hills[order], prepend=-1))
        groups = np.split(order, starts[1:])
        least = min(_FEWEST[level], len(positions))
        groups = sorted((each for each in groups if len(each) >= least), key=len, reverse=True)
        for members in groups[: _MOST[level]]:
            x, y = np.median(positions[members], axis=0).tolist()
            found.append(Region(level, x, y, members))
    return found


def _hills(density: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return for each cell the top that one comes to from it by always climbing."""
    wide = np.pad(density, 1, constant_values=-1)
    numbers = np.pad(np.arange(density.size).reshape(density.shape), 1, constant_values=-1)
    best, towards = wide[1:-1, 1:-1].copy(), numbers[1:-1, 1:-1].copy()
    rows, columns = density.shape
    for row in range(3):
        for column in range(3):
            there = slice(row, row + rows), slice(column, column + columns)
            # Of equal ones the lower number, or two cells could send one back and forth.
            higher = (wide[there] > best) | ((wide[there] == best) & (numbers[there] < towards))
            higher &= numbers[there] >= 0
            best[higher], towards[higher] = wide[there][higher], numbers[there][higher]
    tops = towards.ravel()
    while not np.array_equal(further := tops[tops], tops):
        tops = further
    return tops


def _smooth(values: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    reach = int(3 * width) + 1
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    weights /= weights.sum()
    for _ in range(2):
        values = np.stack([np.convolve(each, weights, "same") for each in values]).T
    # What lies below a hundredth of a record is an error of the sum, and would make hills.
    return np.round(values, 6)
