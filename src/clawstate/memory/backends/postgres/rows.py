"""Records as rows of `memory_records`, and what stands of a state in `memory_meta`."""

from __future__ import annotations

from typing import Any, Final

from clawstate.memory.backends.columns import columns_of, embedder_from, pack
from clawstate.memory.backends.postgres.conditions import facts_text
from clawstate.memory.contract import EmbedderIdentity
from clawstate.memory.records import MemoryRecord, fields_text
from clawstate.memory.replacement import Begun
from clawstate.memory.rules import Arrival
from clawstate.postgres.transaction import Transaction

REEMBEDDING: Final = "reembedding"
"""What `memory_meta` names the embedder by whose vectors are made beside those kept."""

_COLUMNS = """
{0}.docno, {0}.id, s.namespace, {0}.content, {0}.source, {0}.created_at, {0}.updated_at,
{0}.expires_at, {0}.category, {0}.importance, {0}.thread, {0}.position, {0}.metadata,
array_to_json({0}.tags)::text, {0}.fields
"""
_FROM = """
FROM clawstate.{1} {0} JOIN clawstate.memory_scopes s
    ON s.tenant = {0}.tenant AND s.scope = {0}.scope
"""

COLUMNS: Final = _COLUMNS.format("m")

SELECT: Final = f"SELECT {COLUMNS} {_FROM.format('m', 'memory_records')}"
"""Gives rows for `record_of`; a condition on `m` may follow."""

SELECT_PAST: Final = (
    f"SELECT {_COLUMNS.format('v')}, v.began, v.ended, v.ending, v.version, v.embedding,"
    f" v.subwords {_FROM.format('v', 'memory_versions')}"
)
"""The same of versions that ended, called `v`, with six columns more."""

LIVE: Final = "(m.expires_at IS NULL OR m.expires_at > %(now)s)"

_COPIED = (
    "docno, id, scope, content, source, created_at, updated_at, expires_at, category, importance,"
    " thread, position, metadata, facts, tags, fields, content_hash, subwords, embedding"
)
COPIED: Final = _COPIED
"""The columns that a version has of a record."""

_KINDS = {
    "docno": "bigint",
    "id": "text",
    "scope": "bigint",
    "content": "text",
    "source": "text",
    "created_at": "bigint",
    "updated_at": "bigint",
    "expires_at": "bigint",
    "category": "text",
    "importance": "double precision",
    "thread": "text",
    "position": "bigint",
    "metadata": "text",
    "facts": "jsonb",
    # An array of arrays would have to be even, so that of a record comes as text.
    "tags": "text",
    "fields": "text",
    "content_hash": "bytea",
    "subwords": "bytea",
    "embedding": "bytea",
}
_ARRAYS = ", ".join(f"%({name})s::{kind}[]" for name, kind in _KINDS.items())
_INSERT = f"""
INSERT INTO clawstate.memory_records (tenant, {_COPIED})
SELECT %(tenant)s, {_COPIED.replace(" tags,", " tags::text[],")}
FROM unnest({_ARRAYS}) AS k ({", ".join(_KINDS)})
"""
_META = "SELECT value FROM clawstate.memory_meta WHERE tenant = %(tenant)s AND key = %(key)s"
_PUT_META = """
INSERT INTO clawstate.memory_meta VALUES (%(tenant)s, %(key)s, %(value)s)
ON CONFLICT (tenant, key) DO UPDATE SET value = excluded.value
"""
_DROP_META = "DELETE FROM clawstate.memory_meta WHERE tenant = %(tenant)s AND key = %(key)s"


def insert_rows(into: Transaction, numbered: list[tuple[int, int, Arrival]]) -> None:
    """Insert records, each with its docno and its scope."""
    rows = [_columns(*each) for each in numbered]
    columns = zip(*rows, strict=True)
    into.run(_INSERT, **dict(zip(_KINDS, map(list, columns), strict=True)))


def find_value(within: Transaction, key: str) -> str | None:
    """Return what stands in `memory_meta` under *key*."""
    found: str | None = within.one(_META, key=key)
    return found


def store(within: Transaction, key: str, value: str) -> None:
    """Put *value* under *key*."""
    within.run(_PUT_META, key=key, value=value)


def drop(within: Transaction, key: str) -> None:
    """Remove what stands under *key*."""
    within.run(_DROP_META, key=key)


def stored_embedder(within: Transaction) -> EmbedderIdentity | None:
    """Return the embedder whose vectors are kept; None before the first."""
    text = find_value(within, "embedder")
    return None if text is None else embedder_from(text)


def find_begun(within: Transaction) -> Begun | None:
    """Return the replacement of all vectors that is under way."""
    text = find_value(within, REEMBEDDING)
    if text is None:
        return None
    sql = "SELECT count(*) FROM clawstate.memory_reembedded WHERE tenant = %(tenant)s"
    return Begun(embedder_from(text), within.one(sql))


def subwords_blob(arrival: Arrival) -> bytes | None:
    """Return the subwords of what arrives, as kept."""
    numbers = arrival.embedded.subwords
    return None if numbers is None else numbers.tobytes()


def tags_text(tags: tuple[str, ...]) -> str:
    """Return *tags* as PostgreSQL writes an array of texts."""
    quoted = (each.replace("\\", "\\\\").replace('"', '\\"') for each in tags)
    return "{" + ",".join(f'"{each}"' for each in quoted) + "}"


def changeable(record: MemoryRecord, place: tuple[float, float, int | None]) -> dict[str, Any]:
    """Return the columns that change while the text stays, by name."""
    names = ("source", "created", "updated", "expires", "category", "importance", "thread")
    columns = columns_of(record, place)
    return {
        **dict(zip((*names, "position", "metadata"), columns, strict=True)),
        "facts": facts_text(record.metadata),
        "tags": tags_text(record.tags),
    }


def _columns(docno: int, scope: int, arrival: Arrival) -> tuple[Any, ...]:
    record, vector = arrival.embedded.record, arrival.embedded.vector
    *columns, metadata = columns_of(record, arrival.place)
    return (
        docno,
        record.id,
        scope,
        record.text,
        *columns,
        metadata,
        facts_text(record.metadata),
        tags_text(record.tags),
        fields_text(record),
        arrival.digest,
        subwords_blob(arrival),
        None if vector is None else pack(vector),
    )
