"""What a write does to the tables; every function runs inside the caller's transaction."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count as count_from
from typing import Any

import apsw

from clawstate.interrupts import load_modules
from clawstate.memory import rules
from clawstate.memory.analysis import fields_of
from clawstate.memory.backends import documents, subword_batches
from clawstate.memory.backends.columns import (
    columns_of,
    embedder_text,
    pack,
    record_of,
    subwords_of,
    unpack,
)
from clawstate.memory.backends.sqlite import (
    embeddings,
    forgotten,
    history,
    moves,
    subwords,
    word_index,
)
from clawstate.memory.backends.sqlite.rows import (
    SELECT,
    is_block_due,
    newest_docno,
    put_tags,
    stored_embedder,
)
from clawstate.memory.backends.sqlite.schema import PART
from clawstate.memory.contract import Embedded, EmbedderIdentity
from clawstate.memory.records import MemoryRecord, fields_text
from clawstate.memory.rules import Arrival, Known, Place
from clawstate.memory.versions import VersionLimits
from clawstate.sqlite.change_log import note_changes

# CROSS JOIN fixes the order of the loops in SQLite: the few given ids outside, an index lookup
# inside. The planner cannot know how long the JSON list is.
_KNOWN = """
SELECT m.id, m.docno, s.namespace, m.content_hash, m.embedding IS NOT NULL, m.timestamp,
    m.thread, m.position, m.updated_at, m.expires_at, m.fields
FROM json_each(?) k CROSS JOIN memories m ON m.id = k.value JOIN scopes s ON s.scope = m.scope
"""
_INSERT = f"INSERT INTO memories VALUES ({', '.join('?' * 17)})"
_UPDATE = """
UPDATE memories SET source = ?, timestamp = ?, updated_at = ?, expires_at = ?, category = ?,
    importance = ?, thread = ?, position = ?, metadata = ? WHERE docno = ?
