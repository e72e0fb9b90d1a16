"""
`SqliteReplacement`: the table `reembedded`, vectors of another embedder until the switch.

A row stands for the docno of a record, so an edited text, which gets a new docno, needs no other
care; and what is above the highest docno in the table is still to be done, and seldom any other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

import apsw

from clawstate.memory import rules
from clawstate.memory.backends.columns import embedder_text, pack, subwords_of, unpack
from clawstate.memory.backends.sqlite import subwords, upkeep, writing
from clawstate.memory.backends.sqlite.rows import REEMBEDDING, find_begun
from clawstate.memory.contract import EmbedderIdentity, KnownVector
from clawstate.memory.replacement import Begun, Text, Workload
from clawstate.sqlite import Part

_STEP = 4_096  # records that the switch changes in one statement, between which it can be ended
_LAST = "coalesce((SELECT max(docno) FROM reembedded), 0)"
_TEXTS = f"""
SELECT docno, content_hash, content FROM memories WHERE docno > {_LAST} ORDER BY docno LIMIT ?
"""
# Somebody may have dropped what was begun and begun anew while a batch was embedded.
_LEFT_OUT = """
SELECT docno, content_hash, content FROM memories
WHERE docno NOT IN (SELECT docno FROM reembedded) ORDER BY docno LIMIT ?
"""
_IS_LEFT_OUT = """
SELECT (SELECT sum(records) FROM scopes) > (SELECT count(*) FROM reembedded)
"""
# One of each text, and none that has a vector already.
_WORKLOAD = f"""
SELECT (SELECT coalesce(sum(records), 0) FROM scopes), count(*), coalesce(sum(characters), 0) FROM (
    SELECT length(m.content) AS characters FROM memories m WHERE m.docno > {_LAST}
    AND NOT EXISTS (SELECT 1 FROM memories d JOIN reembedded r ON r.docno = d.docno
        WHERE d.content_hash = m.content_hash)
    GROUP BY m.content_hash)
"""
_KNOWN = """
SELECT k.value, r.embedding, r.subwords FROM json_each(?) k CROSS JOIN reembedded r ON r.docno = (
    SELECT s.docno FROM memories s JOIN reembedded o ON o.docno = s.docno
    WHERE s.content_hash = unhex(k.value) LIMIT 1)
"""
_PUT = "INSERT OR REPLACE INTO reembedded SELECT docno, ?, ? FROM memories WHERE docno = ?"
# NULL where there is no new one: such a record waits for its vector.
_REPLACE = """
UPDATE memories SET
    embedding = (SELECT r.embedding FROM reembedded r WHERE r.docno = memories.docno),
    subwords = (SELECT r.subwords FROM reembedded r WHERE r.docno = memories.docno)
