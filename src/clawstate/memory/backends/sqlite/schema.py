"""The tables of `memory.db` (specification section 7, decision 4), as numbered migrations."""

from __future__ import annotations

import apsw

from clawstate.interrupts import load_modules
from clawstate.memory.analysis import VERSION
from clawstate.memory.backends.sqlite import history, postings, stem_upkeep, word_index
from clawstate.memory.backends.sqlite.rows import is_block_due
from clawstate.memory.records import new_id
from clawstate.sqlite import Migration

PART = "memory"
"""The name of these tables among the parts of the database."""

_FORMAT_1 = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A namespace, by a number that is short enough for every index.
CREATE TABLE scopes (
    scope INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL UNIQUE,
    records INTEGER NOT NULL DEFAULT 0,
    removed INTEGER NOT NULL DEFAULT 0,
    subwords INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A docno stands for one text for ever: an edited text gets a new one, a freed one is not given
-- out again. So whatever is derived from texts needs no other notion of being out of date.
CREATE TABLE memories (
    docno INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    scope INTEGER NOT NULL REFERENCES scopes,
    content TEXT NOT NULL,
    source TEXT,
    timestamp INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    category TEXT NOT NULL,
    importance REAL NOT NULL,
    thread TEXT,
    position INTEGER,
    metadata TEXT NOT NULL,
    content_hash BLOB NOT NULL,
    subwords BLOB,
    embedding BLOB
) STRICT;
CREATE INDEX memories_scope ON memories (scope, id);
CREATE INDEX memories_hash ON memories (content_hash);
CREATE INDEX memories_thread ON memories (scope, thread, position, docno)
    WHERE thread IS NOT NULL;
CREATE INDEX memories_source ON memories (scope, source) WHERE source IS NOT NULL;
CREATE INDEX memories_expiry ON memories (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX memories_waiting ON memories (docno) WHERE embedding IS NULL;

CREATE TABLE tags (
    memory_id TEXT NOT NULL,
    tag TEXT NOT NULL,
    PRIMARY KEY (memory_id, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_tag ON tags (tag, memory_id);

-- How often a subword occurs among the records of a namespace: the weights of query vectors.
CREATE TABLE subword_counts (
    scope INTEGER NOT NULL,
    subword INTEGER NOT NULL,
    occurrences INTEGER NOT NULL,
    PRIMARY KEY (scope, subword)
) STRICT, WITHOUT ROWID;

-- Vectors outlive their records for a while: text that comes back is not embedded again.
CREATE TABLE embedding_cache (
    content_hash BLOB PRIMARY KEY,
    embedding BLOB NOT NULL,
    subwords BLOB,
    kept_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX embedding_cache_age ON embedding_cache (kept_at);

-- What was imported from where. A fingerprint stands for a source that was imported whole.
CREATE TABLE imports (
    import INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL REFERENCES scopes,
    source TEXT NOT NULL,
    fingerprint TEXT,
    imported_at INTEGER NOT NULL,
    UNIQUE (scope, source)
) STRICT;
CREATE TABLE imported (
    import INTEGER NOT NULL REFERENCES imports ON DELETE CASCADE,
    memory_id TEXT NOT NULL,
    forgotten INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (import, memory_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX imported_memory ON imported (memory_id);

CREATE VIRTUAL TABLE memory_words USING fts5 (
    scope, content, content = '', contentless_delete = 1, tokenize = 'porter unicode61'
);
CREATE VIRTUAL TABLE memory_vocabulary USING fts5vocab (memory_words, row);
"""


def _first(connection: apsw.Connection) -> None:
    connection.execute(_FORMAT_1)
    # By it what is kept in memory knows its database: the numbers of records start anew in each.
    connection.execute("INSERT INTO meta VALUES ('database_id', ?)", (new_id(),))


def _second(connection: apsw.Connection) -> None:
    # One column for all: indexes of words derive from it, and conditions ask for none of them.
    sql = "ALTER TABLE memories ADD COLUMN fields TEXT NOT NULL DEFAULT '{}'"
    connection.execute(sql)


# Bits of the older vectors, in blocks: those up to a docno, from the block before on.
_FORMAT_3 = """
CREATE TABLE vector_blocks (
    upto INTEGER PRIMARY KEY,
    records INTEGER NOT NULL,
    checksum BLOB NOT NULL,
    data BLOB NOT NULL
) STRICT;
"""


def _third(connection: apsw.Connection) -> None:
    connection.execute(_FORMAT_3)
    newest = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'memories'").get
    if is_block_due(newest or 0, 0):
        load_modules("clawstate.memory.backends.sqlite.vector_blocks")
        from clawstate.memory.backends.sqlite import vector_blocks  # noqa: PLC0415 - loads numpy

        vector_blocks.extend(connection, newest)


def _postings(connection: apsw.Connection) -> None:
    connection.execute(postings.TABLES)
    connection.execute("DROP TABLE memory_vocabulary; DROP TABLE memory_words")
    word_index.rebuild(connection)


_DIGESTS = """
-- Which passage of its source a record was, and what the source said of it last: digests, by which
-- a passage is known again elsewhere, and what somebody changed since is told from what it says.
ALTER TABLE imported ADD COLUMN passage BLOB;
ALTER TABLE imported ADD COLUMN given BLOB;
CREATE INDEX imported_passage ON imported (passage) WHERE passage IS NOT NULL;

-- What somebody forgot: keyed digests of ids and of texts, and nothing else of them.
CREATE TABLE forgotten (
    scope INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (scope, digest)
) STRICT, WITHOUT ROWID;
"""


def _digests(connection: apsw.Connection) -> None:
    connection.execute(_DIGESTS)


def _terms(connection: apsw.Connection) -> None:
    # An older state that has just got its postings has them by the present terms.
    if connection.execute("SELECT analysis FROM word_totals").get != VERSION:
        word_index.rebuild(connection)


# Vectors of another embedder, by the docnos of their records, until they take the place of those
# that searches use.
_REEMBEDDED = """
CREATE TABLE reembedded (
    docno INTEGER PRIMARY KEY,
    embedding BLOB NOT NULL,
    subwords BLOB
) STRICT;
"""


def _vectors_beside(connection: apsw.Connection) -> None:
    connection.execute(_REEMBEDDED)


SUBWORDS_BESIDE_TAIL = "ALTER TABLE word_tail ADD COLUMN subwords BLOB"
"""What the records of a batch have that are few: they are counted when the tail is merged."""


def _subwords_beside_tail(connection: apsw.Connection) -> None:
    connection.execute(SUBWORDS_BESIDE_TAIL)


def _versions(connection: apsw.Connection) -> None:
    connection.execute(history.TABLES)


def _stems(connection: apsw.Connection) -> None:
    stem_upkeep.begin(connection)


MIGRATIONS: tuple[Migration, ...] = (
    *(_first, _second, _third, _postings, _digests, _terms),
    *(_vectors_beside, _subwords_beside_tail, _versions, _stems),
)
