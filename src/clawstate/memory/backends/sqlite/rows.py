"""Records as rows of `memories`, and back."""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from clawstate.memory.backends.columns import embedder_from
from clawstate.memory.contract import EmbedderIdentity
from clawstate.memory.records import MemoryRecord
from clawstate.memory.replacement import Begun

VECTOR_BLOCK = 4_096
"""Vectors in a block: small enough to be written with a record, large enough to be few."""

REEMBEDDING = "reembedding"
"""What `meta` names the embedder by whose vectors are made beside those kept."""


# The tags as JSON in one column: joined, a record would come once for each of its tags.
_COLUMNS = """
m.docno, m.id, s.namespace, m.content, m.source, m.timestamp, m.updated_at, m.expires_at,
m.category, m.importance, m.thread, m.position, m.metadata,
(SELECT json_group_array(t.tag) FROM tags t WHERE t.memory_id = m.id), m.fields
"""
_FROM = "memories m JOIN scopes s ON s.scope = m.scope"

SELECT = f"SELECT {_COLUMNS} FROM {_FROM}"
"""Gives rows for `record_of`; a condition on `m` may follow."""

SELECT_IN_ORDER = (
    f"SELECT {_COLUMNS} FROM json_each(?) k CROSS JOIN memories m ON m.docno = k.value "
    "JOIN scopes s ON s.scope = m.scope ORDER BY k.key"
)
"""The same for a JSON list of docnos, in its order."""


def put_tags(connection: apsw.Connection, records: Iterable[MemoryRecord]) -> None:
    """Write the tags of *records*, whose ids have none yet."""
    pairs = [(record.id, tag) for record in records if record.tags for tag in record.tags]
    if pairs:
        connection.executemany("INSERT INTO tags VALUES (?, ?)", pairs)


def newest_docno(connection: apsw.Connection) -> int:
    """Return the highest docno that was ever given out."""
    # SQLite checks nothing in this table of its own: no type, no number, and no record is behind.
    sql = """
        SELECT max(coalesce((SELECT CAST(max(seq) AS INTEGER) FROM sqlite_sequence
            WHERE name = 'memories'), 0), coalesce((SELECT max(docno) FROM memories), 0))
    """
    return int(connection.execute(sql).get)


def is_block_due(newest: int, last: int) -> bool:
    """Tell whether there are enough docnos up to *newest* behind the *last* block for another."""
    # By docnos and not by vectors: those would have to be counted in every write.
    return newest - last >= VECTOR_BLOCK


def stored_embedder(connection: apsw.Connection) -> EmbedderIdentity | None:
    """Return the embedder whose vectors are kept; None before the first."""
    text = connection.execute("SELECT value FROM meta WHERE key = 'embedder'").get
    return None if text is None else embedder_from(text)


def find_begun(connection: apsw.Connection) -> Begun | None:
    """Return the replacement of all vectors that is under way."""
    text = connection.execute("SELECT value FROM meta WHERE key = ?", (REEMBEDDING,)).get
    if text is None:
        return None
    return Begun(embedder_from(text), connection.execute("SELECT count(*) FROM reembedded").get)
