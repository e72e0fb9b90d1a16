"""What a write does to the tables; every function runs inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from clawstate.memory import rules
from clawstate.memory.backends.columns import embedder_text, record_of, subwords_of, unpack
from clawstate.memory.backends.postgres import (
    forgotten,
    history,
    moves,
    rows,
    vectors,
    words,
)
from clawstate.memory.backends.postgres.postings import ANALYSIS, ZEROS
from clawstate.memory.backends.postgres.schema import PART
from clawstate.memory.contract import Embedded, EmbedderIdentity
from clawstate.memory.postings.store import Kind
from clawstate.memory.records import MemoryRecord, new_id
from clawstate.memory.rules import Arrival, Known
from clawstate.memory.versions import VersionLimits
from clawstate.postgres.transaction import Transaction

_NO_VERSIONS = VersionLimits(0)

_TOLD = """
(SELECT value FROM clawstate.memory_meta WHERE tenant = %(tenant)s AND key = 'moved')
"""
_GATE = f"""
SELECT {_TOLD} FROM clawstate.memory_meta
WHERE tenant = %(tenant)s AND key = 'database_id' FOR SHARE
"""
_GATE_ALONE = """
UPDATE clawstate.memory_meta SET value = value
WHERE tenant = %(tenant)s AND key = 'database_id' RETURNING 1
"""
_MAKE = """
INSERT INTO clawstate.memory_meta VALUES (%(tenant)s, 'database_id', %(id)s)
ON CONFLICT DO NOTHING
"""
_MAKE_TOTALS = """
INSERT INTO clawstate.memory_totals (tenant, analysis, tokens, holders)
VALUES (%(tenant)s, %(analysis)s, %(zeros)s, %(zeros)s) ON CONFLICT DO NOTHING
"""
_CLAIM = """
INSERT INTO clawstate.memory_meta VALUES (%(tenant)s, 'embedder', %(text)s) ON CONFLICT DO NOTHING
"""
_KNOWN = """
SELECT m.id, m.docno, s.namespace, m.content_hash, m.embedding IS NOT NULL, m.created_at,
    m.thread, m.position, m.updated_at, m.expires_at, m.fields
FROM clawstate.memory_records m
JOIN clawstate.memory_scopes s ON s.tenant = m.tenant AND s.scope = m.scope
WHERE m.tenant = %(tenant)s AND m.id = ANY(%(ids)s::text[]) ORDER BY m.docno FOR UPDATE OF m
"""
_UPDATE = """
UPDATE clawstate.memory_records SET source = %(source)s, created_at = %(created)s,
    updated_at = %(updated)s, expires_at = %(expires)s, category = %(category)s,
    importance = %(importance)s, thread = %(thread)s, position = %(position)s,
    metadata = %(metadata)s, facts = %(facts)s::jsonb, tags = %(tags)s::text[],
    xid = pg_current_xact_id()
WHERE tenant = %(tenant)s AND docno = %(docno)s
"""
_GONE = f"""
SELECT {words.INDEXED}, m.id, m.subwords, m.content_hash, m.embedding
FROM clawstate.memory_records m
WHERE m.tenant = %(tenant)s AND m.docno = ANY(%(docnos)s::bigint[]) ORDER BY m.docno FOR UPDATE
"""
_DELETE = """
DELETE FROM clawstate.memory_records
WHERE tenant = %(tenant)s AND docno = ANY(%(docnos)s::bigint[])
"""
_DROP_NEW = """
DELETE FROM clawstate.memory_reembedded
WHERE tenant = %(tenant)s AND docno = ANY(%(docnos)s::bigint[])
"""
_KEEP_VECTORS = """
INSERT INTO clawstate.memory_kept_vectors (tenant, content_hash, embedding, subwords, kept_at)
SELECT DISTINCT ON (h) %(tenant)s, h, e, s, %(now)s
FROM unnest(%(hashes)s::bytea[], %(embeddings)s::bytea[], %(subwords)s::bytea[]) AS k (h, e, s)
ORDER BY h
ON CONFLICT (tenant, content_hash) DO UPDATE
SET embedding = excluded.embedding, subwords = excluded.subwords, kept_at = excluded.kept_at
"""
_LAST_PLACE = """
SELECT max(m.position) FROM clawstate.memory_records m
JOIN clawstate.memory_scopes s ON s.tenant = m.tenant AND s.scope = m.scope
WHERE m.tenant = %(tenant)s AND s.namespace = %(namespace)s AND m.thread = %(thread)s
    AND left(m.thread, 200) = left(%(thread)s, 200)
