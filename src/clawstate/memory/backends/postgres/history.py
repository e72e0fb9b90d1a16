"""What a write does to the tables of earlier versions, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from clawstate.clock import to_ms
from clawstate.memory import rules
from clawstate.memory.backends.columns import record_of
from clawstate.memory.backends.postgres import moves
from clawstate.memory.backends.postgres.rows import COPIED, SELECT
from clawstate.memory.records import content_hash
from clawstate.memory.rules import Arrival
from clawstate.memory.versions import Ending, VersionLimits
from clawstate.postgres.transaction import Transaction

_M = ", ".join(f"m.{each}" for each in COPIED.split(", "))
# A version begins where the one before ended; the first where the record was made, which may be
# said to be later than the change.
_KEEP = f"""
INSERT INTO clawstate.memory_versions (tenant, {COPIED}, began, ended, ending)
SELECT %(tenant)s, {_M}, least(k.until, greatest(m.created_at, coalesce((
        SELECT max(v.ended) FROM clawstate.memory_versions v
        WHERE v.tenant = m.tenant AND v.id = m.id), m.created_at))), k.until, %(ending)s
FROM unnest(%(docnos)s::bigint[], %(ends)s::bigint[]) WITH ORDINALITY AS k (docno, until, place)
JOIN clawstate.memory_records m ON m.tenant = %(tenant)s AND m.docno = k.docno
ORDER BY k.place
"""
_TRIM = """
DELETE FROM clawstate.memory_versions v
USING (SELECT version, row_number() OVER (PARTITION BY id ORDER BY version DESC) AS place
    FROM clawstate.memory_versions
    WHERE tenant = %(tenant)s AND ending = 'updated' AND id IN (
        SELECT id FROM clawstate.memory_records
        WHERE tenant = %(tenant)s AND docno = ANY(%(docnos)s::bigint[]))) old
WHERE v.tenant = %(tenant)s AND v.version = old.version AND old.place > %(most)s
    AND v.ended <= %(oldest)s
"""
_SWEEP = """
DELETE FROM clawstate.memory_versions v
USING (SELECT version, row_number() OVER (PARTITION BY id ORDER BY version DESC) AS place
    FROM clawstate.memory_versions WHERE tenant = %(tenant)s AND ending = 'updated') old
WHERE v.tenant = %(tenant)s AND v.version = old.version AND old.place > %(most)s
    AND v.ended <= %(oldest)s
"""
# Whose place one took has become its own past; what was put anew under that id since is not.
_CHAIN = """
WITH RECURSIVE chain (id) AS (
    SELECT unnest(%(ids)s::text[]) COLLATE "C"
    UNION SELECT s.id FROM chain c JOIN clawstate.memory_successors s
        ON s.tenant = %(tenant)s AND s.successor = c.id
        WHERE NOT EXISTS (SELECT 1 FROM clawstate.memory_records m
            WHERE m.tenant = %(tenant)s AND m.id = s.id))
SELECT id FROM chain
"""
_COUNT = """
SELECT count(*) FROM clawstate.memory_versions
WHERE tenant = %(tenant)s AND id = ANY(%(ids)s::text[])
"""
_IMPORTED = """
SELECT DISTINCT memory_id FROM clawstate.memory_imported
WHERE tenant = %(tenant)s AND memory_id = ANY(%(ids)s::text[])
"""
_MARKS = """
SELECT DISTINCT scope, id, content FROM clawstate.memory_versions
WHERE tenant = %(tenant)s AND id = ANY(%(ids)s::text[])
"""
_ANY = "SELECT EXISTS (SELECT 1 FROM clawstate.memory_versions WHERE tenant = %(tenant)s)"
_PAST = """
SELECT DISTINCT v.id FROM clawstate.memory_versions v
WHERE v.tenant = %(tenant)s AND v.ending <> 'updated' AND v.id = ANY(%(ids)s::text[])
    AND NOT EXISTS (SELECT 1 FROM clawstate.memory_records m
        WHERE m.tenant = v.tenant AND m.id = v.id)
