"""What is left of forgotten records in the tables, and how it goes; and what a receipt tells."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from clawstate.errors import LockTimeoutError
from clawstate.memory.analysis import fields_of, terms_with_places
from clawstate.memory.backends.columns import record_of
from clawstate.memory.backends.postgres import folds, forgotten, history, vectors, writing
from clawstate.memory.backends.postgres.place import Place
from clawstate.memory.backends.postgres.rows import SELECT, stored_embedder
from clawstate.memory.forgetting import Compaction, Forgotten, text_digest
from clawstate.postgres.statistics import drop_statistics
from clawstate.postgres.transaction import Transaction

_STEPS = 3
_SMALL = 128 << 20  # bytes of tables that are written anew while searches wait for a second or two
_FEW = 10_000  # vectors whose index is made anew in some seconds
_PAUSE = 0.05  # seconds between two looks at who still reads
TABLES: Final = (
    *("records", "versions", "successors", "subwords", "kept_vectors", "reembedded", "imports"),
    *("imported", "forgotten", "terms", "blocks", "lengths", "tail", "meta", "scopes", "totals"),
)
"""The tables of a memory, without what stands before their names."""

_SOURCES = """
SELECT count(*) FROM clawstate.memory_imported WHERE tenant = %(tenant)s AND memory_id = %(id)s
"""
_DESCRIBED = f"""
SELECT m.embedding IS NOT NULL, k.* FROM clawstate.memory_records m
JOIN LATERAL ({SELECT} WHERE m.tenant = %(tenant)s AND m.id = ANY(%(ids)s::text[])) k
    ON k.docno = m.docno WHERE m.tenant = %(tenant)s ORDER BY m.docno
"""
_PAST = """
SELECT DISTINCT ON (id) id, content, cardinality(tags), embedding IS NOT NULL
FROM clawstate.memory_versions WHERE tenant = %(tenant)s AND id = ANY(%(ids)s::text[])
ORDER BY id, version DESC
"""
_WAITING = """
SELECT rewritten - compacted + (SELECT coalesce(sum(l.rewritten), 0) FROM clawstate.memory_tail l
    WHERE l.tenant = %(tenant)s)
FROM clawstate.memory_totals WHERE tenant = %(tenant)s
"""
_COMPACTED = """
UPDATE clawstate.memory_totals SET compacted = compacted + %(changes)s WHERE tenant = %(tenant)s
"""
_CLEAR = "DELETE FROM clawstate.{} WHERE tenant = %(tenant)s"
# Whole and with nothing left: of one that is being imported the records may be still to come.
_FORGOTTEN_SOURCES = """
SELECT i.import, i.scope FROM clawstate.memory_imports i
WHERE i.tenant = %(tenant)s AND i.fingerprint IS NOT NULL
    AND EXISTS (SELECT 1 FROM clawstate.memory_imported m
        WHERE m.tenant = i.tenant AND m.import = i.import)
    AND NOT EXISTS (SELECT 1 FROM clawstate.memory_imported m
        JOIN clawstate.memory_records r ON r.tenant = m.tenant AND r.id = m.memory_id
        WHERE m.tenant = i.tenant AND m.import = i.import)
"""
_GIVEN = """
SELECT memory_id FROM clawstate.memory_imported
WHERE tenant = %(tenant)s AND import = %(number)s
"""
_DROP_SOURCE = "DELETE FROM clawstate.{} WHERE tenant = %(tenant)s AND import = %(number)s"
# Digests without a key: whoever guesses a short text could make sure of it.
_DROP_DIGESTS = """
UPDATE clawstate.memory_imported m SET passage = NULL, given = NULL
FROM clawstate.memory_imports i
WHERE m.tenant = %(tenant)s AND m.passage IS NOT NULL AND i.tenant = m.tenant
    AND i.import = m.import AND i.fingerprint IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM clawstate.memory_records r
        WHERE r.tenant = m.tenant AND r.id = m.memory_id)
"""
_EMPTY_SCOPES = """
SELECT s.scope, s.namespace FROM clawstate.memory_scopes s
WHERE s.tenant = %(tenant)s AND s.namespace <> 'default'
    AND NOT EXISTS (SELECT 1 FROM clawstate.memory_records m
        WHERE m.tenant = s.tenant AND m.scope = s.scope)
    AND NOT EXISTS (SELECT 1 FROM clawstate.memory_imports i
        WHERE i.tenant = s.tenant AND i.scope = s.scope)
    AND NOT EXISTS (SELECT 1 FROM clawstate.memory_versions v
        WHERE v.tenant = s.tenant AND v.scope = s.scope)
