"""Vectors that are hard to search, and a source of vectors in this process, for tests."""

from __future__ import annotations

import numpy as np

from clawstate.memory.vector_index.codes import Codes
from clawstate.memory.vector_index.source import Batch, Coded, Kept


def units(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def clustered(chance, count, size=64, *, themes=60, spread=0.7):
    centres = chance.standard_normal((themes, size))
    return centres[chance.integers(0, themes, count)] + spread * chance.standard_normal(
        (count, size)
    )


def near_duplicates(chance, size=256):
    """Return 700 themes of 40 vectors that are nearly one, and 400 unlike all others."""
    themes = units(chance.standard_normal((700, size)))
    alike = np.repeat(themes, 40, axis=0) + 0.15 * units(chance.standard_normal((28_000, size)))
    return units(np.vstack([alike, chance.standard_normal((400, size))]))


def outliers(chance, count=20_000, size=256):
    """Return vectors of which eight dimensions say nothing and are the largest."""
    rows = clustered(chance, count, size)
    rows[:, :8] = 20 * rows[:, :8] + 30
    return units(rows)


def falling(chance, count=20_000, size=256):
    """Return vectors of which each dimension tells less than the one before."""
    return units(clustered(chance, count, size) * (1 / np.arange(1, size + 1)) ** 0.8)


def languages(chance, count=20_000, size=256):
    """Return vectors in twelve far apart groups, which tell little apart within each."""
    far = 3 * chance.standard_normal((12, size))
    rows = clustered(chance, count, size, themes=400, spread=0.5)
    return units(rows + far[np.sort(chance.integers(0, 12, count))])


KINDS = {
    "near duplicates": near_duplicates,
    "outliers": outliers,
    "falling": falling,
    "languages": languages,
}


class Vectors:
    """A `VectorSource` over a mapping of keys to vectors, all in one scope but for odd keys."""

    def __init__(self, rows, *, first=1):
        self.rows = dict(enumerate(rows, start=first))
        self.newest = first + len(self.rows) - 1
        self.removed = 0
        self.read = 0  # vectors

    def add(self, row):
        self.newest += 1
        self.rows[self.newest] = row
        return self.newest

    def remove(self, key):
        del self.rows[key]
        self.removed += 1

    def state(self):
        return self.newest, self.removed

    def count(self):
        return len(self.rows)

    def stored_blocks(self):
        return None

    def batches(self, after, *, size=4096):
        keys = [key for key in sorted(self.rows) if key > after]
        for start in range(0, len(keys), size or 4096):
            part = np.array(keys[start : start + (size or 4096)], np.int64)
            yield Batch(part, part % 2, self._matrix(part))

    def vectors(self, keys):
        here = np.array([key for key in keys.tolist() if key in self.rows], np.int64)
        return here, self._matrix(here)

    def counts(self):
        return []

    def live_keys(self, after, upto):
        return np.array([key for key in sorted(self.rows) if after < key <= upto], np.int64)

    def _matrix(self, keys):
        self.read += len(keys)
        rows = [self.rows[key] for key in keys.tolist()]
        return np.array(rows, np.float32).reshape(len(rows), -1)


class KeptVectors(Vectors):
    """The same with the bits of all but the newest thousand at hand."""

    def stored_blocks(self):
        keys = np.array(sorted(self.rows), np.int64)[:-1000]
        rows = self._matrix(keys)
        codes = Codes(rows.shape[1]).around(rows)
        coded = Coded(keys, keys % 2, codes.bits(rows), ~rows.any(axis=1))
        return Kept(codes, [coded], int(keys[-1]))


def brute(rows, query, limit, *, among=None):
    """Return the keys of the best, and their cosines: by comparing with each."""
    keys = np.array(sorted(rows if among is None else among), np.int64)
    matrix = np.array([rows[key] for key in keys.tolist()], np.float32)
    full = matrix.any(axis=1)
    keys, cosines = keys[full], matrix[full] @ query
    order = np.lexsort((keys, -np.rint(cosines * 1e6)))[:limit]
    return keys[order], cosines[order]
