"""
The vectors of a scope in memory, for exact search: loaded when first asked, then kept current.

Only what is new is read again, because a key stands for one vector for ever. Kept within a
budget of bytes, the scopes longest unused go first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clawstate.interrupts import Mutex
from clawstate.memory.vector_index.source import Keys, VectorSource

Key = tuple[int | None, int]
"""A scope (None: all of them) and the key after which the vectors begin."""


@dataclass(frozen=True, slots=True)
class LoadedVectors:
    """`keys` int64 (n,) ascending; `matrix` float32 (n, d), a unit row for each."""

    keys: Keys
    matrix: NDArray[np.float32]

    def best(
        self, query: NDArray[np.float32], limit: int, allowed: Keys | None
    ) -> tuple[Keys, NDArray[np.float32]]:
        """Return the best *limit* keys and their cosines, of *allowed* keys only when given."""
        if not len(self.keys):
            return self.keys, np.empty(0, np.float32)
        cosines, keys = self.matrix @ query, self.keys
        if allowed is not None:
            chosen = np.isin(keys, allowed, kind="sort")
            cosines, keys = cosines[chosen], keys[chosen]
        return top(keys, cosines, limit)


def top(keys: Keys, cosines: NDArray[np.float32], limit: int) -> tuple[Keys, NDArray[np.float32]]:
    """Return the *limit* of *keys* with the highest *cosines*."""
    # In no order: what ranks them sorts, and a partition is linear.
    if len(keys) <= limit:
        return keys, cosines
    best = np.argpartition(-cosines, limit - 1)[:limit]
    return keys[best], cosines[best]


@dataclass(frozen=True, slots=True)
class _Kept:
    vectors: LoadedVectors
    newest: int  # the newest key of the whole database when this was read
    removed: int  # how many records had been removed by then


class VectorCache:
    """Vectors by (scope, first docno); thread-safe."""

    def __init__(self, *, budget: int = 512 << 20) -> None:
        self._budget = budget
        self._mutex = Mutex()
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()

    def holds(self, key: Key) -> bool:
        """Tell whether the vectors of *key* are in memory."""
        with self._mutex:
            return key in self._kept

    def load(self, source: VectorSource, key: Key) -> LoadedVectors:
        """Return the vectors of *key* as *source* has them."""
        scope, after = key
        newest, removed = source.state(scope)
        with self._mutex:
            kept = self._kept.get(key)
        if kept is None or newest < kept.newest or removed < kept.removed:
            # An older state than the one remembered, or a first look.
            vectors = _read(source, scope, after)
        else:
            vectors = _advanced(source, scope, kept, newest, removed)
        self._keep(key, _Kept(vectors, newest, removed))
        return vectors

    def drop(self, keep: Callable[[Key], bool]) -> None:
        """Let go of every key that *keep* refuses."""
        with self._mutex:
            for key in [each for each in self._kept if not keep(each)]:
                del self._kept[key]

    def _keep(self, key: Key, kept: _Kept) -> None:
        with self._mutex:
            present = self._kept.get(key)
            # Another thread has read a later state meanwhile.
            if present is not None and present.newest > kept.newest:
                return
            self._kept[key] = kept
            self._kept.move_to_end(key)
            used = sum(each.vectors.matrix.nbytes for each in self._kept.values())
            # The one just loaded stays even above the budget, or each search of it would read it
            # again.
            while used > self._budget and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                used -= dropped.vectors.matrix.nbytes


def _advanced(
    source: VectorSource, scope: int | None, kept: _Kept, newest: int, removed: int
) -> LoadedVectors:
    vectors = kept.vectors
    if removed != kept.removed and len(vectors.keys):
        # Removed rows are left out of a copy: the matrix that other threads search is not touched.
        chosen = np.isin(vectors.keys, source.kept(scope, kept.newest))
        vectors = LoadedVectors(vectors.keys[chosen], vectors.matrix[chosen])
    if newest == kept.newest:
        return vectors
    fresh = _read(source, scope, kept.newest)
    return _joined(vectors, fresh) if len(fresh.keys) else vectors


def _joined(vectors: LoadedVectors, fresh: LoadedVectors) -> LoadedVectors:
    if not len(vectors.keys):
        return fresh
    keys = np.concatenate([vectors.keys, fresh.keys])
    room = vectors.matrix.base
    if room is None or len(room) < len(keys):
        # Room for as many again, so that single additions do not copy everything each time.
        room = np.empty((2 * len(keys), vectors.matrix.shape[1]), np.float32)
        room[: len(vectors.keys)] = vectors.matrix
    # Views handed out before end above these rows, and other threads write the same into them.
    room[len(vectors.keys) : len(keys)] = fresh.matrix
    return LoadedVectors(keys, room[: len(keys)])


def _read(source: VectorSource, scope: int | None, after: int) -> LoadedVectors:
    parts = list(source.batches(scope, after))
    if not parts:
        return LoadedVectors(np.empty(0, np.int64), np.empty((0, 0), np.float32))
    return LoadedVectors(
        np.concatenate([keys for keys, _ in parts]), np.vstack([rows for _, rows in parts])
    )
