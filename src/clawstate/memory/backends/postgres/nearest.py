"""
The nearest vectors as SQL: exact among few, by pgvector's index among many.

Who is found is told by float16 of the question; cosines are worked out exactly afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from clawstate.memory.backends.postgres.compared import ComparedVectors
from clawstate.memory.backends.postgres.vectors import table_of, text_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clawstate.memory.backends.postgres.caches import Caches
    from clawstate.memory.backends.postgres.script import Script
    from clawstate.memory.backends.postgres.word_state import Head
    from clawstate.postgres.connection import Connection

NONE: Final = "SELECT NULL::bigint AS docno WHERE false"

EXACT: Final = 4_000
"""Up to how many vectors are all compared: the index is faster only beyond."""

_SPARE = 8  # more than asked for: by float16 two that are next to each other may be exchanged
_LEAST, _MOST = 100, 1_000  # candidates that the index looks at
_SCANNED = 40_000  # vectors that the index looks at where a filter lets few through
_EVERY = """
SELECT k.docno FROM (SELECT v.docno, v.embedding FROM {table} v {join}
    WHERE v.tenant = %(tenant)s {conditions} OFFSET 0) k
ORDER BY k.embedding <#> %(question)s::halfvec({dimensions}) LIMIT %(most)s
"""
_INDEXED = """
SELECT v.docno FROM {table} v {join} WHERE v.tenant = %(tenant)s {conditions}
ORDER BY v.embedding <#> %(question)s::halfvec({dimensions}) LIMIT %(most)s
"""
_FOUND = "SELECT unnest(%(found)s::bigint[]) AS docno"
_JOIN = "JOIN clawstate.memory_records m ON m.tenant = v.tenant AND m.docno = v.docno"


class Among(NamedTuple):
    """Which vectors are compared: of a namespace, how many, and what a filter lets through."""

    scope: int | None
    most: int
    selected: NDArray[np.int64] | None
    condition: tuple[str, dict[str, Any]] | None


class NearQuery(NamedTuple):
    """A query for docnos, its values, and what is set for it beforehand."""

    sql: str
    values: dict[str, Any]
    settings: tuple[str, ...] = ()

    def prepare(self, script: Script) -> None:
        """Add to *script* what is to be set for the transaction."""
        for each in self.settings:
            script.run(each)


def near_query(
    connection: Connection,
    tenant: str,
    vector: NDArray[np.float32],
    among: Among,
    limit: int,
    *,
    caches: Caches,
    head: Head,
    changes: int,
) -> NearQuery:
    """Return what asks for the best *limit* and some more near *vector*."""
    dimensions = len(vector)
    if not _has_table(connection, caches, dimensions):
        found = _compare(
            connection, tenant, vector, among, limit, caches=caches, head=head, changes=changes
        )
        return NearQuery(_FOUND, {"found": found})
    values: dict[str, Any] = {"question": text_of(vector), "most": limit + _SPARE}
    conditions: list[str] = []
    join = ""
    if among.scope is not None:
        conditions.append("AND v.scope = %(scope)s")
        values["scope"] = among.scope
    is_exact = among.most <= EXACT
    if among.selected is not None and is_exact:
        conditions.append("AND v.docno = ANY(%(selected)s::bigint[])")
        values["selected"] = among.selected.tolist()
    elif among.condition is not None:
        text, bound = among.condition
        conditions.append(f"AND {text}")
        values.update(bound)
        join = _JOIN
    sql = (_EVERY if is_exact else _INDEXED).format(
        table=table_of(dimensions),
        join=join,
        conditions=" ".join(conditions),
        dimensions=dimensions,
    )
    if is_exact:
        return NearQuery(sql, values)
    candidates = min(max(_LEAST, limit + limit // 2), _MOST)
    return NearQuery(
        sql,
        values,
        (
            f"SET LOCAL hnsw.ef_search = {candidates}",
            "SET LOCAL hnsw.iterative_scan = relaxed_order",
            f"SET LOCAL hnsw.max_scan_tuples = {_SCANNED}",
        ),
    )


def _compare(
    connection: Connection,
    tenant: str,
    vector: NDArray[np.float32],
    among: Among,
    limit: int,
    *,
    caches: Caches,
    head: Head,
    changes: int,
) -> list[int]:
    """Return the docnos of the nearest, compared in this process."""
    identity = (head.database_id, head.embedder)
    known = caches.vectors
    if known is None or known.identity != identity:
        caches.vectors = known = ComparedVectors(identity, len(vector))
    return known.nearest(
        connection,
        tenant,
        vector,
        seen=(changes, head.horizon),
        scope=among.scope,
        allowed=among.selected,
        limit=limit + _SPARE,
    )


def _has_table(connection: Connection, caches: Caches, dimensions: int) -> bool:
    if dimensions not in caches.has_table or not caches.has_table[dimensions]:
        sql = "SELECT to_regclass(%s) IS NOT NULL"
        row = connection.execute(sql, (table_of(dimensions),)).fetchone()
        caches.has_table[dimensions] = bool(row and row[0])
    return caches.has_table[dimensions]
