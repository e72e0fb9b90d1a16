"""
The vector leg: exact in small scopes, a snapshot and an exact tail in large ones.

Every cosine that leaves here is computed from the vectors of the source; the snapshot only
proposes. Without one the search is exact and slower, never wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clawstate.interrupts import Mutex
from clawstate.memory.vector_index.loaded import VectorCache, top
from clawstate.memory.vector_index.manifest import IndexIdentity, snapshot_stamp
from clawstate.memory.vector_index.snapshot import VectorSnapshot, open_snapshot
from clawstate.memory.vector_index.source import Keys, Selection, VectorSource

Found = tuple[Keys, NDArray[np.float32]]
"""Keys in any order, and their cosines."""

_FEW = 4_000  # so few vectors are read faster one by one than all together
_MOST = 4_000  # proposals through a filter; more take longer than to compare all vectors
_SAMPLE = 16


class _Known(NamedTuple):
    stamp: object
    snapshot: VectorSnapshot | None
    is_settled: bool  # whether it was compared with the database


class NearestSearch:
    """
    The nearest records of one database, whose snapshots lie in *directory*. Thread-safe.

    *identity* tells what a snapshot of a scope must have been made for.
    """

    def __init__(self, directory: Path, identity: Callable[[int], IndexIdentity]) -> None:
        self.identity = identity
        self._directory = directory
        self._cache = VectorCache()
        self._mutex = Mutex()
        self._snapshots: dict[int, _Known] = {}

    def best(
        self,
        source: VectorSource,
        query: NDArray[np.float32],
        *,
        scope: int | None,
        selection: Selection | None,
        limit: int,
    ) -> Found:
        """Return the best *limit* records of *selection* with their cosines."""
        snapshot = None if scope is None else self.snapshot(source, scope)
        if scope is None or snapshot is None:
            return self._exact(source, query, scope, selection, limit)
        found = self._proposed(source, query, scope, snapshot, selection=selection, limit=limit)
        if found is None:
            return self._exact(source, query, scope, selection, limit)
        return found

    def directory(self, scope: int) -> Path:
        """Return where the snapshot of *scope* lives."""
        return self._directory / str(scope)

    def snapshot(self, source: VectorSource, scope: int) -> VectorSnapshot | None:
        """Return the newest published snapshot of *scope* that agrees with *source*."""
        stamp = snapshot_stamp(self.directory(scope))
        with self._mutex:
            known = self._snapshots.get(scope)
        # Also None is remembered: a damaged snapshot is looked at, and warned about, once.
        if known is not None and known.stamp == stamp and known.is_settled:
            return known.snapshot
        if known is None or known.stamp != stamp:
            snapshot = None
            if stamp is not None:
                snapshot = open_snapshot(self.directory(scope), self.identity(scope))
            known = _Known(stamp, snapshot, is_settled=snapshot is None)
        if known.snapshot is not None:
            # A transaction that is older than the snapshot cannot tell whether they agree: whoever
            # reads later asks again.
            is_settled = known.snapshot.upto <= source.state(scope)[0]
            if is_settled and not _agrees(source, scope, known.snapshot):
                known = known._replace(snapshot=None)
            known = known._replace(is_settled=is_settled)
        with self._mutex:
            self._snapshots[scope] = known
        if not known.is_settled:
            return None
        # With another snapshot the exactly searched tail begins at another key.
        self._cache.drop(lambda key: key[0] != scope)
        return known.snapshot

    def _exact(
        self,
        source: VectorSource,
        query: NDArray[np.float32],
        scope: int | None,
        selection: Selection | None,
        limit: int,
    ) -> Found:
        allowed = None if selection is None else selection.every()
        # What a filter leaves may be few in a large scope: loading all vectors for it would take
        # longer.
        if allowed is not None and len(allowed) <= _FEW and not self._cache.holds((scope, 0)):
            return top(*_cosines(source, query, allowed), limit)
        return self._cache.load(source, (scope, 0)).best(query, limit, allowed)

    def _proposed(
        self,
        source: VectorSource,
        query: NDArray[np.float32],
        scope: int,
        snapshot: VectorSnapshot,
        *,
        selection: Selection | None,
        limit: int,
    ) -> Found | None:
        behind = self._cache.load(source, (scope, snapshot.upto))
        allowed = None if selection is None else selection.among(behind.keys)
        tail, tail_cosines = behind.best(query, limit, allowed)
        wanted = limit
        while True:
            proposed, _ = snapshot.nearest(query, wanted)
            if selection is not None:
                proposed = selection.among(proposed)
            # Records that were deleted since the snapshot are not found here, and so drop out
            # (decision 4).
            keys, cosines = _cosines(source, query, proposed)
            if len(keys) >= (limit if wanted < _MOST else limit // 4):
                both = np.concatenate([keys, tail])
                return top(both, np.concatenate([cosines, tail_cosines]), limit)
            share = max(len(keys), 1) / wanted
            if wanted >= _MOST or share * snapshot.count <= _FEW:
                return None  # reading all that a filter or deletions leave is exact, and as fast
            # Asked again for as many as the share seen so far suggests, with half as many to spare.
            wanted = min(_MOST, max(2 * wanted, int(1.5 * limit / share)))


def _agrees(source: VectorSource, scope: int, snapshot: VectorSnapshot) -> bool:
    # A database put back from a backup may give the same keys to other texts.
    keys, kept = source.newest(scope, snapshot.upto, _SAMPLE)
    if not len(keys):
        return False
    known = snapshot.vectors(keys.tolist())
    lengths = np.linalg.norm(kept, axis=1)
    # Both are float16: equal vectors have a cosine above 0.99 in spite of rounding. NaN is less.
    return bool((np.einsum("ij,ij->i", kept, known) >= 0.99 * lengths).all())


def _cosines(source: VectorSource, query: NDArray[np.float32], wanted: Keys) -> Found:
    keys, vectors = source.vectors(wanted)
    return keys, vectors @ query if len(keys) else np.empty(0, np.float32)
