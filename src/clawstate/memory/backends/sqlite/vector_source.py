"""`SqliteVectors`: the vectors in `memory.db`, as `vector_index` asks for them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import apsw
import numpy as np

from clawstate.memory.backends.sqlite.conditions import Bound
from clawstate.memory.backends.sqlite.rows import unpack
from clawstate.memory.vector_index.source import Batch, Keys

_BATCH = 4096

# From the sequence and not the rows: it does not go back when the newest record is deleted.
_STATE = """
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'memories'), 0),
    coalesce(sum(removed), 0) FROM scopes WHERE ?1 IS NULL OR scope = ?1
"""
# The unary plus keeps SQLite on the order of docnos instead of the index of the scope.
_AFTER = """
SELECT docno, embedding FROM memories
WHERE docno > ?1 AND embedding IS NOT NULL AND (?2 IS NULL OR +scope = ?2) ORDER BY docno
"""
_NEWEST = """
SELECT docno, embedding FROM memories
WHERE docno <= ? AND +scope = ? AND embedding IS NOT NULL ORDER BY docno DESC LIMIT ?
"""
_CHOSEN = """
SELECT m.docno, m.embedding FROM json_each(?) k
CROSS JOIN memories m ON m.docno = k.value WHERE m.embedding IS NOT NULL
"""


class SqliteVectors:
    """A `VectorSource` inside one transaction; the keys are docnos."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def state(self, scope: int | None) -> tuple[int, int]:
        """Return the newest docno, and how many records were removed."""
        newest, removed = self._connection.execute(_STATE, (scope,)).get
        return newest, removed

    def batches(self, scope: int | None, after: int) -> Iterator[Batch]:
        """Yield the vectors above *after*."""
        # A part at a time: building a graph needs no more of a large memory at once.
        cursor = self._connection.execute(_AFTER, (after, scope))
        while rows := list(islice(cursor, _BATCH)):
            yield _batch(rows)

    def count(self, scope: int, after: int) -> int:
        """Return how many vectors there are above *after*."""
        sql = """
            SELECT count(*) FROM memories
            WHERE docno > ? AND +scope = ? AND embedding IS NOT NULL
        """
        return int(self._connection.execute(sql, (after, scope)).get)

    def kept(self, scope: int | None, upto: int) -> Keys:
        """Return the docnos up to *upto*."""
        sql = "SELECT docno FROM memories WHERE docno <= ?1 AND (?2 IS NULL OR scope = ?2)"
        return _keys(self._connection.execute(sql, (upto, scope)))

    def newest(self, scope: int, upto: int, limit: int) -> Batch:
        """Return the newest vectors up to *upto*."""
        return _batch(list(self._connection.execute(_NEWEST, (upto, scope, limit))))

    def vectors(self, keys: Keys) -> Batch:
        """Return the vectors of *keys*."""
        return _batch(list(self._connection.execute(_CHOSEN, (json.dumps(keys.tolist()),))))


class SqliteSelection:
    """The docnos that meet *condition*, inside one transaction."""

    def __init__(self, connection: apsw.Connection, condition: Bound) -> None:
        self._connection = connection
        self._text, self._values = condition

    def every(self) -> Keys:
        """Return all docnos that meet the condition."""
        sql = f"SELECT m.docno FROM memories m WHERE {self._text}"
        return _keys(self._connection.execute(sql, self._values))

    def among(self, keys: Keys) -> Keys:
        """Return those of *keys* that meet the condition."""
        sql = f"""
            SELECT m.docno FROM json_each(?) k
            CROSS JOIN memories m ON m.docno = k.value WHERE {self._text}
        """
        return _keys(self._connection.execute(sql, (json.dumps(keys.tolist()), *self._values)))


def _keys(rows: Iterable[tuple[Any, ...]]) -> Keys:
    return np.fromiter((row[0] for row in rows), dtype=np.int64)


def _batch(rows: list[tuple[Any, ...]]) -> Batch:
    return _keys(rows), unpack([row[1] for row in rows])
