"""`PostgresReplacement`: vectors of another embedder beside those kept, until the switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clawstate.memory import rules
from clawstate.memory.backends.columns import embedder_text, pack, subwords_of, unpack
from clawstate.memory.backends.postgres import counts, rows, vectors, words
from clawstate.memory.backends.postgres.place import Place
from clawstate.memory.backends.postgres.rows import REEMBEDDING, find_begun
from clawstate.memory.contract import EmbedderIdentity, KnownVector
from clawstate.memory.replacement import Begun, Text, Workload
from clawstate.postgres.transaction import Transaction

_HAS_NONE = """
NOT EXISTS (SELECT 1 FROM clawstate.memory_reembedded r
    WHERE r.tenant = m.tenant AND r.docno = m.docno)
"""
_TEXTS = f"""
SELECT m.docno, m.content_hash, m.content FROM clawstate.memory_records m
WHERE m.tenant = %(tenant)s AND {_HAS_NONE} ORDER BY m.docno LIMIT %(count)s
"""
# One of each text, and none that has a vector already.
_WORKLOAD = f"""
SELECT (SELECT count(*) FROM clawstate.memory_records WHERE tenant = %(tenant)s), count(*),
    coalesce(sum(characters), 0)::bigint,
    pg_total_relation_size('clawstate.memory_records')
FROM (
    SELECT min(length(m.content)) AS characters FROM clawstate.memory_records m
    WHERE m.tenant = %(tenant)s AND {_HAS_NONE} AND NOT EXISTS (
        SELECT 1 FROM clawstate.memory_records d JOIN clawstate.memory_reembedded r
            ON r.tenant = d.tenant AND r.docno = d.docno
        WHERE d.tenant = m.tenant AND d.content_hash = m.content_hash)
    GROUP BY m.content_hash) t
"""
_KNOWN = """
SELECT DISTINCT ON (m.content_hash) m.content_hash, r.embedding, r.subwords
FROM clawstate.memory_records m
JOIN clawstate.memory_reembedded r ON r.tenant = m.tenant AND r.docno = m.docno
WHERE m.tenant = %(tenant)s AND m.content_hash = ANY(%(hashes)s::bytea[])
"""
_PUT = """
INSERT INTO clawstate.memory_reembedded
SELECT %(tenant)s, k.docno, k.embedding, k.subwords
FROM unnest(%(docnos)s::bigint[], %(embeddings)s::bytea[], %(subwords)s::bytea[])
    AS k (docno, embedding, subwords)
JOIN clawstate.memory_records m ON m.tenant = %(tenant)s AND m.docno = k.docno
ON CONFLICT (tenant, docno) DO UPDATE
SET embedding = excluded.embedding, subwords = excluded.subwords
"""
_COUNT = "SELECT count(*) FROM clawstate.memory_records WHERE tenant = %(tenant)s"
# NULL where there is no new one: such a record waits for its vector.
_REPLACE = """
UPDATE clawstate.memory_records m SET embedding = r.embedding, subwords = r.subwords,
    xid = pg_current_xact_id()
FROM clawstate.memory_records o
LEFT JOIN clawstate.memory_reembedded r ON r.tenant = o.tenant AND r.docno = o.docno
WHERE m.tenant = %(tenant)s AND o.tenant = m.tenant AND o.docno = m.docno
"""
_DROP_VECTORS = """
UPDATE clawstate.memory_versions SET embedding = NULL, subwords = NULL WHERE tenant = %(tenant)s
"""
_CLEAR = "DELETE FROM clawstate.{} WHERE tenant = %(tenant)s"


class PostgresReplacement:
    """The `VectorReplacement` of a memory."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def begun(self) -> Begun | None:
        """Return what is under way."""
        return self._place.read(find_begun)

    def begin(self, embedder: EmbedderIdentity) -> None:
        """Begin, or go on."""

        def change(within: Transaction) -> None:
            if (begun := find_begun(within)) is not None:
                rules.require_same_replacement(begun.embedder, embedder)
                return
            rows.store(within, REEMBEDDING, embedder_text(embedder))

        self._place.change(change)

    def workload(self) -> Workload:
        """Return what is to be done."""
        return Workload(*self._place.rows(_WORKLOAD)[0])

    def texts(self, count: int, characters: int) -> list[Text]:
        """Return texts without a new vector, oldest first."""
        found: list[Text] = []
        for row in self._place.rows(_TEXTS, count=count):
            found.append(Text(*row))
            characters -= len(row[2])
            if characters <= 0:
                break
        return found

    def find(self, digests: Sequence[bytes]) -> dict[bytes, KnownVector]:
        """Return new vectors of the same texts."""
        found = self._place.rows(_KNOWN, hashes=list(dict.fromkeys(digests)))
        return {digest: (unpack([vector])[0], subwords_of(blob)) for digest, vector, blob in found}

    def put(self, made: Mapping[int, KnownVector], embedder: EmbedderIdentity) -> None:
        """Keep new vectors of texts that are still there."""
        rules.require_lengths((vector for vector, _ in made.values()), embedder)

        def change(within: Transaction) -> None:
            _require_begun(within, embedder)
            within.run(
                _PUT,
                docnos=list(made),
                embeddings=[pack(vector) for vector, _ in made.values()],
                subwords=[
                    None if numbers is None else numbers.tobytes() for _, numbers in made.values()
                ],
            )

        self._place.change(change)

    def switch(self, embedder: EmbedderIdentity, *, waiting: int) -> bool:
        """Put the new vectors in the place of those kept."""

        def change(within: Transaction) -> int | None:
            begun = _require_begun(within, embedder)
            records: int = within.one(_COUNT)
            if records - begun.done > waiting:
                return None
            _switch(within, embedder)
            words.touch(within, now_ms=self._place.now_ms(), rewritten=records)
            return records

        done = self._place.change(change, alone=True)
        if done is not None:
            self._place.written(done)
        return done is not None

    def discard(self) -> bool:
        """Forget what was begun."""
        if not self._place.exists():
            return False

        def change(within: Transaction) -> bool:
            begun = find_begun(within)
            _end(within)
            if begun is not None and begun.done:
                words.touch(within, now_ms=self._place.now_ms(), rewritten=begun.done)
            return begun is not None

        return self._place.change(change)


def _require_begun(within: Transaction, embedder: EmbedderIdentity) -> Begun:
    begun = find_begun(within)
    rules.require_same_replacement(None if begun is None else begun.embedder, embedder)
    assert begun is not None  # noqa: S101 - as the line above requires
    return begun


def _switch(within: Transaction, embedder: EmbedderIdentity) -> None:
    vectors.clear(within)
    within.run(_REPLACE)
    within.go_on()
    for table in ("memory_kept_vectors", "memory_reembedded"):
        within.run(_CLEAR.format(table))
    within.run(_DROP_VECTORS)
    # Told apart from an earlier time with the same embedder: what is remembered of the vectors of
    # then must not be taken for these.
    kept = rows.find_value(within, "embedder")
    rows.store(within, "embedder", embedder_text(embedder, after=kept))
    rows.drop(within, REEMBEDDING)
    counts.recount(within)
    vectors.rebuild(within)


def _end(within: Transaction) -> None:
    within.run(_CLEAR.format("memory_reembedded"))
    rows.drop(within, REEMBEDDING)
