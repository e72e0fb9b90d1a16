"""The tables of the transcripts in `memory.db` (specification section 7, decision 13)."""

from __future__ import annotations

import apsw

from clawstate.sqlite import Migration

PART = "transcripts"
"""The name of these tables among the parts of the database."""

_FORMAT_1 = """
-- A session that has a transcript. The header is the first line of its file.
CREATE TABLE transcripts (
    session INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL UNIQUE,
    header TEXT NOT NULL,
    messages INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    leaf TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX transcripts_age ON transcripts (updated_at, session);

-- One line of a transcript; its order is its position. Long values are cut out of the entry, where
-- empty text stands for each, and are put back from its pieces.
CREATE TABLE messages (
    position INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES transcripts,
    id TEXT NOT NULL,
    parent TEXT,
    type TEXT NOT NULL,
    role TEXT,
    timestamp INTEGER NOT NULL,
    entry TEXT NOT NULL,
    pieces INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    words INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX messages_id ON messages (session, id);
CREATE INDEX messages_order ON messages (session, position);

-- What was cut out: a text of at most 256 Ki characters, once for all that hold it.
CREATE TABLE message_blobs (
    blob INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    packed INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE TABLE message_pieces (
    position INTEGER NOT NULL REFERENCES messages,
    number INTEGER NOT NULL,
    place INTEGER NOT NULL,
    blob INTEGER NOT NULL REFERENCES message_blobs,
    PRIMARY KEY (position, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_pieces_blob ON message_pieces (blob);

-- Turns that were given a name, so that one that is repeated is not kept twice.
CREATE TABLE message_turns (
    session INTEGER NOT NULL REFERENCES transcripts,
    turn TEXT NOT NULL,
    digest BLOB NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (session, turn)
) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE message_words USING fts5 (
    scope, role, content, content = '', contentless_delete = 1, tokenize = 'porter unicode61'
);
CREATE VIRTUAL TABLE message_vocabulary USING fts5vocab (message_words, row);
"""


def _first(connection: apsw.Connection) -> None:
    connection.execute(_FORMAT_1)


MIGRATIONS: tuple[Migration, ...] = (_first,)