"""
_DROP = """
DELETE FROM clawstate.memory_versions WHERE tenant = %(tenant)s AND id = ANY(%(ids)s::text[])
"""
_DROP_SUCCESSORS = """
DELETE FROM clawstate.memory_successors WHERE tenant = %(tenant)s
    AND (id = ANY(%(ids)s::text[]) OR successor = ANY(%(ids)s::text[]))
"""
_DROP_EXPIRED = """
DELETE FROM clawstate.memory_versions WHERE tenant = %(tenant)s AND expires_at <= %(now)s
"""


def keep_changed(
    within: Transaction, arrived: Iterable[Arrival], *, limits: VersionLimits, is_edit: bool
) -> None:
    """
    Keep, as they are before, the records that those that *arrived* will change.

    Of what a file gave only what somebody edits: the file itself tells how it was.
    """
    given = {each.known.key: each for each in arrived if each.known is not None}
    if not given or not limits.most:
        return
    ids = [each.embedded.record.id for each in given.values()]
    imported = set() if is_edit else {row[0] for row in within.rows(_IMPORTED, ids=ids)}
    sql = f"""
        {SELECT} WHERE m.tenant = %(tenant)s AND m.docno = ANY(%(docnos)s::bigint[])
        ORDER BY m.docno
    """
    ended: list[tuple[int, int]] = []
    for row in within.rows(sql, docnos=list(given)):
        docno, old = row[0], record_of(row)
        if old.id not in imported and rules.is_changed(old, given[docno]):
            ended.append((docno, to_ms(given[docno].place[1])))
    keep(within, ended, "updated", limits=limits)


def keep(
    within: Transaction,
    ended: Iterable[tuple[int, int]],
    ending: Ending,
    *,
    limits: VersionLimits,
) -> None:
    """
    Keep the records of docnos, each as it was until a time (ms).

    Of each id remain those that updates ended within *limits*.
    """
    if not (kept := list(ended)):
        return
    docnos, ends = map(list, zip(*kept, strict=True))
    within.run(_KEEP, docnos=docnos, ends=ends, ending=ending)
    within.run(_TRIM, docnos=docnos, most=limits.most, oldest=limits.oldest_ms(max(ends)))


def chain(within: Transaction, ids: Sequence[str]) -> list[str]:
    """Return *ids*, and behind them those whose place they took, however long ago."""
    return [row[0] for row in within.rows(_CHAIN, ids=list(ids))]


def marks(within: Transaction, ids: Sequence[str]) -> Iterator[tuple[int, bytes]]:
    """Yield scopes, each with the id or the hash of a text that *ids* ever had."""
    for scope, record_id, text in within.rows(_MARKS, ids=chain(within, ids)):
        yield scope, record_id.encode()
        yield scope, content_hash(text)


def count(within: Transaction, ids: Sequence[str]) -> int:
    """Return how many versions of *ids* ended."""
    return int(within.one(_COUNT, ids=list(ids)))


def drop(within: Transaction, ids: Sequence[str]) -> tuple[int, set[str]]:
    """
    Forget all versions of *ids*, and of those whose place they took.

    Returns how many those were, and which of *ids* had given their place to others.
    """
    if not within.one(_ANY):
        return 0, set()
    every = chain(within, ids)
    past = {row[0] for row in within.rows(_PAST, ids=every)} & set(ids)
    dropped = within.run(_DROP, ids=every)
    within.run(_DROP_SUCCESSORS, ids=every)
    return dropped, past


def drop_outdated(within: Transaction, now_ms: int, limits: VersionLimits) -> int:
    """Forget the versions whose time is over or that are too many; return how many those were."""
    moves.sweep(within, now_ms)
    dropped = within.run(_DROP_EXPIRED, now=now_ms)
    return dropped + within.run(_SWEEP, most=limits.most, oldest=limits.oldest_ms(now_ms))