"""
_VEIL = """
UPDATE clawstate.memory_scopes SET namespace = %(name)s
WHERE tenant = %(tenant)s AND scope = %(scope)s
"""
_DROP_COUNTS = """
DELETE FROM clawstate.memory_subwords WHERE tenant = %(tenant)s AND occurrences <= 0
"""
_CANCELLED = "nothing but to be run again: it was cancelled"


def describe(within: Transaction, ids: Sequence[str]) -> list[Forgotten]:
    """Return what a receipt tells of those of *ids* that are kept; they are still there."""
    found: list[Forgotten] = []
    for has_vector, *row in within.rows(_DESCRIBED, ids=list(ids)):
        record = record_of(row)
        found.append(
            Forgotten(
                record.id,
                text_digest(record.text),
                words=len({term for term, _ in terms_with_places(fields_of(record))[1]}),
                tags=len(record.tags),
                vector=has_vector,
                sources=within.one(_SOURCES, id=record.id),
                versions=history.count(within, history.chain(within, [record.id])),
            )
        )
    known = {each.id for each in found}
    past = within.rows(_PAST, ids=[each for each in ids if each not in known])
    return [
        *found,
        *(
            Forgotten(
                record_id,
                text_digest(text),
                tags=tags,
                vector=has_vector,
                sources=within.one(_SOURCES, id=record_id),
                versions=history.count(within, history.chain(within, [record_id])),
            )
            for record_id, text, tags, has_vector in past
        ),
    ]


def count_waiting(within: Transaction) -> int:
    """Return how many changes left bytes behind since the last compaction."""
    return int(within.one(_WAITING) or 0)


def size(within: Transaction) -> int:
    """Return how many bytes the tables take, those of other tenants among them."""
    return sum(int(within.one(_SIZE, table=each)) for each, _ in _every_table(within))


def is_small(within: Transaction) -> bool:
    """Tell whether the tables are written anew in a second or two."""
    return size(within) <= _SMALL


def compact(
    place: Place,
    *,
    patience: float,
    progress: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> Compaction:
    """
    Leave no byte of what was forgotten in the tables; see `MemoryEngine.compact`.

    VACUUM alone leaves the bytes of dead rows in the gaps of pages, so tables are written anew,
    large ones only where the caller has *patience*: searches wait meanwhile. What PostgreSQL keeps
    beside its tables, such as its log of changes, is not in their files (docs/how-to/postgres.md).
    """
    before = place.read(size)
    changes = place.read(count_waiting)

    def is_cancelled() -> bool:
        return cancelled is not None and cancelled()

    def tell(step: int) -> None:
        if progress is not None:
            progress(step, _STEPS)

    reason = _clear(place, patience, is_cancelled, tell, is_anew=patience > 0 or before <= _SMALL)
    if reason is not None:
        return Compaction(0, before, place.read(size), complete=False, waits_for=reason)
    place.change(lambda within: within.run(_COMPACTED, changes=changes))
    tell(_STEPS)
    return Compaction(changes, before, place.read(size))


def _clear(
    place: Place,
    patience: float,
    is_cancelled: Callable[[], bool],
    tell: Callable[[int], None],
    *,
    is_anew: bool,
) -> str | None:
    """Clear what was forgotten; tell what that waits for, if it could not be done."""
    if is_cancelled():
        return _CANCELLED
    place.change(_drop_traces, alone=True)
    # Of a database that was made before statistics were forbidden, or restored from a dump.
    if place.change(lambda within: drop_statistics(within.connection), alone=True):
        place.outside("VACUUM (FULL) pg_catalog.pg_statistic")  # passed where it is not allowed
    tell(1)
    if not _is_unseen(place, patience):
        return "a search or program that began before and still reads"
    tell(2)
    for table, is_indexed in place.read(_every_table):
        if is_cancelled():
            return _CANCELLED
        # Its index overwrites what leaves it, and takes long to be made.
        options = "FULL" if is_anew and not is_indexed else "INDEX_CLEANUP ON"
        try:
            place.outside(f"VACUUM ({options}) {table}")
        except LockTimeoutError:
            return "others that use its tables all the time"
    if not is_anew:
        return "'clawstate memory compact', for which searches wait while it writes anew"
    return None


_SIZE = "SELECT pg_total_relation_size(%(table)s::regclass)"
_NOW = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
# Who began before may still see dead rows, which therefore stay; the server's own analysis, too.
# And a new snapshot reaches back to whatever still runs, in any database of the server.
_READS = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint < %(moment)s
    OR EXISTS (SELECT 1 FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL
        AND age(backend_xmin) > age((%(moment)s %% 4294967296)::text::xid))
"""


def _drop_traces(within: Transaction) -> None:
    """Forget what tables tell of records that are no more: names, counts, digests, terms."""
    folds.fold_alone(within)
    within.run(_CLEAR.format("memory_kept_vectors"))
    within.run(_DROP_COUNTS)
    for number, scope in within.rows(_FORGOTTEN_SOURCES):
        ids = [row[0].encode() for row in within.rows(_GIVEN, number=number)]
        forgotten.note(within, [(scope, each) for each in ids])
        for table in ("memory_imported", "memory_imports"):
            within.run(_DROP_SOURCE.format(table), number=number)
    within.run(_DROP_DIGESTS)
    # A number stays, since digests of what was forgotten are kept under it, and counts.
    for scope, namespace in within.rows(_EMPTY_SCOPES):
        if not writing.is_veiled(namespace):
            within.run(_VEIL, scope=scope, name=writing.veil(within, namespace))


def _is_unseen(place: Place, patience: float) -> bool:
    """Wait until nobody sees any more what was dropped; tell whether that came."""
    moment = place.read(lambda within: int(within.one(_NOW)))
    end = time.monotonic() + patience
    while place.read(lambda within: bool(within.one(_READS, moment=moment))):
        if time.monotonic() >= end:
            return False
        time.sleep(_PAUSE)
    return True


def _every_table(within: Transaction) -> list[tuple[str, bool]]:
    """Return the tables, and whether each has an index of many vectors."""
    found = [(f"clawstate.memory_{each}", False) for each in TABLES]
    embedder = stored_embedder(within)
    if embedder is not None and vectors.has_table(within, embedder.dimensions):
        table = vectors.table_of(embedder.dimensions)
        many = within.one(f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {_FEW + 1}) k")
        found.append((table, many > _FEW))
    return found
