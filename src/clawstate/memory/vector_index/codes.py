"""
How a vector is kept for a search: one sign bit for each dimension, and a row of int16.

The bits tell roughly how near two vectors are, at a cost of an XOR; the row gives their cosine with
an error below 3e-5. Both are derived: the same vectors give the same codes in every process.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
"""A vector a row."""

Bits = NDArray[np.uint64]
"""The sign bits of a vector a row, 64 in a word."""

WORD = 64
_ROUNDS = 2
_DENSE = 512  # dimensions up to which one product with a matrix is faster than its factors
_TOP = np.float32(32767)


class Codes:
    """
    The sign bits of vectors of so many *dimensions* around *centre*, a vector of `width` floats.

    A vector is rotated first, always alike: without that, and without the centre, a few strong
    dimensions or a common direction would leave most bits the same for all (decision 5).
    """

    def __init__(self, dimensions: int, centre: Matrix | None = None) -> None:
        self.dimensions = dimensions
        self.words = -(-dimensions // WORD)
        self.width = self.words * WORD
        self.centre = np.zeros(self.width, np.float32) if centre is None else centre
        self._steps = [_step(self.width, number) for number in range(_ROUNDS)]
        self._matrix: Matrix | None = None
        if self.width <= _DENSE:
            self._matrix = self._turn(np.eye(dimensions, self.width, dtype=np.float32))

    def around(self, vectors: Matrix) -> Codes:
        """Return the same with the centre of *vectors*."""
        return Codes(self.dimensions, self._rotate(vectors).mean(axis=0, dtype=np.float32))

    def bits(self, vectors: Matrix) -> Bits:
        """Return the bits of *vectors*, shape (n, words)."""
        packed = np.packbits(self._rotate(vectors) > self.centre, axis=1, bitorder="little")
        # The byte order is fixed, since the bits are kept, and may be read on another machine.
        return packed.view("<u8").astype(np.uint64, copy=False)

    def estimate(self, query: Matrix, bits: Bits) -> Matrix:
        """
        Return what tells the order of cosines: of *query* with those that have *bits* (n, words).

        Twice as sure as the number of bits that differ, and five times as slow.
        """
        packed = np.ascontiguousarray(bits).astype("<u8", copy=False).view(np.uint8)
        signs = np.unpackbits(packed, axis=1, bitorder="little").astype(np.float32)
        estimated: Matrix = signs @ (self._rotate(query[np.newaxis])[0] - self.centre)
        return estimated

    def _rotate(self, vectors: Matrix) -> Matrix:
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        lengths[lengths == 0] = 1
        units: Matrix = vectors / lengths[:, np.newaxis]
        if self._matrix is not None:
            return units @ self._matrix
        wide = np.zeros((len(units), self.width), np.float32)
        wide[:, : self.dimensions] = units
        return self._turn(wide)

    def _turn(self, rows: Matrix) -> Matrix:
        for order, signs in self._steps:
            blocks: Matrix = (rows.take(order, axis=1) * signs).reshape(-1, WORD)
            rows = (blocks @ _HADAMARD).reshape(len(rows), self.width)
        return rows


def quantise(vectors: Matrix) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Return *vectors* as int16, and what each row is to be multiplied by, above 0."""
    scales = np.maximum(vectors.max(axis=1, initial=0), -vectors.min(axis=1, initial=0)) / _TOP
    scales[scales == 0] = 1
    return np.rint(vectors / scales[:, np.newaxis]).astype(np.int16), scales


def _step(width: int, number: int) -> tuple[NDArray[np.intp], Matrix]:
    # From a hash, which is the same for ever: a release of numpy may change its random numbers, and
    # with them the meaning of all bits that are kept.
    seed = f"clawstate vectors {width} {number}".encode()
    drawn = np.frombuffer(hashlib.shake_256(seed).digest(8 * width), "<u8")
    signs = np.where(drawn & np.uint64(1), np.float32(1), np.float32(-1))
    return np.argsort(drawn, kind="stable"), signs


def _hadamard() -> Matrix:
    rows = np.ones((1, 1), np.float32)
    while len(rows) < WORD:
        rows = np.block([[rows, rows], [rows, -rows]])
    return rows / np.float32(8)  # the root of 64, exact in binary


_HADAMARD = _hadamard()
