"""`Arrays`: room for the codes of vectors, which grows and is shared by what sees parts of it."""

from __future__ import annotations

import numpy as np

from clawstate.memory.vector_index.codes import Bits, Matrix, quantise
from clawstate.memory.vector_index.scan import Rows

_BUDGET = 512 << 20
"""Bytes of int16 rows in memory; the vectors of others are read whenever they are candidates."""


class Arrays:
    """Room for *capacity* vectors. Pages of it that nobody writes to take no memory."""

    def __init__(self, dimensions: int, words: int, capacity: int) -> None:
        self.capacity = capacity
        self.keys = np.empty(capacity, np.int64)
        self.scopes = np.empty(capacity, np.int64)
        self.empty = np.zeros(capacity, np.bool_)  # vectors of zeros, which are near to nothing
        self.columns: Bits = np.empty((words, capacity), np.uint64)
        self.coded = 0  # rows that have their bits, from the first on
        room = max(1, min(capacity, _BUDGET // (2 * dimensions)))
        self.rows = np.empty((room, dimensions), np.int16)
        self.scales = np.zeros(room, np.float32)  # 0: the row is not in memory

    def copy_from(self, other: Arrays, count: int) -> None:
        """Take over the first *count* rows of *other*."""
        self.keys[:count] = other.keys[:count]
        self.scopes[:count] = other.scopes[:count]
        self.empty[:count] = other.empty[:count]
        self.columns[:, : other.coded] = other.columns[:, : other.coded]
        self.coded = other.coded
        loaded = np.flatnonzero(other.scales[:count])
        self.rows[loaded] = other.rows[loaded]
        self.scales[loaded] = other.scales[loaded]

    def load(self, places: Rows, vectors: Matrix) -> None:
        """Keep *vectors* as the rows at *places*, ascending, as far as there is room."""
        fitting = int(np.searchsorted(places, len(self.rows)))
        rows, scales = quantise(vectors[:fitting])
        self.rows[places[:fitting]] = rows
        # The scales last: who sees one, in another thread, finds the row complete.
        self.scales[places[:fitting]] = scales

    def holds(self, rows: Rows) -> bool:
        """Tell whether all of *rows*, ascending, are in memory."""
        if not len(rows):
            return True
        return bool(rows[-1] < len(self.scales) and self.scales[rows].all())
