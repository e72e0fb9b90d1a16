"""
The vector leg on SQLite: exact in small namespaces, a snapshot and an exact tail in large ones.

Every cosine that leaves here is computed from the vectors in `memory.db`; the snapshot only
proposes. Without one the search is exact and slower, never wrong.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from clawstate.interrupts import Mutex
from clawstate.memory.backends.sqlite.rows import unpack
from clawstate.memory.backends.sqlite.vectors import VectorCache
from clawstate.memory.contract import EmbedderIdentity, Scores
from clawstate.memory.vector_index.manifest import IndexIdentity, snapshot_stamp
from clawstate.memory.vector_index.snapshot import VectorSnapshot, open_snapshot

Condition = tuple[str, list[Any]]

_FEW = 4_000  # so few vectors are read faster one by one than all together
_MOST = 4_000  # proposals through a filter; more take longer than to compare all vectors
_SAMPLE = 16


class NearestSearch:
    """The nearest records of one database. Thread-safe."""

    def __init__(self, directory: Path, *, database_id: str, embedder: EmbedderIdentity) -> None:
        self._directory = directory
        self._database_id = database_id
        self._embedder = embedder
        self._cache = VectorCache()
        self._mutex = Mutex()
        self._snapshots: dict[int, tuple[object, VectorSnapshot | None]] = {}

    def best(
        self,
        connection: apsw.Connection,
        query: NDArray[np.float32],
        *,
        scope: int | None,
        condition: Condition | None,
        limit: int,
    ) -> Scores:
        """Return the cosines of the best *limit* records that meet *condition*."""
        snapshot = None if scope is None else self.snapshot(connection, scope)
        if scope is None or snapshot is None:
            return self._exact(connection, query, scope, condition, limit)
        found = self._proposed(connection, query, scope, snapshot, condition=condition, limit=limit)
        if found is None:
            return self._exact(connection, query, scope, condition, limit)
        return found

    def identity(self, scope: int) -> IndexIdentity:
        """Return what a snapshot of *scope* must have been made for."""
        return IndexIdentity(
            database_id=self._database_id,
            scope=scope,
            model=self._embedder.model,
            dimensions=self._embedder.dimensions,
        )

    def directory(self, scope: int) -> Path:
        """Return where the snapshot of *scope* lives."""
        return self._directory / str(scope)

    def snapshot(self, connection: apsw.Connection, scope: int) -> VectorSnapshot | None:
        """Return the newest published snapshot of *scope* that agrees with the database."""
        stamp = snapshot_stamp(self.directory(scope))
        with self._mutex:
            known = self._snapshots.get(scope)
        if known is not None and known[0] == stamp:
            return known[1]
        snapshot = None
        if stamp is not None:
            snapshot = open_snapshot(self.directory(scope), self.identity(scope))
            if snapshot is not None and not _agrees(connection, scope, snapshot):
                snapshot = None
        with self._mutex:
            self._snapshots[scope] = (stamp, snapshot)
        self._cache.drop(lambda key: key[0] != scope)
        return snapshot

    def _exact(
        self,
        connection: apsw.Connection,
        query: NDArray[np.float32],
        scope: int | None,
        condition: Condition | None,
        limit: int,
    ) -> Scores:
        allowed = None if condition is None else _matching(connection, condition)
        if allowed is not None and len(allowed) <= _FEW and not self._cache.holds((scope, 0)):
            return _top(_cosines(connection, query, allowed.tolist()), limit)
        return self._cache.load(connection, (scope, 0)).best(query, limit, allowed)

    def _proposed(
        self,
        connection: apsw.Connection,
        query: NDArray[np.float32],
        scope: int,
        snapshot: VectorSnapshot,
        *,
        condition: Condition | None,
        limit: int,
    ) -> Scores | None:
        behind = self._cache.load(connection, (scope, snapshot.upto))
        allowed = None
        if condition is not None:
            let_through = _restricted(connection, condition, behind.docnos.tolist())
            allowed = np.array(let_through, dtype=np.int64)
        tail = behind.best(query, limit, allowed)
        wanted = limit
        while True:
            keys, _cosine = snapshot.nearest(query, wanted)
            proposed = keys.tolist()
            if condition is not None:
                proposed = _restricted(connection, condition, proposed)
            found = _cosines(connection, query, proposed)
            if len(found) >= (limit if wanted < _MOST else limit // 4):
                return _top(found | tail, limit)
            share = max(len(found), 1) / wanted
            if wanted >= _MOST or share * snapshot.count <= _FEW:
                return None  # reading all that a filter or deletions leave is exact, and as fast
            wanted = min(_MOST, max(2 * wanted, int(1.5 * limit / share)))


def _agrees(connection: apsw.Connection, scope: int, snapshot: VectorSnapshot) -> bool:
    # A database put back from a backup may give the same docnos to other texts.
    newest = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'memories'").get or 0
    if snapshot.upto > newest:
        return False
    sql = """
        SELECT docno, embedding FROM memories
        WHERE docno <= ? AND +scope = ? AND embedding IS NOT NULL ORDER BY docno DESC LIMIT ?
    """
    rows = list(connection.execute(sql, (snapshot.upto, scope, _SAMPLE)))
    if not rows:
        return False
    kept = unpack([row[1] for row in rows])
    known = snapshot.vectors([row[0] for row in rows])
    lengths = np.linalg.norm(kept, axis=1)
    return bool((np.einsum("ij,ij->i", kept, known) >= 0.99 * lengths).all())


def _matching(connection: apsw.Connection, condition: Condition) -> NDArray[np.int64]:
    text, values = condition
    rows = connection.execute(f"SELECT m.docno FROM memories m WHERE {text}", values)
    return np.fromiter((row[0] for row in rows), dtype=np.int64)


def _restricted(connection: apsw.Connection, condition: Condition, docnos: list[int]) -> list[int]:
    text, values = condition
    sql = f"""
        SELECT m.docno FROM json_each(?) k CROSS JOIN memories m ON m.docno = k.value WHERE {text}
    """
    return [row[0] for row in connection.execute(sql, (json.dumps(docnos), *values))]


def _cosines(
    connection: apsw.Connection, query: NDArray[np.float32], docnos: list[int]
) -> dict[int, float]:
    sql = """
        SELECT m.docno, m.embedding FROM json_each(?) k
        CROSS JOIN memories m ON m.docno = k.value WHERE m.embedding IS NOT NULL
    """
    rows = list(connection.execute(sql, (json.dumps(docnos),)))
    if not rows:
        return {}
    cosines = unpack([row[1] for row in rows]) @ query
    return dict(zip((row[0] for row in rows), cosines.tolist(), strict=True))


def _top(found: dict[int, float], limit: int) -> Scores:
    if len(found) <= limit:
        return found
    best = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]
    return dict(best)
