"""The counts of namespaces and subwords: those of merged changes, and how they are made anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from clawstate.memory.backends.columns import subwords_of
from clawstate.memory.backends.subword_batches import Counts
from clawstate.postgres.transaction import Transaction

_ADD = """
INSERT INTO clawstate.memory_subwords AS old
SELECT %(tenant)s, *
FROM unnest(%(scopes)s::bigint[], %(subwords)s::integer[], %(counts)s::bigint[])
ON CONFLICT (tenant, scope, subword)
DO UPDATE SET occurrences = old.occurrences + excluded.occurrences
"""
_ADD_TO_SCOPES = """
UPDATE clawstate.memory_scopes s
SET records = s.records + k.records, subwords = s.subwords + k.subwords
FROM unnest(%(scopes)s::bigint[], %(records)s::bigint[], %(subwords)s::bigint[])
    AS k (scope, records, subwords)
WHERE s.tenant = %(tenant)s AND s.scope = k.scope
"""
_NEW_EPOCH = """
UPDATE clawstate.memory_totals SET epoch = epoch + 1 WHERE tenant = %(tenant)s
"""
_FORGET_TAIL = """
UPDATE clawstate.memory_tail SET subwords = NULL, scopes = '{}' WHERE tenant = %(tenant)s
"""
_CLEAR = "DELETE FROM clawstate.memory_subwords WHERE tenant = %(tenant)s"
_COUNT_SCOPES = """
UPDATE clawstate.memory_scopes s SET records = coalesce(k.records, 0),
    subwords = coalesce(k.subwords, 0)
FROM clawstate.memory_scopes o LEFT JOIN (
    SELECT scope, count(*) AS records, sum(octet_length(subwords) / 2)::bigint AS subwords
    FROM clawstate.memory_records WHERE tenant = %(tenant)s GROUP BY scope) k ON k.scope = o.scope
WHERE s.tenant = %(tenant)s AND o.tenant = s.tenant AND o.scope = s.scope
"""
_ROWS = """
SELECT docno, scope, subwords FROM clawstate.memory_records
WHERE tenant = %(tenant)s AND docno > %(after)s AND subwords IS NOT NULL ORDER BY docno LIMIT 4096
"""
_ONCE = 50_000


def add_subwords(within: Transaction, counted: Counts) -> None:
    """Add *counted* to the table."""
    rows = [
        (scope, number, occurrences)
        for scope, each in sorted(counted.items())
        for number, occurrences in sorted(each.items())
        if occurrences
    ]
    for first in range(0, len(rows), _ONCE):
        scopes, subwords, counts = map(list, zip(*rows[first : first + _ONCE], strict=True))
        within.run(_ADD, scopes=scopes, subwords=subwords, counts=counts)


def add_to_scopes(within: Transaction, given: Iterable[tuple[int, int, int]]) -> None:
    """Add records and subwords to namespaces."""
    rows = [each for each in given if each[1] or each[2]]
    if rows:
        scopes, records, subwords = map(list, zip(*rows, strict=True))
        within.run(_ADD_TO_SCOPES, scopes=scopes, records=records, subwords=subwords)


def recount(within: Transaction) -> None:
    """Count all anew from the records, while nobody else changes any."""
    within.run(_CLEAR)
    within.run(_FORGET_TAIL)
    within.run(_NEW_EPOCH)
    within.run(_COUNT_SCOPES)
    after, counted = 0, Counts()
    while rows := within.rows(_ROWS, after=after):
        for _, scope, blob in rows:
            numbers = subwords_of(blob)
            if numbers is not None:
                counted.setdefault(scope, Counter()).update(numbers.tolist())
        after = rows[-1][0]
        within.go_on()
    add_subwords(within, counted)
