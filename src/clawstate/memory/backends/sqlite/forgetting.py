"""What is left of forgotten records in the tables, and how it goes; and what a receipt tells."""

from __future__ import annotations

import json
from collections.abc import Sequence

import apsw

from clawstate.memory.analysis import count_words, fields_of
from clawstate.memory.backends.columns import record_of
from clawstate.memory.backends.sqlite import forgotten, history, writing
from clawstate.memory.backends.sqlite.rows import SELECT
from clawstate.memory.forgetting import Forgotten, text_digest

_STEP = 2_000  # cached vectors that go in one transaction
_COMPACTED = "compacted"
_OF_ONE = """
SELECT m.embedding IS NOT NULL,
    (SELECT count(*) FROM imported i WHERE i.memory_id = m.id)
FROM memories m WHERE m.docno = ?
"""
# Whole and with nothing left: of one that is being imported the records may be still to come.
_FORGOTTEN_SOURCES = """
SELECT i.import, i.scope FROM imports i WHERE i.fingerprint IS NOT NULL
    AND EXISTS (SELECT 1 FROM imported m WHERE m.import = i.import)
    AND NOT EXISTS (
        SELECT 1 FROM imported m JOIN memories r ON r.id = m.memory_id WHERE m.import = i.import)
"""
_EMPTY_SCOPES = """
SELECT scope, namespace FROM scopes
WHERE records = 0 AND scope NOT IN (SELECT scope FROM imports)
    AND scope NOT IN (SELECT scope FROM versions) AND namespace <> 'default'
"""


def describe(connection: apsw.Connection, ids: Sequence[str]) -> list[Forgotten]:
    """Return what a receipt tells of those of *ids* that are kept; they are still there."""
    found: list[Forgotten] = []
    sql = f"{SELECT} WHERE m.id IN (SELECT value FROM json_each(?)) ORDER BY m.docno"
    for row in connection.execute(sql, (json.dumps(list(ids)),)):
        record = record_of(row)
        vector, sources = connection.execute(_OF_ONE, (row[0],)).get
        found.append(
            Forgotten(
                record.id,
                text_digest(record.text),
                words=count_words(fields_of(record)),
                tags=len(record.tags),
                vector=bool(vector),
                sources=sources,
                versions=history.count(connection, history.chain(connection, [record.id])),
            )
        )
    known = {each.id for each in found}
    return [*found, *_describe_past(connection, [each for each in ids if each not in known])]


def _describe_past(connection: apsw.Connection, ids: Sequence[str]) -> list[Forgotten]:
    """Return what a receipt tells of those of *ids* that others took the place of."""
    sql = """
        SELECT id, content, (SELECT count(*) FROM imported i WHERE i.memory_id = v.id),
            embedding IS NOT NULL, json_array_length(tags), max(version)
        FROM versions v WHERE id IN (SELECT value FROM json_each(?)) GROUP BY id ORDER BY id
    """
    return [
        Forgotten(
            str(record_id),
            text_digest(str(text)),
            tags=int(str(tags)),
            vector=bool(vector),
            sources=int(str(sources)),
            versions=history.count(connection, history.chain(connection, [str(record_id)])),
        )
        for record_id, text, sources, vector, tags, _ in connection.execute(
            sql, (json.dumps(list(ids)),)
        ).fetchall()
    ]


def count_waiting(connection: apsw.Connection) -> int:
    """Return how many changes left bytes behind since the last compaction."""
    noted = "coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?), 0)"
    sql = f"SELECT (SELECT coalesce(sum(removed), 0) FROM scopes) + {noted} - {noted}"
    found: int = connection.execute(sql, (writing.REWRITTEN, _COMPACTED)).get
    return found


def note_compaction(connection: apsw.Connection, changes: int) -> None:
    """Note that the bytes of so many changes are gone."""
    writing.add_to_meta(connection, _COMPACTED, changes)


def drop_cached(connection: apsw.Connection) -> bool:
    """Forget some of the vectors of forgotten texts; tell whether there may be more."""
    sql = """
        DELETE FROM embedding_cache WHERE content_hash IN
        (SELECT content_hash FROM embedding_cache LIMIT ?)
    """
    connection.execute(sql, (_STEP,))
    return connection.changes() == _STEP


def drop_traces(connection: apsw.Connection) -> None:
    """Forget what tables tell of records that are no more: names, counts, digests."""
    one = connection.execute
    # That a subword was ever counted tells of a text as well.
    one("DELETE FROM subword_counts WHERE occurrences <= 0")
    for number, scope in one(_FORGOTTEN_SOURCES).fetchall():
        sql = "SELECT memory_id FROM imported WHERE import = ?"
        ids = [str(row[0]).encode() for row in one(sql, (number,))]
        forgotten.note(connection, [(int(str(scope)), each) for each in ids])
        one("DELETE FROM imported WHERE import = ?", (number,))
        one("DELETE FROM imports WHERE import = ?", (number,))
    # Digests without a key: whoever guesses a short text could make sure of it.
    one(
        "UPDATE imported SET passage = NULL, given = NULL WHERE passage IS NOT NULL "
        "AND memory_id NOT IN (SELECT id FROM memories) "
        "AND import IN (SELECT import FROM imports WHERE fingerprint IS NOT NULL)"
    )
    if not one("SELECT sum(records) FROM scopes").get:
        one("DELETE FROM vector_blocks; DELETE FROM meta WHERE key = 'vector_codes'")
    # A number stays, since digests of what was forgotten are kept under it, and counts.
    for scope, namespace in one(_EMPTY_SCOPES).fetchall():
        if not writing.is_veiled(str(namespace)):
            name = writing.veil(connection, str(namespace))
            one("UPDATE scopes SET namespace = ? WHERE scope = ?", (name, scope))
