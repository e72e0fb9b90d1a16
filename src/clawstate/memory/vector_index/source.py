"""Where the vectors that are searched come from: what an engine of records lends this package."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Keys: TypeAlias = NDArray[np.int64]
Batch: TypeAlias = tuple[Keys, NDArray[np.float32]]
"""Keys int64 (n,) and the unit vector of each, float32 (n, d)."""


class VectorSource(Protocol):
    """
    The vectors of one database as of one moment; a scope of None stands for all of them.

    A key stands for one vector for ever, and a newer one is higher.
    """

    def state(self, scope: int | None) -> tuple[int, int]:
        """Return the highest key that was ever given out, and how many of *scope* were removed."""

    def batches(self, scope: int | None, after: int) -> Iterator[Batch]:
        """Yield the vectors with keys above *after*, ascending, some thousand at a time."""

    def count(self, scope: int, after: int) -> int:
        """Return how many vectors of *scope* have keys above *after*."""

    def kept(self, scope: int | None, upto: int) -> Keys:
        """Return the keys up to *upto* that are still there."""

    def newest(self, scope: int, upto: int, limit: int) -> Batch:
        """Return the *limit* vectors with the highest keys up to *upto*."""

    def vectors(self, keys: Keys) -> Batch:
        """Return the vectors of those of *keys* that have one, in any order."""


class Selection(Protocol):
    """What a filter lets through."""

    def every(self) -> Keys:
        """Return all keys that it lets through."""

    def among(self, keys: Keys) -> Keys:
        """Return those of *keys* that it lets through."""