"""
_NUMBERS = """
SELECT nextval(pg_get_serial_sequence('clawstate.memory_records', 'docno'))
FROM generate_series(1, %(count)s)
"""
_SCOPE = """
SELECT scope FROM clawstate.memory_scopes
WHERE tenant = %(tenant)s AND namespace = %(namespace)s
"""
_MAKE_SCOPE = """
INSERT INTO clawstate.memory_scopes (tenant, namespace) VALUES (%(tenant)s, %(namespace)s)
ON CONFLICT DO NOTHING
"""
_UNVEIL = """
UPDATE clawstate.memory_scopes SET namespace = %(namespace)s
WHERE tenant = %(tenant)s AND namespace = %(veiled)s
"""
_KEPT = """
SELECT m.docno, coalesce(m.expires_at > %(now)s, true), m.id, m.scope, m.content_hash
FROM clawstate.memory_records m
WHERE m.tenant = %(tenant)s AND m.id = ANY(%(ids)s::text[]) ORDER BY m.docno FOR UPDATE
"""
_OF_ONE = """
SELECT embedding, subwords FROM clawstate.memory_records
WHERE tenant = %(tenant)s AND docno = %(docno)s
"""
_EACH = 512  # records of one statement

MOVED: Final = "moved"
"""Under what key `memory_meta` notes that the memory lies elsewhere, or is on its way here."""

VEIL: Final = "\x02"
"""How the name of a namespace begins in which nothing is kept any more."""


def enter(within: Transaction, *, alone: bool = False) -> str | None:
    """
    Begin a change; *alone* waits for all other changes of this memory, and they wait for it.

    The first change of a memory makes its rows of counts. Returns what `MOVED` says where the
    memory was moved away, or is about to arrive: then nobody else may change it.
    """
    # Changed and not only locked: whoever waited with an older view of the state begins again.
    if alone and within.rows(_GATE_ALONE):
        # Asked behind it: while it waits it sees what was there before.
        return rows.find_value(within, MOVED)
    found = within.rows(_GATE)
    if found:
        return None if found[0][0] is None else str(found[0][0])
    within.run(_MAKE, id=new_id())
    within.run(_MAKE_TOTALS, analysis=ANALYSIS, zeros=ZEROS)
    return None


def upsert(
    within: Transaction,
    given: Sequence[Embedded],
    *,
    embedder: EmbedderIdentity | None,
    versions: VersionLimits = _NO_VERSIONS,
    is_edit: bool = False,
) -> int:
    """
    Put *given* into the tables; return how many took the place of what was there.

    So many *versions* of a record are kept, none by default; *is_edit* tells that a person
    changes it.
    """
    given = rules.once(given)
    claim_embedder(within, given, embedder)
    now_ms = rules.newest_ms(given)
    known = _alive(within, _read_known(within, given), now_ms)
    added: list[Arrival] = []
    replaced: list[int] = []
    rewritten = 0
    arrived = list(rules.arrivals(given, known, partial(_last_place, within)))
    history.keep_changed(within, arrived, limits=versions, is_edit=is_edit)
    for each in arrived:
        if each.known is None:
            added.append(each)
        elif each.stays:
            _rewrite(within, each, each.known.key, now_ms=now_ms)
            rewritten += 1
        else:
            key = each.known.key
            replaced.append(key)
            added.append(_with_vector(within, each, key) if each.keeps_vector else each)
    # Before the rows that take their place: ids are unique.
    remove(within, replaced, now_ms=now_ms)
    insert(within, added, now_ms=now_ms)
    if rewritten:
        words.touch(within, now_ms=now_ms, rewritten=rewritten)
    within.note(PART, [each.record.id for each in given])
    return rewritten + len(replaced)


def fill(within: Transaction, given: Sequence[Embedded], *, embedder: EmbedderIdentity) -> int:
    """
    Give those of *given* their vectors that still wait and still have the same text.

    They get new docnos, since the old ones stood for a text without a vector. Return how many.
    """
    claim_embedder(within, given, embedder)
    arrivals: list[Arrival] = []
    docnos: list[int] = []
    sql = f"{rows.SELECT} WHERE m.tenant = %(tenant)s AND m.docno = %(docno)s"
    for each, digest, known in rules.fill(given, _read_known(within, given)):
        docnos.append(known.key)
        # The row as it is now: its tags may have changed while the vector was made.
        (present,) = map(record_of, within.rows(sql, docno=known.key))
        place = (present.created_at, present.updated_at, present.position)
        arrivals.append(Arrival(replace(each, record=present), digest, place, known))
    now_ms = rules.newest_ms(given)
    remove(within, docnos, now_ms=now_ms)
    insert(within, arrivals, now_ms=now_ms)
    if arrivals:
        within.note(PART, [each.embedded.record.id for each in arrivals])
    return len(arrivals)


def remove(within: Transaction, docnos: Sequence[int], *, now_ms: int) -> int:
    """Take *docnos* out of all tables, keep their vectors for a while; return how many."""
    if not docnos:
        return 0
    found = within.rows(_GONE, docnos=list(docnos))
    # A file that is imported again often brings back text that was just removed (decision 7).
    _keep_vectors(within, [(row[7], row[8], row[6]) for row in found if row[8]], now_ms=now_ms)
    numbers = [row[0] for row in found]
    counted = [words.Counted(row[1], row[6]) for row in found]
    indexed = words.words_of(row[:5] for row in found)
    words.append(within, Kind.REMOVE, indexed, counted, now_ms=now_ms, rewritten=len(numbers))
    vectors.remove(within, numbers)
    within.run(_DROP_NEW, docnos=numbers)
    within.run(_DELETE, docnos=numbers)
    return len(numbers)


def insert(within: Transaction, added: Sequence[Arrival], *, now_ms: int) -> None:
    """Put rows into all tables, under new docnos."""
    names = dict.fromkeys(row.embedded.record.namespace for row in added)
    scopes = {each: made_scope(within, each) for each in sorted(names)}
    for first in range(0, len(added), _EACH):
        some = added[first : first + _EACH]
        docnos = [row[0] for row in within.rows(_NUMBERS, count=len(some))]
        numbered = [
            (docno, scopes[row.embedded.record.namespace], row)
            for docno, row in zip(docnos, some, strict=True)
        ]
        rows.insert_rows(within, numbered)
        vectors.add(within, numbered)
        indexed = words.record_words(
            (at, scope, row.embedded.record) for at, scope, row in numbered
        )
        counted = [words.Counted(scope, rows.subwords_blob(row)) for _, scope, row in numbered]
        words.append(within, Kind.ADD, indexed, counted, now_ms=now_ms)
        within.go_on()


def forget(within: Transaction, ids: Sequence[str], *, now_ms: int) -> int:
    """Remove *ids*, with all that they were before; return how many had not expired or ended."""
    dropped, past = history.drop(within, ids)
    found = within.rows(_KEPT, ids=list(ids), now=now_ms)
    if dropped:
        words.touch(within, now_ms=now_ms, rewritten=dropped)
    if remove(within, [row[0] for row in found], now_ms=now_ms) or dropped:
        within.note(PART, [*(row[2] for row in found), *past])
    gone = len(past) + sum(int(row[1]) for row in found)
    moves.note_forgotten(within, gone, now_ms=now_ms)
    return gone


def forget_for_good(within: Transaction, ids: Sequence[str], *, now_ms: int) -> int:
    """Remove *ids*, and keep in mind that no import may bring them back; as `forget` else."""
    found = within.rows(_KEPT, ids=list(ids), now=now_ms)
    marks = [(row[3], value) for row in found for value in (row[2].encode(), row[4])]
    forgotten.note(within, [*history.marks(within, ids), *marks])
    return forget(within, ids, now_ms=now_ms)


def claim_embedder(
    within: Transaction, given: Sequence[Embedded], embedder: EmbedderIdentity | None
) -> None:
    """Make *embedder* the state's one when it has none and *given* bring vectors of it."""
    # Records without vectors say nothing about an embedder; the first vector decides.
    if all(each.vector is None for each in given):
        return
    claimed = rules.claim(rows.stored_embedder(within), given, embedder)
    if claimed is not None and within.run(_CLAIM, text=embedder_text(claimed)):
        vectors.make(within, claimed.dimensions)
    elif claimed is not None:
        rules.claim(rows.stored_embedder(within), given, embedder)  # another one was faster


