"""The rows of one collection in a PostgreSQL database of records, and the statements on them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from clawstate.errors import CorruptError
from clawstate.files.json_text import dump_compact, parse_json
from clawstate.paging import Position
from clawstate.postgres.migrations import Migration
from clawstate.postgres.names import decode_text, encode_text
from clawstate.records.contract import CollectionSpec, Json, Revision, Versioned
from clawstate.records.rules import key_range, name_record, position_of

PART: Final = "records"
"""The name of these tables among the parts of the database."""

_ROW = Path("row")
_HEAD = 200  # characters of a key that stand in the index; what follows is told by a digest
_FORMAT_1 = """
-- A key is `id` and `rest`, and `digest` tells one rest from another: an index holds 2,704 bytes. A
-- NUL in one is written as two characters. `rank` is what the latest go by, as `ranked` names it.
CREATE TABLE clawstate.records (
    tenant text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    rest text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    rev bigint NOT NULL,
    xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
    ranked text COLLATE "C" NOT NULL,
    rank double precision NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (tenant, kind, id, digest)
);
CREATE INDEX records_xact ON clawstate.records (tenant, xact);
CREATE INDEX records_rank ON clawstate.records (tenant, kind, ranked, rank, id)
    WHERE ranked <> '';
-- Keys that were deleted, the newest of them.
CREATE TABLE clawstate.removed (
    tenant text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    rest text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (tenant, kind, id, digest)
);
CREATE INDEX removed_xact ON clawstate.removed (tenant, xact);
-- Who adds a record shares the row of its kind, who changes all has it alone. So none is added
-- meanwhile, though no row is there that could be locked.
CREATE TABLE clawstate.kinds (
    tenant text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, kind)
)
"""


def _first(connection: psycopg.Connection[Any]) -> None:
    connection.execute(_FORMAT_1)


MIGRATIONS: Final[tuple[Migration, ...]] = (_first,)

MINE = "tenant = %(tenant)s AND kind = %(kind)s"
ONE = f"{MINE} AND id = %(id)s AND digest = %(digest)s"
COLUMNS = "id, rest, rev, body"
FIND = f"SELECT {COLUMNS} FROM clawstate.records WHERE {ONE}"
ADD_KIND = "INSERT INTO clawstate.kinds VALUES (%(tenant)s, %(kind)s) ON CONFLICT DO NOTHING"
LOCK_KIND = f"SELECT 1 FROM clawstate.kinds WHERE {MINE} FOR UPDATE"
_ADD = f"""
INSERT INTO clawstate.records (tenant, kind, id, rest, digest, rev, ranked, rank, body)
SELECT tenant, kind, %(id)s, %(rest)s, %(digest)s, %(rev)s, %(ranked)s, %(rank)s, %(body)s
FROM clawstate.kinds WHERE {MINE} FOR KEY SHARE
ON CONFLICT DO NOTHING RETURNING tenant
"""
_REPLACE = f"""
UPDATE clawstate.records
SET rev = %(rev)s, xact = pg_current_xact_id(),
    ranked = %(ranked)s, rank = %(rank)s, body = %(body)s