"""

_SCOPE = "SELECT scope FROM scopes WHERE namespace = ?"
_TOUCH = """
INSERT INTO meta VALUES ('changes', '1'), ('changed', ?1) ON CONFLICT DO UPDATE SET
value = CASE key WHEN 'changes' THEN CAST(CAST(value AS INTEGER) + 1 AS TEXT) ELSE ?1 END
"""

REWRITTEN = "rewritten"
"""What `meta` counts changes by that left bytes behind though no record was removed."""

_VEIL = "\0"
_NO_VERSIONS = VersionLimits(0)


def upsert(
    connection: apsw.Connection,
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
    claim_embedder(connection, given, embedder)
    now_ms = rules.newest_ms(given)
    known = _alive(connection, _read_known(connection, given), now_ms)
    added: list[Arrival] = []
    replaced: list[int] = []
    rewritten = 0
    arrived = list(rules.arrivals(given, known, partial(_last_place, connection)))
    history.keep_changed(connection, arrived, limits=versions, is_edit=is_edit)
    for each in arrived:
        if each.known is None:
            added.append(each)
        elif each.stays:
            _rewrite(connection, each.embedded.record, each.place, each.known.key)
            rewritten += 1
        else:
            key = each.known.key
            replaced.append(key)
            added.append(_with_vector(connection, each, key) if each.keeps_vector else each)
    # Before the rows that take their place: ids are unique.
    remove(connection, replaced, now_ms=now_ms)
    insert(connection, added)
    touch(connection, [each.record.id for each in given], now_ms=now_ms)
    return rewritten + len(replaced)


def fill(
    connection: apsw.Connection, given: Sequence[Embedded], *, embedder: EmbedderIdentity
) -> int:
    """
    Give those of *given* their vectors that still wait and still have the same text.

    They get new docnos, since the old ones stood for a text without a vector. Return how many.
    """
    claim_embedder(connection, given, embedder)
    rows: list[Arrival] = []
    docnos: list[int] = []
    for each, digest, known in rules.fill(given, _read_known(connection, given)):
        docnos.append(known.key)
        # The row as it is now: its tags may have changed while the vector was made.
        (present,) = map(record_of, connection.execute(f"{SELECT} WHERE m.docno = ?", (known.key,)))
        place = (present.created_at, present.updated_at, present.position)
        rows.append(Arrival(replace(each, record=present), digest, place, known))
    now_ms = rules.newest_ms(given)
    remove(connection, docnos, now_ms=now_ms)
    insert(connection, rows)
    if rows:
        touch(connection, [each.embedded.record.id for each in rows], now_ms=now_ms)
    return len(rows)


def remove(connection: apsw.Connection, docnos: Sequence[int], *, now_ms: int) -> int:
    """Take *docnos* out of all tables, keep their vectors in the cache; return how many."""
    if not docnos:
        return 0
    sql = """
        SELECT m.docno, m.id, m.scope, m.subwords, m.content_hash, m.embedding
        FROM json_each(?) k CROSS JOIN memories m ON m.docno = k.value
    """
    rows = list(connection.execute(sql, (json.dumps(list(docnos)),)))
    # A file that is imported again often brings back text that was just removed (decision 7).
    embeddings.keep(connection, [row[3:] for row in rows if row[5] is not None], now_ms=now_ms)
    blobs: dict[int, list[bytes]] = defaultdict(list)
    for row in rows:
        blobs[row[2]].append(row[3] or b"")
    for scope, each in blobs.items():
        sql = """
            UPDATE scopes SET records = records - ?1, removed = removed + ?1,
                subwords = subwords - ?2 WHERE scope = ?3
        """
        connection.execute(sql, (len(each), _total(each), scope))
    numbers = [row[0] for row in rows]
    word_index.remove(connection, numbers, subwords=_beside_tail(connection, blobs, sign=-1))
    _forget_vectors(connection, numbers)
    gone = [(number,) for number in numbers]
    connection.executemany("DELETE FROM reembedded WHERE docno = ?", gone)
    connection.executemany("DELETE FROM tags WHERE memory_id = ?", ((row[1],) for row in rows))
    connection.executemany("DELETE FROM memories WHERE docno = ?", gone)
    return len(rows)


def forget(connection: apsw.Connection, ids: Sequence[str], *, now_ms: int) -> int:
    """Remove *ids*, with all that they were before; return how many had not expired or ended."""
    dropped, past = history.drop(connection, ids)
    sql = """
        SELECT docno, coalesce(expires_at > ?, 1), id FROM memories
        WHERE id IN (SELECT value FROM json_each(?))
    """
    rows = list(connection.execute(sql, (now_ms, json.dumps(list(ids)))))
    if dropped:
        add_to_meta(connection, REWRITTEN, dropped)
    if remove(connection, [row[0] for row in rows], now_ms=now_ms) or dropped:
        touch(connection, [*(row[2] for row in rows), *past], now_ms=now_ms)
    gone = len(past) + sum(int(row[1]) for row in rows)
    moves.note_forgotten(connection, gone, now_ms=now_ms)
    return gone


def forget_for_good(connection: apsw.Connection, ids: Sequence[str], *, now_ms: int) -> int:
    """Remove *ids*, and keep in mind that no import may bring them back; as `forget` else."""
    sql = """
        SELECT scope, id, content_hash FROM memories
        WHERE id IN (SELECT value FROM json_each(?))
    """
    rows = list(connection.execute(sql, (json.dumps(list(ids)),)))
    forgotten.note(connection, history.marks(connection, ids))
    forgotten.note(
        connection, ((row[0], value) for row in rows for value in (row[1].encode(), row[2]))
    )
    return forget(connection, ids, now_ms=now_ms)


def touch(connection: apsw.Connection, ids: Sequence[str] = (), *, now_ms: int) -> None:
    """Move the number by which caches notice a change, and note its time and the records *ids*."""
    # In the transaction of the change: whoever sees the change sees the number too.
    connection.execute(_TOUCH, (str(now_ms),))
    if ids:
        note_changes(connection, PART, ids)


def count(connection: apsw.Connection, key: str) -> None:
    """Move the number that `meta` has under *key*."""
    add_to_meta(connection, key, 1)


def claim_embedder(
    connection: apsw.Connection, given: Sequence[Embedded], embedder: EmbedderIdentity | None
) -> None:
    """Make *embedder* the state's one when it has none and *given* bring vectors of it."""
    # Records without vectors say nothing about an embedder; the first vector decides.
    if all(each.vector is None for each in given):
        return
    kept = stored_embedder(connection)
    claimed = rules.claim(kept, given, embedder)
    if claimed is not None and kept is None:
        text = embedder_text(claimed)
        connection.execute("INSERT INTO meta VALUES ('embedder', ?)", (text,))


