"""The tables of records in SQLite, as numbered migrations."""

from __future__ import annotations

import apsw

from clawstate.sqlite import Migration

PART = "records"
"""The name of these tables among the parts of the database."""

_FORMAT_1 = """
CREATE TABLE records (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    rev INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX records_rev ON records (tenant, kind, rev);

-- Keys that were deleted, the newest of them: those up to the floor of the history are forgotten.
CREATE TABLE removed (
    rev INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL
) STRICT;
CREATE INDEX removed_kind ON removed (tenant, kind, rev);

-- One row. Every change of a record takes the next rev, whatever its tenant and kind.
CREATE TABLE history (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    rev INTEGER NOT NULL,
    floor INTEGER NOT NULL,
    removed INTEGER NOT NULL
) STRICT;
INSERT INTO history VALUES (1, 0, 0, 0);

-- Whoever starts to write begins an epoch. After a backup was restored the revs go on in another
-- epoch than those that were lost, so a cursor from there is recognised. An epoch starts at first,
-- when the last rev was before.
CREATE TABLE epochs (
    first INTEGER PRIMARY KEY,
    before INTEGER NOT NULL,
    epoch TEXT NOT NULL
) STRICT;
"""


def _first(connection: apsw.Connection) -> None:
    connection.execute(_FORMAT_1)


MIGRATIONS: tuple[Migration, ...] = (_first,)
