"""A fold: the tail merged into the blocks, by one process at a time, while others write."""

from __future__ import annotations

from typing import Final, NamedTuple

from clawstate.interrupts import load_modules
from clawstate.memory.backends.documents import marks_of
from clawstate.memory.backends.postgres import counts, words
from clawstate.memory.backends.postgres.place import Place
from clawstate.memory.backends.postgres.postings import ANALYSIS, ZEROS, PostgresPostings
from clawstate.memory.backends.postgres.word_state import TailRow, count_subwords, triples
from clawstate.memory.backends.subword_batches import Counts
from clawstate.memory.postings.store import FIELDS, Batch, Fold, Kind, pack
from clawstate.postgres.transaction import Transaction
from clawstate.quantities import number_of

FOLD_AT: Final = 512
"""From how many documents the tail is merged."""

LONG_TAIL: Final = 4_096
"""From how many changes that touch no word it is merged, too: each search reads them."""

CACHED_VECTORS: Final = 20_000
"""How many vectors of forgotten texts are kept."""

_WAITING = """
SELECT coalesce(sum(abs(documents)), 0)::bigint, count(*) FROM clawstate.memory_tail
WHERE tenant = %(tenant)s
"""
_TAIL = """
SELECT seq, kind, documents, tokens, holders, scopes, data, subwords, at, rewritten
FROM clawstate.memory_tail WHERE tenant = %(tenant)s ORDER BY seq
"""
# Whoever comes second finds another epoch, and drops its work.
_PUBLISH = """
UPDATE clawstate.memory_totals SET epoch = epoch + 1, documents = documents + %(documents)s,
    tokens = ARRAY(SELECT a + b FROM unnest(tokens, %(tokens)s::bigint[]) k (a, b)),
    holders = ARRAY(SELECT a + b FROM unnest(holders, %(holders)s::bigint[]) k (a, b)),
    changes = changes + %(changes)s, changed = greatest(changed, %(at)s),
    rewritten = rewritten + %(rewritten)s
WHERE tenant = %(tenant)s AND epoch = %(epoch)s
"""
_DROP_TAIL = """
DELETE FROM clawstate.memory_tail WHERE tenant = %(tenant)s AND seq = ANY(%(seqs)s::bigint[])
"""
_TRIM_VECTORS = """
DELETE FROM clawstate.memory_kept_vectors WHERE tenant = %(tenant)s AND content_hash IN (
    SELECT content_hash FROM clawstate.memory_kept_vectors WHERE tenant = %(tenant)s
    ORDER BY kept_at DESC, content_hash OFFSET %(most)s)
"""
# By the clock of the server, for as long as a merge may take.
_CLAIM = """
INSERT INTO clawstate.memory_meta AS old
VALUES (%(tenant)s, 'folds_until', (extract(epoch FROM clock_timestamp()) + %(seconds)s)::text)
ON CONFLICT (tenant, key) DO UPDATE SET value = excluded.value
WHERE old.value::double precision < extract(epoch FROM clock_timestamp())
"""
_RELEASE = """
DELETE FROM clawstate.memory_meta WHERE tenant = %(tenant)s AND key = 'folds_until'
"""
_LEASE = 60.0  # seconds
_STEP = 300.0  # seconds that indexing some thousand texts may take on a busy machine
_DROP_UNUSED = """
DELETE FROM clawstate.memory_terms t WHERE t.tenant = %(tenant)s AND NOT EXISTS (
    SELECT 1 FROM clawstate.memory_blocks b WHERE b.tenant = t.tenant AND b.term = t.term)
"""
_INDEXED = f"""
SELECT {words.INDEXED} FROM clawstate.memory_records m
WHERE m.tenant = %(tenant)s AND m.docno > %(after)s ORDER BY m.docno LIMIT 8192
"""
_RESET = """
UPDATE clawstate.memory_totals SET epoch = epoch + 1, documents = 0, tokens = %(zeros)s,
    holders = %(zeros)s, analysis = %(analysis)s,
    changes = changes + (SELECT count(*) FROM clawstate.memory_tail WHERE tenant = %(tenant)s),
    rewritten = rewritten + (SELECT coalesce(sum(rewritten), 0) FROM clawstate.memory_tail
        WHERE tenant = %(tenant)s)
WHERE tenant = %(tenant)s
"""
_KEPT = "SELECT docno FROM clawstate.memory_records WHERE tenant = %(tenant)s ORDER BY docno"
_SAMPLED = f"""
SELECT {words.INDEXED} FROM clawstate.memory_records m
WHERE m.tenant = %(tenant)s AND m.docno = ANY(%(docnos)s::bigint[])
"""
_SAMPLE = 256  # records whose words a check counts


class _Merged(NamedTuple):
    """A fold that is worked out, and the rows of the tail that are in it."""

    fold: Fold | None
    epoch: int
    rows: list[TailRow]
    at: int
    rewritten: int


def is_due(within: Transaction) -> bool:
    """Tell whether the tail is long enough to be merged."""
    ((documents, rows),) = within.rows(_WAITING)
    return bool(documents >= FOLD_AT or rows >= LONG_TAIL)


def fold(place: Place) -> bool:
    """Merge the tail, unless another process does so just now; tell whether it was done."""
    if not place.change(lambda within: within.run(_CLAIM, seconds=_LEASE)):
        return False
    try:
        merged = place.read(_merge)
        return not merged.rows or place.change(lambda within: _publish(within, merged))
    finally:
        place.change(lambda within: within.run(_RELEASE))