def scope_of(connection: apsw.Connection, namespace: str) -> int | None:
    """Return the number of *namespace*; None while nothing was ever kept there."""
    found: int | None = connection.execute(_SCOPE, (namespace,)).get
    if found is None:
        found = connection.execute(_SCOPE, (veil(connection, namespace),)).get
    return found


def veil(connection: apsw.Connection, namespace: str) -> str:
    """Return the name under which a number stays given out when nothing is kept there any more."""
    return f"{_VEIL}{forgotten.digester(connection)(namespace.encode()).hex()}"


def is_veiled(name: str) -> bool:
    """Tell whether `veil` made *name*, which no namespace can be called."""
    return name.startswith(_VEIL)


def add_to_meta(connection: apsw.Connection, key: str, amount: int) -> None:
    """Add *amount* to the number *key* of `meta`."""
    sql = """
        INSERT INTO meta VALUES (?1, CAST(?2 AS TEXT))
        ON CONFLICT DO UPDATE SET value = CAST(CAST(value AS INTEGER) + ?2 AS TEXT)
    """
    connection.execute(sql, (key, amount))


def made_scope(connection: apsw.Connection, namespace: str) -> int:
    """Return the number of *namespace*, given out now when it has none."""
    found: int | None = connection.execute(_SCOPE, (namespace,)).get
    if found is None:
        sql = "UPDATE scopes SET namespace = ? WHERE namespace = ? RETURNING scope"
        found = connection.execute(sql, (namespace, veil(connection, namespace))).get
    if found is None:
        sql = "INSERT INTO scopes (namespace) VALUES (?) RETURNING scope"
        found = connection.execute(sql, (namespace,)).get
    assert found is not None  # noqa: S101 - inserted in the line above
    return found


def _read_known(connection: apsw.Connection, given: Sequence[Embedded]) -> dict[str, Known]:
    ids = json.dumps([each.record.id for each in given])
    return {row[0]: Known(*row) for row in connection.execute(_KNOWN, (ids,))}


def _alive(connection: apsw.Connection, known: dict[str, Known], now_ms: int) -> dict[str, Known]:
    """Return those of *known* that have not expired; what has goes, as if it had gone before."""
    ends = {key: row.expires_ms for key, row in known.items() if row.expires_ms is not None}
    expired = {key for key, end in ends.items() if end <= now_ms}
    if expired:
        history.drop(connection, sorted(expired))
    remove(connection, [known[key].key for key in expired], now_ms=now_ms)
    return {key: row for key, row in known.items() if key not in expired}


def _last_place(connection: apsw.Connection, namespace: str, thread: str) -> int | None:
    sql = """
        SELECT max(m.position) FROM memories m JOIN scopes s ON s.scope = m.scope
        WHERE s.namespace = ? AND m.thread = ?
    """
    found: int | None = connection.execute(sql, (namespace, thread)).get
    return found