def scope_of(within: Transaction, namespace: str) -> int | None:
    """Return the number of *namespace*; None while nothing was ever kept there."""
    found: int | None = within.one(_SCOPE, namespace=namespace)
    if found is None:
        found = within.one(_SCOPE, namespace=veil(within, namespace))
    return found


def veil(within: Transaction, namespace: str) -> str:
    """Return the name under which a number stays given out when nothing is kept there any more."""
    return f"{VEIL}{forgotten.digester(within)(namespace.encode()).hex()}"


def is_veiled(name: str) -> bool:
    """Tell whether `veil` made *name*, which no namespace can be called."""
    return name.startswith(VEIL)


def made_scope(within: Transaction, namespace: str) -> int:
    """Return the number of *namespace*, given out now when it has none."""
    found: int | None = within.one(_SCOPE, namespace=namespace)
    if found is None:
        if not within.run(_UNVEIL, namespace=namespace, veiled=veil(within, namespace)):
            within.run(_MAKE_SCOPE, namespace=namespace)
        found = within.one(_SCOPE, namespace=namespace)
    assert found is not None  # noqa: S101 - there is one by now, whoever made it
    return found


def _read_known(within: Transaction, given: Sequence[Embedded]) -> dict[str, Known]:
    found = within.rows(_KNOWN, ids=[each.record.id for each in given])
    return {row[0]: Known(*row) for row in found}


