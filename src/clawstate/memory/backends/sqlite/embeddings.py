"""The vectors of texts that are or were kept: a text that comes back is not embedded again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import apsw

from clawstate.memory.backends.columns import subwords_of, unpack
from clawstate.memory.contract import KnownVector
from clawstate.sqlite import Part

CACHED_VECTORS = 20_000
"""How many vectors of forgotten texts the embedding cache holds."""

_KNOWN = """
SELECT c.content_hash, c.embedding, c.subwords FROM json_each(?1) k
CROSS JOIN embedding_cache c ON c.content_hash = unhex(k.value)
UNION ALL
SELECT m.content_hash, m.embedding, m.subwords FROM json_each(?1) k
CROSS JOIN memories m ON m.docno = (
    SELECT s.docno FROM memories s
    WHERE s.content_hash = unhex(k.value) AND s.embedding IS NOT NULL LIMIT 1)
"""  # of many records with one text one is enough: an import of repetitive text has thousands


class SqliteEmbeddings:
    """The `EmbeddingCache` of a database."""

    def __init__(self, database: Part) -> None:
        self._database = database

    def find(self, hashes: Sequence[bytes]) -> dict[bytes, KnownVector]:
        """Return vectors of texts that are or were kept."""
        wanted = json.dumps([digest.hex() for digest in dict.fromkeys(hashes)])
        return {
            digest: (unpack([vector])[0], subwords_of(subwords))
            for digest, vector, subwords in self._database.rows(_KNOWN, (wanted,))
        }


def keep(connection: apsw.Connection, rows: Sequence[tuple[Any, ...]], *, now_ms: int) -> None:
    """
    Keep the vectors of texts that are being forgotten, in the caller's transaction.

    *rows* are (subwords, content hash, embedding). The oldest leave when there are too many.
    """
    connection.executemany(
        "INSERT OR REPLACE INTO embedding_cache VALUES (?, ?, ?, ?)",
        ((digest, vector, subwords, now_ms) for subwords, digest, vector in rows),
    )
    # 10 MB with the default embedder: bounded whatever is imported and removed.
    excess = connection.execute("SELECT count(*) FROM embedding_cache").get - CACHED_VECTORS
    if excess > 0:
        sql = """
            DELETE FROM embedding_cache WHERE content_hash IN
            (SELECT content_hash FROM embedding_cache ORDER BY kept_at LIMIT ?)
        """
        connection.execute(sql, (excess,))
