"""`AskedTable`: the vector leg by the index of the table, where a setting asks for that."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import apsw
import numpy as np

from clawstate.errors import StateError
from clawstate.memory.backends.lancedb.client import Session
from clawstate.memory.vector_index.codes import Matrix
from clawstate.memory.vector_index.nearest import NearestSearch
from clawstate.memory.vector_index.source import Keys, VectorSource

_SPARE = 50  # candidates beyond those that are wanted: some may be gone, or another namespace's
_MOST_WAITING = 8_192  # records that the table does not have yet, which are all compared

_CHOSEN = """
SELECT m.docno, m.scope FROM json_each(?) k CROSS JOIN memories m ON m.id = k.value
WHERE m.embedding IS NOT NULL
UNION SELECT m.docno, m.scope FROM lance_outbox o CROSS JOIN memories m ON m.id = o.id
WHERE m.embedding IS NOT NULL
"""
_WAITING = "SELECT count(*) FROM (SELECT 1 FROM lance_outbox LIMIT ?)"


class AskedTable(NearestSearch):
    """
    Has LanceDB propose candidates by its index, and compares those exactly.

    What the table does not have yet is compared, too. Where LanceDB has no index of our vectors, or
    cannot be asked at once, and where a filter or a namespace leaves too few of its candidates,
    *own* answers. *answers* counts both. For one search, in the transaction of *connection*.
    """

    def __init__(
        self,
        own: NearestSearch,
        connection: apsw.Connection,
        session: Callable[[float], Session],
        answers: dict[str, int],
    ) -> None:
        super().__init__(own.dimensions)
        self._own = own
        self._connection = connection
        self._session = session
        self._answers = answers

    def best(
        self,
        source: VectorSource,
        query: Matrix,
        *,
        scope: int | None,
        allowed: Keys | None,
        limit: int,
        others: Keys | None = None,
    ) -> tuple[Keys, Matrix]:
        """Return the best records, as `NearestSearch.best` does."""
        found = self._propose(source, query, scope=scope, allowed=allowed, limit=limit)
        self._answers["scanned" if found is None else "asked"] += 1
        if found is None:
            return self._own.best(
                source, query, scope=scope, allowed=allowed, limit=limit, others=others
            )
        keys, cosines = found
        if others is None or not len(others):
            return keys, cosines
        more, theirs = _compare(source, query, np.setdiff1d(others, keys))
        return np.concatenate([keys, more]), np.concatenate([cosines, theirs])

    def likely(self, source: VectorSource, query: Matrix, *, scope: int | None, count: int) -> Keys:
        """Return about *count* of the nearest, as `NearestSearch.likely` does."""
        return self._own.likely(source, query, scope=scope, count=count)

    def _propose(
        self,
        source: VectorSource,
        query: Matrix,
        *,
        scope: int | None,
        allowed: Keys | None,
        limit: int,
    ) -> tuple[Keys, Matrix] | None:
        connection = self._connection
        if connection.execute(_WAITING, (_MOST_WAITING + 1,)).get > _MOST_WAITING:
            return None
        ids = self._ask(query, limit + _SPARE)
        if ids is None:
            return None
        rows = connection.execute(_CHOSEN, (json.dumps(ids),)).fetchall()
        keys = np.array([row[0] for row in rows if scope in (None, row[1])], np.int64)
        if allowed is not None:
            keys = np.intersect1d(keys, allowed)
        found, cosines = _compare(source, query, keys)
        # Fewer than are wanted: those that are let through lie farther than LanceDB looked.
        if len(found) < limit and len(ids) >= limit + _SPARE:
            return None
        best = np.lexsort((found, -cosines))[:limit]
        return found[best], cosines[best]

    def _ask(self, query: Matrix, count: int) -> list[str] | None:
        """Return the ids that LanceDB proposes; None where it cannot be asked."""
        try:
            with self._session(0.0) as session:
                return session.search(query.astype("<f4").tobytes(), count)
        except StateError:
            return None  # another program writes it, or it cannot be used: all is here as well


def _compare(
    source: VectorSource, query: Matrix, keys: Sequence[int] | Keys
) -> tuple[Keys, Matrix]:
    """Return those of *keys* that have a vector, with their cosines."""
    if not len(keys):
        return np.empty(0, np.int64), np.empty(0, np.float32)
    found, vectors = source.vectors(np.asarray(keys, np.int64))
    has_any = vectors.any(axis=1)
    return found[has_any], (vectors[has_any] @ query).astype(np.float32)