WHERE {ONE} AND rev = %(found)s RETURNING tenant
"""
_REMOVE = f"""
DELETE FROM clawstate.records WHERE {ONE} AND rev = %(found)s
RETURNING tenant, kind, id, rest, digest
"""
_NOTE_REMOVED = """
INSERT INTO clawstate.removed (tenant, kind, id, rest, digest)
SELECT tenant, kind, id, rest, digest FROM done
ON CONFLICT (tenant, kind, id, digest) DO UPDATE SET xact = pg_current_xact_id()
"""
NOTE_ALL_REMOVED = f"""
INSERT INTO clawstate.removed (tenant, kind, id, rest, digest)
SELECT tenant, kind, id, rest, digest FROM clawstate.records WHERE {MINE}
ON CONFLICT (tenant, kind, id, digest) DO UPDATE SET xact = pg_current_xact_id()
"""
NOTE_ONE_REMOVED = NOTE_ALL_REMOVED.replace(MINE, ONE)
# In one statement each: so it is right at every level of isolation, and costs one round trip.
_NOTED = "INSERT INTO clawstate.operations (tenant, id) SELECT tenant, %(operation)s FROM done"
ADD_ALONE = f"WITH done AS ({_ADD}) {_NOTED} RETURNING 1"
REPLACE_ALONE = f"WITH done AS ({_REPLACE}) {_NOTED} RETURNING 1"
REMOVE_ALONE = f"WITH done AS ({_REMOVE}), noted AS ({_NOTE_REMOVED}) {_NOTED} RETURNING 1"
ADD, REPLACE = _ADD, _REPLACE
REMOVE = f"WITH done AS ({_REMOVE}), noted AS ({_NOTE_REMOVED}) SELECT 1 FROM done"


@dataclass(frozen=True, slots=True)
class Row:
    """A record that was found, and its text in the database."""

    record: Versioned
    body: str = field(repr=False)

    def says(self, text: str) -> bool:
        """Tell whether the row holds the value whose JSON text is *text*."""
        # The record may have been altered by a change; a body of another program's may be laid
        # out in another way.
        return self.body == text or dump_compact(parse_json(self.body, path=_ROW)) == text


@dataclass(frozen=True, slots=True)
class RowKeys:
    """How the rows of *spec* are found, and read, in the database that *place* names."""

    tenant: str
    kind: str
    spec: CollectionSpec
    place: str

    @property
    def mine(self) -> dict[str, Any]:
        """The bindings of `MINE`."""
        return {"tenant": self.tenant, "kind": self.kind}

    def one(self, key: str) -> dict[str, Any]:
        """Return the bindings of `ONE`, and of the columns of a key."""
        text = encode_text(key)
        rest = text[_HEAD:]
        digest = hashlib.sha256(rest.encode()).hexdigest() if rest else ""
        return {**self.mine, "id": text[:_HEAD], "rest": rest, "digest": digest}

    def value(self, key: str, text: str, value: Json) -> tuple[Revision, dict[str, Any]]:
        """Return a new revision, and the bindings of a row that holds *value*, as *text* has it."""
        # Random: where a backup was restored no number is given out a second time.
        rev = secrets.randbits(62) + 1
        rank = position_of(self.spec, key, value)[0]
        bound = {**self.one(key), "rev": rev, "ranked": self.spec.order or "", "rank": rank}
        return str(rev), {**bound, "body": text}

    def read(self, columns: tuple[Any, ...]) -> Row:
        """Return the row with these `COLUMNS`; raises `CorruptError` when its body is not JSON."""
        head, rest, rev, body = columns
        key = decode_text(head + rest)
        try:
            value = parse_json(body, path=_ROW)
        except CorruptError as error:
            name = name_record(key, self.spec.kind, is_secret=self.spec.secret_keys)
            raise CorruptError(self.place, f"{name} {error.problem}") from error
        return Row(Versioned(key, value, str(rev)), body)

    def within(self, prefix: str, after: str | None) -> tuple[str, dict[str, Any]]:
        """Return the condition and the bindings of all rows of a scan."""
        low, high = key_range(prefix, after)
        bound = {**self.mine, **_ends("low", low)}
        condition = f"{MINE} AND id >= %(low)s AND (id, rest) >= (%(low)s, %(low_rest)s)"
        if high is not None:
            bound |= _ends("high", high)
            condition += " AND id <= %(high)s AND (id, rest) < (%(high)s, %(high_rest)s)"
        return condition, bound

    def latest(self, limit: int, after: Position | None) -> tuple[str, dict[str, Any]]:
        """Return the statement of the latest rows, and its bindings; all are ranked by now."""
        bound = {**self.mine, "limit": limit, "ranked": self.spec.order or ""}
        condition = MINE
        if self.spec.order is not None:
            condition += " AND ranked = %(ranked)s"
        if after is not None:
            rank, key = after
            bound |= {**_ends("key", encode_text(key), is_encoded=True), "rank": rank}
            condition += " AND rank >= %(rank)s"
            condition += " AND (rank, id, rest) > (%(rank)s, %(key)s, %(key_rest)s)"
        sql = f"SELECT {COLUMNS} FROM clawstate.records WHERE {condition}"
        return f"{sql} ORDER BY rank, id, rest LIMIT %(limit)s", bound


def all_of(keys: RowKeys, wanted: Iterable[str] | None) -> tuple[str, dict[str, Any]]:
    """Return the statement that locks the rows of the keys *wanted* (`None`: all), in order."""
    condition, bound = MINE, keys.mine
    if wanted is not None:
        found = [keys.one(key) for key in wanted]
        bound |= {
            "ids": [each["id"] for each in found],
            "digests": [each["digest"] for each in found],
        }
        condition += (
            " AND (id, digest) IN (SELECT * FROM unnest(%(ids)s::text[], %(digests)s::text[]))"
        )
    sql = f"SELECT {COLUMNS} FROM clawstate.records WHERE {condition}"
    # In one order, so that two who change several records do not wait for each other.
    return f"{sql} ORDER BY id, rest FOR UPDATE", bound


def _ends(name: str, text: str, *, is_encoded: bool = False) -> dict[str, str]:
    encoded = text if is_encoded else encode_text(text)
    return {name: encoded[:_HEAD], f"{name}_rest": encoded[_HEAD:]}
