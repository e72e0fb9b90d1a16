"""`SqliteVectors`: the vectors in `memory.db`, as `vector_index` asks for them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import apsw
import numpy as np

from clawstate.memory.backends.columns import unpack
from clawstate.memory.backends.sqlite import rows
from clawstate.memory.vector_index.codes import Matrix
from clawstate.memory.vector_index.source import Batch, Keys

# From the sequence and not the rows: it does not go back when the newest record is deleted.
_STATE = """
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'memories'), 0),
    coalesce(sum(removed), 0) FROM scopes
"""
_BATCH = """
SELECT docno, scope, embedding FROM memories
WHERE docno > ? AND docno <= ? AND embedding IS NOT NULL ORDER BY docno LIMIT ?
"""
_CHOSEN = """
SELECT m.docno, m.embedding FROM json_each(?) k
CROSS JOIN memories m ON m.docno = k.value WHERE m.embedding IS NOT NULL
"""
_LIVING = """
SELECT docno FROM memories
WHERE docno > ? AND docno <= ? AND embedding IS NOT NULL ORDER BY docno
"""
# By the counts that are kept and the few that wait: to count rows would read all of them.
_COUNT = """
SELECT (SELECT coalesce(sum(records), 0) FROM scopes)
    - (SELECT count(*) FROM memories WHERE embedding IS NULL)
"""
_COUNTS = "SELECT upto, records FROM vector_blocks ORDER BY upto"
_ALL = (1 << 63) - 1


class SqliteVectors:
    """The vectors inside one transaction; the keys are docnos."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def state(self) -> tuple[int, int]:
        """Return the newest docno, and how many records were removed."""
        newest, removed = self._connection.execute(_STATE).get
        return newest, removed

    def count(self) -> int:
        """Return how many vectors there are."""
        return int(self._connection.execute(_COUNT).get)

    def batches(self, after: int, upto: int = _ALL, *, size: int = 0) -> Iterator[Batch]:
        """Yield the vectors above *after* up to *upto*, *size* at a time, or a block's."""
        most = size or rows.VECTOR_BLOCK
        while found := list(self._connection.execute(_BATCH, (after, upto, most))):
            after = found[-1][0]
            yield Batch(_keys(found), _keys(found, 1), unpack([row[2] for row in found]))

    def vectors(self, keys: Keys) -> tuple[Keys, Matrix]:
        """Return the vectors of *keys*."""
        found = list(self._connection.execute(_CHOSEN, (json.dumps(keys.tolist()),)))
        return _keys(found), unpack([row[1] for row in found])

    def counts(self) -> list[tuple[int, int]]:
        """Return the end of each block, and how many records of it are left."""
        return list(self._connection.execute(_COUNTS))

    def live_keys(self, after: int, upto: int) -> Keys:
        """Return the docnos with a vector above *after* up to *upto*."""
        return _keys(self._connection.execute(_LIVING, (after, upto)))


def _keys(found: Iterable[tuple[Any, ...]], column: int = 0) -> Keys:
    return np.fromiter((row[column] for row in found), dtype=np.int64)
