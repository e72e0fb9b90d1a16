"""
The vectors of a namespace in memory, for exact search: loaded when first asked, then kept current.

Only what is new is read again, because a docno stands for one vector for ever. Kept within a
budget of bytes, the namespaces longest unused go first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import apsw
import numpy as np
from numpy.typing import NDArray

from clawstate.interrupts import Mutex
from clawstate.memory.backends.sqlite.rows import unpack

_BATCH = 4096

Key = tuple[int | None, int]
"""A scope (None: all of them) and the docno after which the vectors begin."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """`docnos` int64[n] ascending; `matrix` float32[n, d], a unit row for each."""

    docnos: NDArray[np.int64]
    matrix: NDArray[np.float32]

    def best(
        self, query: NDArray[np.float32], limit: int, allowed: NDArray[np.int64] | None
    ) -> dict[int, float]:
        """Return the cosines of the best *limit* rows, of *allowed* docnos only when given."""
        if not len(self.docnos):
            return {}
        cosines = self.matrix @ query
        docnos = self.docnos
        if allowed is not None:
            chosen = np.isin(docnos, allowed, kind="sort")
            cosines, docnos = cosines[chosen], docnos[chosen]
        if len(docnos) > limit:
            top = np.argpartition(-cosines, limit - 1)[:limit]
            cosines, docnos = cosines[top], docnos[top]
        return dict(zip(docnos.tolist(), cosines.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class _Kept:
    vectors: Vectors
    newest: int  # the newest docno of the whole database when this was read
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

    def load(self, connection: apsw.Connection, key: Key) -> Vectors:
        """Return the vectors of *key* as *connection* sees them."""
        newest, removed = _state(connection, key[0])
        with self._mutex:
            kept = self._kept.get(key)
        if kept is None or newest < kept.newest or removed < kept.removed:
            # An older view than the one remembered, or a first look.
            vectors = _read(connection, key[0], key[1])
        else:
            vectors = _advanced(connection, key[0], kept, newest, removed)
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
            if present is not None and present.newest > kept.newest:
                return
            self._kept[key] = kept
            self._kept.move_to_end(key)
            used = sum(each.vectors.matrix.nbytes for each in self._kept.values())
            while used > self._budget and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                used -= dropped.vectors.matrix.nbytes


def batches(
    connection: apsw.Connection, scope: int | None, after: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield the docnos above *after*, ascending, with their vectors, some thousand at a time."""
    # The unary plus keeps SQLite on the order of docnos instead of the index of the scope.
    sql = """
        SELECT docno, embedding FROM memories
        WHERE docno > ? AND embedding IS NOT NULL AND (? IS NULL OR +scope = ?) ORDER BY docno
    """
    cursor = connection.execute(sql, (after, scope, scope))
    while rows := list(islice(cursor, _BATCH)):
        docnos = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
        yield docnos, unpack([row[1] for row in rows])


def _state(connection: apsw.Connection, scope: int | None) -> tuple[int, int]:
    newest = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'memories'").get or 0
    sql = "SELECT coalesce(sum(removed), 0) FROM scopes WHERE ? IS NULL OR scope = ?"
    return newest, connection.execute(sql, (scope, scope)).get


def _advanced(
    connection: apsw.Connection, scope: int | None, kept: _Kept, newest: int, removed: int
) -> Vectors:
    vectors = kept.vectors
    if removed != kept.removed and len(vectors.docnos):
        sql = "SELECT docno FROM memories WHERE docno <= ? AND (? IS NULL OR scope = ?)"
        rows = connection.execute(sql, (kept.newest, scope, scope))
        alive = np.fromiter((row[0] for row in rows), dtype=np.int64)
        chosen = np.isin(vectors.docnos, alive)
        vectors = Vectors(vectors.docnos[chosen], vectors.matrix[chosen])
    if newest == kept.newest:
        return vectors
    fresh = _read(connection, scope, kept.newest)
    return _joined(vectors, fresh) if len(fresh.docnos) else vectors


def _joined(vectors: Vectors, fresh: Vectors) -> Vectors:
    if not len(vectors.docnos):
        return fresh
    docnos = np.concatenate([vectors.docnos, fresh.docnos])
    room = vectors.matrix.base
    if room is None or len(room) < len(docnos):
        # Room for as many again, so that single additions do not copy everything each time.
        room = np.empty((2 * len(docnos), vectors.matrix.shape[1]), np.float32)
        room[: len(vectors.docnos)] = vectors.matrix
    # Views handed out before end above these rows, and other threads write the same into them.
    room[len(vectors.docnos) : len(docnos)] = fresh.matrix
    return Vectors(docnos, room[: len(docnos)])


def _read(connection: apsw.Connection, scope: int | None, after: int) -> Vectors:
    parts = list(batches(connection, scope, after))
    if not parts:
        return Vectors(np.empty(0, np.int64), np.empty((0, 0), np.float32))
    return Vectors(
        np.concatenate([docnos for docnos, _ in parts]), np.vstack([rows for _, rows in parts])
    )
