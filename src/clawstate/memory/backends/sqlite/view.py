"""What a search sees: one read transaction over `memory.db` and its derived vector indexes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import apsw

from clawstate.interrupts import load_modules
from clawstate.memory.backends.sqlite import word_index
from clawstate.memory.backends.sqlite.conditions import sql_of
from clawstate.memory.backends.sqlite.rows import SELECT_IN_ORDER, record_of, unpack
from clawstate.memory.backends.sqlite.writing import scope_of
from clawstate.memory.contract import Neighbours, Scores, Vectors, WordQuery
from clawstate.memory.filters import Filter
from clawstate.memory.records import MemoryRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clawstate.memory.backends.sqlite.nearest import NearestSearch

_MISSING_SCOPE = -1  # a namespace that holds nothing: matches no row

_NEIGHBOURS = """
SELECT m.docno,
    (SELECT json_group_array(docno) FROM (
        SELECT p.docno FROM memories p WHERE p.scope = m.scope AND p.thread = m.thread
        AND (p.position, p.docno) < (m.position, m.docno)
        ORDER BY p.position DESC, p.docno DESC LIMIT 2)),
    (SELECT json_group_array(docno) FROM (
        SELECT n.docno FROM memories n WHERE n.scope = m.scope AND n.thread = m.thread
        AND (n.position, n.docno) > (m.position, m.docno)
        ORDER BY n.position, n.docno LIMIT 2))
