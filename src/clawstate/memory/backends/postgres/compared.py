"""
The vectors as this process compares them, where the database has no pgvector.

Numbers of records are not given out in the order of commits, while the vector search goes by keys
of which a newer one is higher. So a key here is the place in the order in which this process came
to know the vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from clawstate.interrupts import Mutex
from clawstate.memory.backends.columns import unpack
from clawstate.memory.backends.postgres.script import Script
from clawstate.memory.vector_index.nearest import NearestSearch
from clawstate.memory.vector_index.source import Batch, Kept, Keys

if TYPE_CHECKING:
    from clawstate.memory.vector_index.codes import Matrix
    from clawstate.postgres.connection import Connection

_BATCH = 2_048
_NEW = """
SELECT string_agg(int8send(docno), '' ORDER BY docno) FROM clawstate.memory_records
WHERE tenant = %(tenant)s AND embedding IS NOT NULL AND xid >= %(horizon)s::text::xid8
"""
_LIVING = """
SELECT string_agg(int8send(docno), '' ORDER BY docno) FROM clawstate.memory_records
WHERE tenant = %(tenant)s AND embedding IS NOT NULL
"""
_OF = """
SELECT docno, scope, embedding FROM clawstate.memory_records
WHERE tenant = %(tenant)s AND docno = ANY(%(docnos)s::bigint[]) AND embedding IS NOT NULL
"""


class ComparedVectors:
    """What one process knows of the vectors of one embedder, in one database."""

    def __init__(self, identity: tuple[str, str | None], dimensions: int) -> None:
        self.identity = identity
        self.mutex = Mutex()
        self._search = NearestSearch(dimensions)
        self._docnos = np.empty(0, np.int64)
        self._changes = -1
        self._horizon = 0

    def nearest(
        self,
        connection: Connection,
        tenant: str,
        vector: Matrix,
        *,
        seen: tuple[int, int],
        scope: int | None,
        allowed: Keys | None,
        limit: int,
    ) -> list[int]:
        """
        Return the docnos of the best *limit*, of those *allowed* if any are given.

        *seen* are the count of changes of the snapshot and its horizon.
        """
        with self.mutex:
            if seen[0] < self._changes:
                # Another thread has seen a newer state: this older one is compared by itself.
                alone = ComparedVectors(self.identity, len(vector))
                return alone.nearest(
                    connection,
                    tenant,
                    vector,
                    seen=seen,
                    scope=scope,
                    allowed=allowed,
                    limit=limit,
                )
            if seen[0] != self._changes:
                self._learn(connection, tenant)
                self._changes, self._horizon = seen
            source = _Source(connection, tenant, self._docnos)
            keys = None if allowed is None else source.keys_of(allowed)
            found, _ = self._search.best(source, vector, scope=scope, allowed=keys, limit=limit)
            chosen: list[int] = self._docnos[found - 1].tolist()
            return chosen

    def _learn(self, connection: Connection, tenant: str) -> None:
        packed = _rows(connection, tenant, _NEW, horizon=self._horizon)[0][0]
        came = np.frombuffer(packed or b"", ">i8").astype(np.int64)
        self._docnos = np.concatenate([self._docnos, came[~np.isin(came, self._docnos)]])


class _Source:
    """A `VectorSource` in one transaction; a key is a place in *docnos*, from 1."""

    def __init__(self, connection: Connection, tenant: str, docnos: Keys) -> None:
        self._connection = connection
        self._tenant = tenant
        self._docnos = docnos
        self._alive: Keys | None = None
        self._order = np.argsort(docnos, kind="stable")

    def state(self) -> tuple[int, int]:
        """Return the highest key, and how many records were removed."""
        return len(self._docnos), len(self._docnos) - len(self._living_docnos())

    def count(self) -> int:
        """Return how many vectors there are."""
        return len(self._living_docnos())

    def stored_blocks(self) -> Kept | None:
        """Return None: nothing is kept of them but the vectors."""
        return None

    def batches(self, after: int, *, size: int = 0) -> Iterator[Batch]:
        """Yield the vectors with keys above *after*."""
        step = size or _BATCH
        for first in range(after, len(self._docnos), step):
            chosen = self._docnos[first : first + step]
            rows = _rows(self._connection, self._tenant, _OF, docnos=chosen.tolist())
            keys = self.keys_of(np.array([row[0] for row in rows], np.int64), ordered=False)
            order = np.argsort(keys)
            if len(rows):
                scopes = np.array([row[1] for row in rows], np.int64)[order]
                yield Batch(keys[order], scopes, unpack([rows[at][2] for at in order.tolist()]))

    def vectors(self, keys: Keys) -> tuple[Keys, Matrix]:
        """Return the vectors of *keys*."""
        docnos = self._docnos[keys - 1].tolist()
        rows = _rows(self._connection, self._tenant, _OF, docnos=docnos)
        found = np.array([row[0] for row in rows], np.int64)
        return self.keys_of(found, ordered=False), unpack([row[2] for row in rows])

    def counts(self) -> list[tuple[int, int]]:
        """Return nothing: all are counted at once."""
        return []

    def live_keys(self, after: int, upto: int) -> Keys:
        """Return the keys above *after* up to *upto* that are still there."""
        keys = self.keys_of(self._living_docnos())
        return keys[(keys > after) & (keys <= upto)]

    def keys_of(self, docnos: Keys, *, ordered: bool = True) -> Keys:
        """Return the keys of those of *docnos* that are known, ascending if *ordered*."""
        if not len(self._docnos) or not len(docnos):
            return np.empty(0, np.int64)
        by_docno = self._docnos[self._order]
        at = np.minimum(by_docno.searchsorted(docnos), len(by_docno) - 1)
        keys = self._order[at[by_docno[at] == docnos]] + 1
        return np.sort(keys) if ordered else keys

    def _living_docnos(self) -> Keys:
        if self._alive is None:
            packed = _rows(self._connection, self._tenant, _LIVING)[0][0]
            self._alive = np.frombuffer(packed or b"", ">i8").astype(np.int64)
        return self._alive


def _rows(connection: Connection, tenant: str, sql: str, **bound: Any) -> list[tuple[Any, ...]]:
    script = Script(connection, tenant)
    script.ask(sql, **bound)
    return script.send()[0]
