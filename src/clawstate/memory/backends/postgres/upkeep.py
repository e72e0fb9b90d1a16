"""What is done between searches and writes: counting and checking."""

from __future__ import annotations

import numpy as np

from clawstate.memory import rules
from clawstate.memory.backends.postgres import folds, vectors
from clawstate.memory.backends.postgres.forgetting import size
from clawstate.memory.backends.postgres.rows import find_begun, stored_embedder
from clawstate.memory.backends.postgres.word_state import TailRow, count_subwords, triples
from clawstate.memory.backends.subword_batches import Counts
from clawstate.memory.contract import DAMAGE, INDEX
from clawstate.postgres.transaction import Transaction
from clawstate.quantities import number_of

_COUNTS = """
SELECT (SELECT count(*) FROM clawstate.memory_records WHERE tenant = %(tenant)s),
    (SELECT count(DISTINCT t) FROM clawstate.memory_records m, unnest(m.tags) t
        WHERE m.tenant = %(tenant)s),
    (SELECT count(*) FROM (
        SELECT scope, source FROM clawstate.memory_records
            WHERE tenant = %(tenant)s AND source IS NOT NULL
        UNION SELECT scope, source FROM clawstate.memory_imports WHERE tenant = %(tenant)s) k),
    (SELECT count(*) FROM clawstate.memory_records
        WHERE tenant = %(tenant)s AND expires_at <= %(now)s),
    (SELECT count(*) FROM clawstate.memory_records
        WHERE tenant = %(tenant)s AND embedding IS NULL),
    (SELECT count(*) FROM clawstate.memory_kept_vectors WHERE tenant = %(tenant)s),
    (SELECT greatest(t.changed, (SELECT max(l.at) FROM clawstate.memory_tail l
        WHERE l.tenant = %(tenant)s))
        FROM clawstate.memory_totals t WHERE t.tenant = %(tenant)s)
"""
_NAMESPACES = """
SELECT s.namespace, count(*) FROM clawstate.memory_records m
JOIN clawstate.memory_scopes s ON s.tenant = m.tenant AND s.scope = m.scope
WHERE m.tenant = %(tenant)s GROUP BY s.namespace ORDER BY s.namespace
"""
_SCOPES = """
SELECT s.scope, s.namespace, s.records, s.subwords, count(m.docno),
    coalesce(sum(octet_length(m.subwords) / 2), 0)::bigint
FROM clawstate.memory_scopes s
LEFT JOIN clawstate.memory_records m ON m.tenant = s.tenant AND m.scope = s.scope
WHERE s.tenant = %(tenant)s GROUP BY s.scope, s.namespace, s.records, s.subwords
"""
_TAIL = """
SELECT seq, kind, documents, tokens, holders, scopes, data, subwords
FROM clawstate.memory_tail WHERE tenant = %(tenant)s ORDER BY seq
"""
_LOST = """
SELECT count(*) FROM clawstate.memory_reembedded r WHERE r.tenant = %(tenant)s AND NOT EXISTS (
    SELECT 1 FROM clawstate.memory_records m WHERE m.tenant = r.tenant AND m.docno = r.docno)
"""
_DROP_LOST = _LOST.replace("SELECT count(*) FROM", "DELETE FROM", 1)
_VECTORS = """
SELECT docno, embedding, subwords FROM clawstate.memory_records
WHERE tenant = %(tenant)s AND docno > %(after)s AND embedding IS NOT NULL
ORDER BY docno LIMIT 4096
"""
_DROP_VECTORS = """
UPDATE clawstate.memory_records SET embedding = NULL, subwords = NULL, xid = pg_current_xact_id()
WHERE tenant = %(tenant)s AND docno = ANY(%(docnos)s::bigint[])
"""
_SUBWORDS = """
SELECT scope, subword, occurrences FROM clawstate.memory_subwords WHERE tenant = %(tenant)s
"""


def stats(within: Transaction, *, now_ms: int) -> dict[str, object]:
    """Return counts and sizes (bytes), for people to read."""
    embedder = stored_embedder(within)
    ((records, tags, sources, expired, waiting, cached, changed),) = within.rows(
        _COUNTS, now=now_ms
    )
    return {
        "records": records,
        "namespaces": dict(within.rows(_NAMESPACES)),
        "tags": tags,
        "sources": sources,
        "expired": expired,
        "waiting": waiting,
        "cached_vectors": cached,
        "embedder": None if embedder is None else embedder.model,
        "dimensions": None if embedder is None else embedder.dimensions,
        **rules.replacement_stats(find_begun(within)),
        "changed": None if changed is None else str(changed),
        "bytes": size(within),
        "vector_index_bytes": vectors.size(within),
    }


def check(within: Transaction, *, deep: bool) -> list[tuple[str, str]]:
    """Return what our own counts say is wrong, each with its code."""
    damaged: list[str] = []
    counted: Counts = {}
    came: dict[int, tuple[int, int]] = {}
    for row in within.rows(_TAIL):
        tail = TailRow(*row)
        count_subwords(counted, tail)
        for scope, records, subwords in triples(tail.scopes):
            old = came.get(scope, (0, 0))
            came[scope] = old[0] + records, old[1] + subwords
    for scope, namespace, records, subwords, held, spelled in within.rows(_SCOPES):
        more = came.get(scope, (0, 0))
        if records + more[0] != held:
            told, noted = number_of(held, "record"), number_of(records + more[0], "record")
            damaged.append(f"namespace {namespace!r} holds {told} but notes {noted}")
        elif subwords + more[1] != spelled:
            damaged.append(f"the subwords of namespace {namespace!r} are counted wrongly")
    derived = folds.findings(within) if deep else []
    if lost := within.one(_LOST):
        derived.append(
            f"{number_of(lost, 'new vector belongs', 'new vectors belong')} to no record"
        )
    if deep:
        if wrong := len(_find_damaged(within)):
            told = number_of(wrong, "record has", "records have")
            derived.append(f"{told} a damaged vector")
        derived += vectors.faults(within)
    return [*((DAMAGE, each) for each in damaged), *((INDEX, each) for each in derived)]


def drop_damaged(within: Transaction) -> None:
    """Take damaged vectors away: these records wait for a vector anew; and those of no record."""
    damaged = _find_damaged(within)
    if damaged:
        within.run(_DROP_VECTORS, docnos=damaged)
        # Whatever harmed them may have harmed copies.
        within.run("DELETE FROM clawstate.memory_kept_vectors WHERE tenant = %(tenant)s")
    within.run(_DROP_LOST)


def _find_damaged(within: Transaction) -> list[int]:
    """Return the docnos whose vectors are none of the embedder's, or hold no numbers."""
    embedder = stored_embedder(within)
    if embedder is None:
        return []
    size_of_one, after, found = 2 * embedder.dimensions, -1, []
    while rows := within.rows(_VECTORS, after=after):
        for docno, blob, numbers in rows:
            is_whole = len(blob) == size_of_one and not len(numbers or b"") % 2
            if not is_whole or not np.isfinite(np.frombuffer(blob, "<f2")).all():
                found.append(docno)
        after = rows[-1][0]
    return found