WHERE docno > ? AND docno <= ?
"""
_ENDS = "SELECT max(docno) FROM (SELECT docno FROM memories WHERE docno > ? ORDER BY docno LIMIT ?)"
_SUBWORDS = """
SELECT scope, subwords FROM memories WHERE docno > ? AND docno <= ? AND subwords IS NOT NULL
"""


class SqliteReplacement:
    """The `VectorReplacement` of a database; *forgot* is told how many records changed."""

    def __init__(
        self, database: Part, now_ms: Callable[[], int], forgot: Callable[[int], None]
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._forgot = forgot

    def begun(self) -> Begun | None:
        """Return what is under way."""
        with self._database.reading() as connection:
            return find_begun(connection)

    def begin(self, embedder: EmbedderIdentity) -> None:
        """Begin, or go on."""
        with self._database.writing() as connection:
            if (begun := find_begun(connection)) is not None:
                rules.require_same_replacement(begun.embedder, embedder)
                return
            sql = "INSERT INTO meta VALUES (?, ?)"
            connection.execute(sql, (REEMBEDDING, embedder_text(embedder)))

    def workload(self) -> Workload:
        """Return what is to be done."""
        with self._database.reading() as connection:
            records, texts, characters = connection.execute(_WORKLOAD).get
            return Workload(records, texts, characters, upkeep.size_on_disk(self._database.path))

    def texts(self, count: int, characters: int) -> list[Text]:
        """Return texts without a new vector, oldest first."""
        with self._database.reading() as connection:
            found = _texts(connection, _TEXTS, count, characters)
            if not found and connection.execute(_IS_LEFT_OUT).get:
                found = _texts(connection, _LEFT_OUT, count, characters)
        return found

    def find(self, digests: Sequence[bytes]) -> dict[bytes, KnownVector]:
        """Return new vectors of the same texts."""
        wanted = json.dumps([each.hex() for each in dict.fromkeys(digests)])
        with self._database.reading() as connection:
            return {
                bytes.fromhex(digest): (unpack([vector])[0], subwords_of(blob))
                for digest, vector, blob in connection.execute(_KNOWN, (wanted,))
            }

    def put(self, made: Mapping[int, KnownVector], embedder: EmbedderIdentity) -> None:
        """Keep new vectors of texts that are still there."""
        rules.require_lengths((vector for vector, _ in made.values()), embedder)
        rows = [
            (pack(vector), None if numbers is None else numbers.tobytes(), docno)
            for docno, (vector, numbers) in made.items()
        ]
        with self._database.writing() as connection:
            _require_begun(connection, embedder)
            connection.executemany(_PUT, rows)

    def switch(self, embedder: EmbedderIdentity, *, waiting: int) -> bool:
        """Put the new vectors in the place of those kept."""
        with self._database.writing() as connection:
            begun = _require_begun(connection, embedder)
            records = connection.execute("SELECT coalesce(sum(records), 0) FROM scopes").get
            if records - begun.done > waiting:
                return False
            _switch(connection, embedder)
            writing.add_to_meta(connection, writing.REWRITTEN, records)
            writing.touch(connection, now_ms=self._now_ms())
        self._forgot(records)
        return True

    def discard(self) -> bool:
        """Forget what was begun."""
        if not self._database.exists():
            return False
        with self._database.writing() as connection:
            begun = find_begun(connection)
            _end(connection)
            if begun is not None and begun.done:
                writing.add_to_meta(connection, writing.REWRITTEN, begun.done)
        return begun is not None


def _texts(connection: apsw.Connection, sql: str, count: int, characters: int) -> list[Text]:
    found: list[Text] = []
    for row in connection.execute(sql, (count,)):
        found.append(Text(*row))
        characters -= len(row[2])
        if characters <= 0:
            break
    return found


def _require_begun(connection: apsw.Connection, embedder: EmbedderIdentity) -> Begun:
    begun = find_begun(connection)
    rules.require_same_replacement(None if begun is None else begun.embedder, embedder)
    assert begun is not None  # noqa: S101 - as the line above requires
    return begun


def _switch(connection: apsw.Connection, embedder: EmbedderIdentity) -> None:
    one = connection.execute
    one("DELETE FROM subword_counts; DELETE FROM embedding_cache; UPDATE scopes SET subwords = 0")
    one("UPDATE word_tail SET subwords = NULL WHERE subwords IS NOT NULL")
    # Step by step though in one transaction: an interrupt need not wait for the whole of it.
    for after, upto in _steps(connection):
        one(_REPLACE, (after, upto))
        by_scope: dict[int, list[bytes]] = {}
        for scope, blob in one(_SUBWORDS, (after, upto)):
            by_scope.setdefault(scope, []).append(blob)
        for scope, blobs in by_scope.items():
            subwords.add(connection, scope, blobs)
            total = sum(map(len, blobs)) // 2
            one("UPDATE scopes SET subwords = subwords + ? WHERE scope = ?", (total, scope))
    # Told apart from an earlier time with the same embedder: what is remembered of the vectors of
    # then must not be taken for these.
    kept = one("SELECT value FROM meta WHERE key = 'embedder'").get
    text = embedder_text(embedder, after=kept)
    one("UPDATE versions SET embedding = NULL, subwords = NULL")
    one("INSERT OR REPLACE INTO meta VALUES ('embedder', ?)", (text,))
    _end(connection)
    upkeep.mend_vectors(connection, anew=True)


def _steps(connection: apsw.Connection) -> Iterator[tuple[int, int]]:
    after = 0
    while (upto := connection.execute(_ENDS, (after, _STEP)).get) is not None:
        yield after, upto
        after = upto


def _end(connection: apsw.Connection) -> None:
    connection.execute("DELETE FROM reembedded")
    connection.execute("DELETE FROM meta WHERE key = ?", (REEMBEDDING,))