def _alive(within: Transaction, known: dict[str, Known], now_ms: int) -> dict[str, Known]:
    """Return those of *known* that have not expired; what has goes, as if it had gone before."""
    ends = {key: row.expires_ms for key, row in known.items() if row.expires_ms is not None}
    expired = {key for key, end in ends.items() if end <= now_ms}
    if expired:
        history.drop(within, sorted(expired))
    remove(within, [known[key].key for key in expired], now_ms=now_ms)
    return {key: row for key, row in known.items() if key not in expired}


def _last_place(within: Transaction, namespace: str, thread: str) -> int | None:
    found: int | None = within.one(_LAST_PLACE, namespace=namespace, thread=thread)
    return found


def _with_vector(within: Transaction, row: Arrival, docno: int) -> Arrival:
    """Return *row*, whose text stays, with the vector that lies under *docno*."""
    ((vector, blob),) = within.rows(_OF_ONE, docno=docno)
    whole = replace(row.embedded, vector=unpack([vector])[0], subwords=subwords_of(blob))
    return row._replace(embedded=whole)


def _rewrite(within: Transaction, arrival: Arrival, docno: int, *, now_ms: int) -> None:
    record: MemoryRecord = arrival.embedded.record
    sql = """
        SELECT tags FROM clawstate.memory_records
        WHERE tenant = %(tenant)s AND docno = %(docno)s
    """
    old = within.one(sql, docno=docno)
    within.run(_UPDATE, docno=docno, **rows.changeable(record, arrival.place))
    words.retag(within, docno, old, record.tags, now_ms=now_ms)


def _keep_vectors(
    within: Transaction, kept: Sequence[tuple[bytes, bytes, bytes | None]], *, now_ms: int
) -> None:
    if not kept:
        return
    hashes, embeddings, blobs = map(list, zip(*kept, strict=True))
    within.run(_KEEP_VECTORS, hashes=hashes, embeddings=embeddings, subwords=blobs, now=now_ms)
