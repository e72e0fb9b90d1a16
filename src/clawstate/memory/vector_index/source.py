"""Where the vectors that are searched come from: what an engine of records lends this package."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.vector_index.codes import Bits, Codes, Matrix

Keys: TypeAlias = NDArray[np.int64]


class Batch(NamedTuple):
    """`keys` int64 (n,) ascending, the scope of each, and its vector, float32 (n, d)."""

    keys: Keys
    scopes: Keys
    vectors: Matrix


@dataclass(frozen=True, slots=True)
class Coded:
    """The same with the bits in the place of the vectors; `empty` marks vectors of zeros."""

    keys: Keys
    scopes: Keys
    bits: Bits
    empty: NDArray[np.bool_]

    @classmethod
    def without_vectors(cls, words: int) -> Coded:
        """Return what has no vectors, whose bits are so many *words*."""
        keys = np.empty(0, np.int64)
        return cls(keys, keys, np.empty((0, words), np.uint64), np.empty(0, np.bool_))


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of all vectors up to the key `upto`, made by `codes`."""

    codes: Codes
    coded: list[Coded]
    upto: int
    breadth: int = 1
    """How many times as many candidates as usual are compared; 0 for all of them."""


class VectorSource(Protocol):
    """
    The vectors of one database as of one moment.

    A key stands for one vector in one scope for ever, and a newer one is higher.
    """

    def state(self) -> tuple[int, int]:
        """Return the highest key that was ever given out, and how many records were removed."""

    def count(self) -> int:
        """Return how many vectors there are."""

    def stored_blocks(self) -> Kept | None:
        """Return what is kept of the older vectors, if anything is."""

    def batches(self, after: int, *, size: int = 0) -> Iterator[Batch]:
        """Yield the vectors with keys above *after*, ascending, *size* or so at a time."""

    def vectors(self, keys: Keys) -> tuple[Keys, Matrix]:
        """Return the vectors of those of *keys* that have one, in any order."""

    def counts(self) -> list[tuple[int, int]]:
        """Return how many keys there are up to one, and from there to the next, as far as known."""

    def live_keys(self, after: int, upto: int) -> Keys:
        """Return the keys above *after* up to *upto* that are still there, ascending."""