def insert(
    connection: apsw.Connection, added: Sequence[Arrival], *, docnos: Sequence[int] = ()
) -> None:
    """Put rows into all tables, under *docnos* or under new ones."""
    if not added:
        return
    by_namespace: dict[str, list[Arrival]] = defaultdict(list)
    for row in added:
        by_namespace[row.embedded.record.namespace].append(row)
    scopes = {namespace: made_scope(connection, namespace) for namespace in by_namespace}
    # The numbers are given out here, since tags, words and counts need them; SQLite notes the
    # highest in `sqlite_sequence` also when it is told which to take, so none comes back.
    first = 1 + newest_docno(connection)
    numbered = [
        (docno, scopes[row.embedded.record.namespace], row)
        for docno, row in zip(docnos or count_from(first), added, strict=False)
    ]
    connection.executemany(_INSERT, (_columns(row, docno, scope) for docno, scope, row in numbered))
    put_tags(connection, (row.embedded.record for row in added))
    blobs = {
        scopes[name]: [_subwords(row) or b"" for row in rows] for name, rows in by_namespace.items()
    }
    words = (_words(row.embedded.record, *rest) for *rest, row in numbered)
    word_index.add(connection, words, subwords=_beside_tail(connection, blobs, sign=1))
    for scope, each in blobs.items():
        sql = "UPDATE scopes SET records = records + ?, subwords = subwords + ? WHERE scope = ?"
        connection.execute(sql, (len(each), _total(each), scope))
    newest = numbered[-1][0]
    if is_block_due(newest, _last_block(connection)):
        load_modules("clawstate.memory.backends.sqlite.vector_blocks")
        from clawstate.memory.backends.sqlite import vector_blocks  # noqa: PLC0415 - loads numpy

        vector_blocks.extend(connection, newest)


def _beside_tail(
    connection: apsw.Connection, blobs: Mapping[int, Sequence[bytes]], *, sign: int
) -> bytes | None:
    """Count subwords by scope; return what is kept of them beside the tail, where they are few."""
    if sum(map(len, blobs.values())) <= subwords.FEW:
        return subword_batches.pack(blobs)
    for scope, each in blobs.items():
        subwords.add(connection, scope, each, sign=sign)
    return None


def _total(blobs: Sequence[bytes]) -> int:
    return sum(map(len, blobs)) // 2


def _forget_vectors(connection: apsw.Connection, docnos: Sequence[int]) -> None:
    if docnos and min(docnos) <= _last_block(connection):
        load_modules("clawstate.memory.backends.sqlite.vector_blocks")
        from clawstate.memory.backends.sqlite import vector_blocks  # noqa: PLC0415 - loads numpy

        vector_blocks.forget(connection, docnos)


def _last_block(connection: apsw.Connection) -> int:
    return connection.execute("SELECT max(upto) FROM vector_blocks").get or 0


def _with_vector(connection: apsw.Connection, row: Arrival, docno: int) -> Arrival:
    """Return *row*, whose text stays, with the vector that lies under *docno*."""
    sql = "SELECT embedding, subwords FROM memories WHERE docno = ?"
    ((vector, blob),) = connection.execute(sql, (docno,))
    whole = replace(row.embedded, vector=unpack([vector])[0], subwords=subwords_of(blob))
    return row._replace(embedded=whole)


def _words(record: MemoryRecord, docno: int, scope: int) -> documents.Words:
    return documents.Words(docno, scope, fields_of(record), record.tags)


def _columns(row: Arrival, docno: int, scope: int) -> tuple[Any, ...]:
    record, vector = row.embedded.record, row.embedded.vector
    return (
        docno,
        record.id,
        scope,
        record.text,
        *columns_of(record, row.place),
        row.digest,
        _subwords(row),
        None if vector is None else pack(vector),
        fields_text(record),
    )


def _subwords(row: Arrival) -> bytes | None:
    numbers = row.embedded.subwords
    return None if numbers is None else numbers.tobytes()


def _rewrite(connection: apsw.Connection, record: MemoryRecord, place: Place, docno: int) -> None:
    # Whoever remembers what a filter lets through sees by this that a known docno may have changed.
    count(connection, REWRITTEN)
    connection.execute(_UPDATE, (*columns_of(record, place), docno))
    sql = "DELETE FROM tags WHERE memory_id = ? RETURNING tag"
    old = [row[0] for row in connection.execute(sql, (record.id,))]
    word_index.retag(connection, docno, old, record.tags)
    put_tags(connection, [record])