FROM json_each(?) k CROSS JOIN memories m ON m.docno = k.value WHERE m.thread IS NOT NULL
"""
_VECTORS = """
SELECT m.docno, coalesce(length(m.subwords) / 2, length(m.content) / 4), m.embedding
FROM json_each(?) k CROSS JOIN memories m ON m.docno = k.value WHERE m.embedding IS NOT NULL
"""
_OPENINGS = """
SELECT m.docno, substr(m.content, 1, 48) FROM json_each(?) k
CROSS JOIN memories m ON m.docno = k.value WHERE m.thread IS NOT NULL
"""


class SqliteView:
    """A `MemoryView`; the keys are docnos."""

    def __init__(
        self,
        connection: apsw.Connection,
        *,
        nearest: Callable[[apsw.Connection], NearestSearch | None],
        generation: int,
        now_ms: int,
    ) -> None:
        self._connection = connection
        self._generation = generation
        self._nearest = nearest
        self._now_ms = now_ms
        self._has_expired = bool(
            connection.execute(
                "SELECT EXISTS (SELECT 1 FROM memories WHERE expires_at <= ?)", (now_ms,)
            ).get
        )

    def version(self) -> tuple[int, int]:
        """Return the count of changes so far, and of the files that had this name."""
        changes = self._connection.execute("SELECT value FROM meta WHERE key = 'changes'").get
        return self._generation, int(changes or 0)

    def has_threads(self, chosen: Filter) -> bool:
        """Tell whether any record of the namespace belongs to a thread."""
        scope = self._scope(chosen)
        one = "SELECT 1 FROM memories WHERE thread IS NOT NULL"
        if scope is None:
            return bool(self._connection.execute(f"SELECT EXISTS ({one})").get)
        sql = f"SELECT EXISTS ({one} AND scope = ?)"
        return bool(self._connection.execute(sql, (scope,)).get)

    def count(self, chosen: Filter) -> int:
        """Return how many records the namespace holds, expired ones included."""
        sql = "SELECT coalesce(sum(records), 0) FROM scopes WHERE ?1 IS NULL OR namespace = ?1"
        return int(self._connection.execute(sql, (chosen.namespace,)).get)

    def words(self, query: WordQuery, chosen: Filter, limit: int) -> tuple[Scores, Scores]:
        """Return BM25 sums by terms and by phrases."""
        scope = self._scope(chosen)
        if scope == _MISSING_SCOPE:
            return {}, {}
        condition = None
        if not chosen.is_plain or self._has_expired:
            condition = sql_of(chosen, scope=scope, now_ms=self._now_ms)
        only = scope if self._is_shared(scope) else None
        return word_index.search(
            self._connection, query, scope=only, condition=condition, limit=limit
        )

    def word_lists(
        self, query: WordQuery, keys: Iterable[int]
    ) -> tuple[list[Scores], list[Scores]]:
        """Return the BM25 of *keys* for each term and each phrase."""
        return word_index.lists(self._connection, query, _json(keys))

    def nearest(self, vector: NDArray[np.float32], chosen: Filter, limit: int) -> Scores:
        """Return the cosines of the best records."""
        scope = self._scope(chosen)
        nearest = self._nearest(self._connection)
        if nearest is None or scope == _MISSING_SCOPE:
            return {}
        condition = None
        if not chosen.is_plain or self._has_expired:
            condition = sql_of(chosen, scope=scope, now_ms=self._now_ms)
        return nearest.best(self._connection, vector, scope=scope, condition=condition, limit=limit)

    def vectors(self, keys: Iterable[int]) -> Vectors:
        """Return vectors and lengths, as kept."""
        load_modules("numpy")
        import numpy as np  # noqa: PLC0415 - word searches do without

        rows = list(self._connection.execute(_VECTORS, (_json(sorted(keys)),)))
        return Vectors(
            np.fromiter((row[0] for row in rows), np.int64, len(rows)),
            unpack([row[2] for row in rows]),
            np.fromiter((row[1] for row in rows), np.int64, len(rows)),
        )

    def neighbours(self, keys: Iterable[int]) -> dict[int, Neighbours]:
        """Return who stands before and after in the thread."""
        return {
            docno: Neighbours(tuple(json.loads(before)), tuple(json.loads(after)))
            for docno, before, after in self._connection.execute(_NEIGHBOURS, (_json(keys),))
        }

    def openings(self, keys: Iterable[int]) -> dict[int, str]:
        """Return how each text begins."""
        return dict(self._connection.execute(_OPENINGS, (_json(keys),)))

    def matching(self, keys: Iterable[int], chosen: Filter) -> set[int]:
        """Return those of *keys* that are kept, live and asked for."""
        text, values = sql_of(chosen, scope=self._scope(chosen), now_ms=self._now_ms)
        sql = f"""
            SELECT m.docno FROM json_each(?) k
            CROSS JOIN memories m ON m.docno = k.value WHERE {text}
        """
        return {row[0] for row in self._connection.execute(sql, (_json(keys), *values))}

    def fetch(self, keys: Sequence[int]) -> list[MemoryRecord]:
        """Return the records of *keys* in their order."""
        return [record_of(row) for row in self._connection.execute(SELECT_IN_ORDER, (_json(keys),))]

    def subword_counts(
        self, subwords: Iterable[int], namespace: str | None
    ) -> tuple[dict[int, int], int]:
        """Return occurrences in the namespace, and how many subwords there are in all."""
        scope = None if namespace is None else scope_of(self._connection, namespace)
        if namespace is not None and scope is None:
            return {}, 0
        sql = """
            SELECT subword, sum(occurrences) FROM subword_counts
            WHERE subword IN (SELECT value FROM json_each(?)) AND scope = ? GROUP BY subword
        """
        if scope is None:
            sql = sql.replace("scope = ?", "scope IN (SELECT scope FROM scopes WHERE ? IS NULL)")
        counts = dict(self._connection.execute(sql, (_json(subwords), scope)))
        total = "SELECT coalesce(sum(subwords), 0) FROM scopes WHERE ?1 IS NULL OR scope = ?1"
        return counts, self._connection.execute(total, (scope,)).get

    def _scope(self, chosen: Filter) -> int | None:
        if chosen.namespace is None:
            return None
        scope = scope_of(self._connection, chosen.namespace)
        return _MISSING_SCOPE if scope is None else scope

    def _is_shared(self, scope: int | None) -> bool:
        """Tell whether other namespaces than *scope* have records: only then it must be asked."""
        sql = "SELECT EXISTS (SELECT 1 FROM scopes WHERE records > 0 AND scope IS NOT ?)"
        return bool(self._connection.execute(sql, (scope,)).get)


def _json(keys: Iterable[int]) -> str:
    return json.dumps(list(keys))