def fold_alone(within: Transaction) -> None:
    """Merge the tail in a change that is alone, and let unused terms go."""
    merged = _merge(within)
    if merged.rows:
        _publish(within, merged)
    # Nobody else has looked up a number that it is still to write.
    within.run(_DROP_UNUSED)
    within.run("UPDATE clawstate.memory_totals SET epoch = epoch + 1 WHERE tenant = %(tenant)s")


def clear(within: Transaction) -> None:
    """Forget all words and their totals, in a change that is alone; what changed stays counted."""
    within.run(_RESET, zeros=ZEROS, analysis=ANALYSIS)
    PostgresPostings(within).clear()


def rebuild(within: Transaction) -> None:
    """Make the words anew from the texts, in a change that is alone."""
    load_modules("clawstate.memory.postings.folding")
    from clawstate.memory.backends.documents import documents_of  # noqa: PLC0415 - seldom
    from clawstate.memory.postings.folding import merge  # noqa: PLC0415 - needs numpy

    store, after = PostgresPostings(within), 0
    within.go_on(_STEP)
    clear(within)
    while found := within.rows(_INDEXED, after=after):
        documents = documents_of(store, words.words_of(found))
        store.put(merge(store, [Batch(0, Kind.ADD, pack(documents))], epoch=0))
        columns = [*zip(*(each.lengths for each in documents), strict=True)] or [()] * FIELDS
        within.run(
            _PUBLISH.replace(" AND epoch = %(epoch)s", ""),
            documents=len(documents),
            tokens=[sum(column) for column in columns],
            holders=[sum(map(bool, column)) for column in columns],
            changes=0,
            at=0,
            rewritten=0,
        )
        after = found[-1][0]
        within.go_on(_STEP)


def findings(within: Transaction) -> list[str]:
    """Return what is wrong with the words, sentence by sentence: all of them, and some texts."""
    load_modules("clawstate.memory.postings.checking")
    from clawstate.memory.analysis import terms_with_places  # noqa: PLC0415 - seldom
    from clawstate.memory.postings.checking import check, count_wrong  # noqa: PLC0415 - needs numpy

    sql = "SELECT analysis FROM clawstate.memory_totals WHERE tenant = %(tenant)s"
    if within.one(sql) not in {None, ANALYSIS}:
        return ["the word index was made by another release"]
    store = PostgresPostings(within)
    found, present = check(store, store.every())
    kept = [row[0] for row in within.rows(_KEPT)]
    missing, surplus = len(set(kept) - present), len(present - set(kept))
    if missing or surplus:  # then its counts and words cannot be right either
        found = [f"the word index lacks {number_of(missing, 'record')}"] if missing else []
        if surplus:
            found.append(f"the word index has {number_of(surplus, 'row')} of no record")
    elif not found:
        sample = kept[:: max(len(kept) // _SAMPLE, 1)]
        rows = words.words_of(within.rows(_SAMPLED, docnos=sample))
        terms = {
            row.docno: [*marks_of(row), *(term for term, _ in terms_with_places(row.fields)[1])]
            for row in rows
        }
        if wrong := count_wrong(store, terms):
            records = number_of(wrong, "record")
            found.append(f"the word index has other words of {records} than their texts")
    return found


def _merge(within: Transaction) -> _Merged:
    """Return the tail that is seen, merged into the blocks; nothing is written."""
    load_modules("clawstate.memory.postings.folding")
    from clawstate.memory.postings.folding import merge  # noqa: PLC0415 - needs numpy

    store = PostgresPostings(within)
    epoch = store.totals().epoch
    found = within.rows(_TAIL)
    rows = [TailRow(*row[:8]) for row in found]
    batches = [Batch(row.seq, row.kind, row.data) for row in rows if row.kind]
    merged = merge(store, batches, epoch=epoch) if batches else None
    at, rewritten = max((row[8] for row in found), default=0), sum(row[9] for row in found)
    return _Merged(merged, epoch, rows, at, rewritten)


def _publish(within: Transaction, merged: _Merged) -> bool:
    rows = merged.rows
    done = within.run(
        _PUBLISH,
        epoch=merged.epoch,
        documents=sum(row.documents for row in rows),
        tokens=[sum(each) for each in zip(*(row.tokens for row in rows), strict=True)],
        holders=[sum(each) for each in zip(*(row.holders for row in rows), strict=True)],
        changes=len(rows),
        at=merged.at,
        rewritten=merged.rewritten,
    )
    if not done:
        return False
    within.go_on()
    if merged.fold is not None:
        PostgresPostings(within).put(merged.fold)
    counted: Counts = {}
    scopes: dict[int, tuple[int, int]] = {}
    for row in rows:
        count_subwords(counted, row)
        for scope, records, subwords in triples(row.scopes):
            old = scopes.get(scope, (0, 0))
            scopes[scope] = old[0] + records, old[1] + subwords
    counts.add_subwords(within, counted)
    counts.add_to_scopes(within, ((scope, *each) for scope, each in sorted(scopes.items())))
    # Exactly those rows: others may have lower numbers and be committed only now.
    within.run(_DROP_TAIL, seqs=[row.seq for row in rows])
    within.run(_TRIM_VECTORS, most=CACHED_VECTORS)
    return True
