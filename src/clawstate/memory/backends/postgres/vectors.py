"""
The vectors as pgvector searches them: one table for each number of dimensions, where it can.

They derive from `memory_records`, and change in the same transactions. All are `halfvec`, at any
length: float16 is what is kept of a vector on every engine, so nothing is lost, and an index takes
half the room (decision 066).
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
import psycopg

from clawstate.memory.backends.columns import unpack
from clawstate.memory.backends.postgres.rows import stored_embedder
from clawstate.memory.rules import Arrival
from clawstate.postgres.statistics import forbid_statistics
from clawstate.postgres.transaction import Row, Transaction
from clawstate.quantities import number_of

LONGEST: Final = 4_000
"""Dimensions of a vector that pgvector's index can hold."""

FEW: Final = 2_000
"""From how many vectors of a memory the index is made: fewer are all compared."""

_HAS = """
SELECT to_regtype('halfvec') IS NOT NULL
    AND EXISTS (SELECT 1 FROM pg_am WHERE amname = 'hnsw')
"""
_MAY_HAVE = "SELECT EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'vector')"
_HAS_TABLE = "SELECT to_regclass(%(table)s) IS NOT NULL"
_TABLE = """
CREATE TABLE IF NOT EXISTS {table} (
    tenant text COLLATE "C" NOT NULL,
    docno bigint NOT NULL,
    scope bigint NOT NULL,
    embedding halfvec({dimensions}) NOT NULL,
    PRIMARY KEY (tenant, docno)
)
"""
_SCOPED = "CREATE INDEX IF NOT EXISTS {name}_scope ON {table} (tenant, scope, docno)"
_NEAREST = """
CREATE INDEX IF NOT EXISTS {name}_nearest ON {table} USING hnsw (embedding halfvec_ip_ops)
"""
_HAS_NEAREST = "SELECT to_regclass(%(table)s || '_nearest') IS NOT NULL"
_DROP_NEAREST = "DROP INDEX IF EXISTS {table}_nearest"
_IS_EMPTY = "SELECT NOT EXISTS (SELECT 1 FROM {table})"
_HELD = "SELECT count(*) FROM (SELECT 1 FROM {table} WHERE tenant = %(tenant)s LIMIT %(most)s) k"
_COPY = "COPY {table} (tenant, docno, scope, embedding) FROM STDIN (FORMAT BINARY)"
_EACH_INDEXED = 0.02  # seconds that indexing one vector may take
_INDEX_MEMORY = 1 << 20  # kilobytes that building an index may take at most
_ADD = """
INSERT INTO {table} (tenant, docno, scope, embedding)
SELECT %(tenant)s, d, s, v::halfvec
FROM unnest(%(docnos)s::bigint[], %(scopes)s::bigint[], %(vectors)s::text[]) AS k (d, s, v)
"""
_REMOVE = "DELETE FROM {table} WHERE tenant = %(tenant)s AND docno = ANY(%(docnos)s::bigint[])"
_CLEAR = "DELETE FROM {table} WHERE tenant = %(tenant)s"
_STORED = """
SELECT docno, scope, embedding FROM clawstate.memory_records
WHERE tenant = %(tenant)s AND docno > %(after)s AND embedding IS NOT NULL ORDER BY docno LIMIT 2048
"""
_DIFFERENT = """
SELECT count(*) FROM (
    SELECT docno FROM {table} WHERE tenant = %(tenant)s EXCEPT
    SELECT docno FROM clawstate.memory_records
        WHERE tenant = %(tenant)s AND embedding IS NOT NULL) surplus
"""
_COUNTS = """
SELECT (SELECT count(*) FROM {table} WHERE tenant = %(tenant)s),
    (SELECT count(*) FROM clawstate.memory_records
        WHERE tenant = %(tenant)s AND embedding IS NOT NULL
        AND embedding <> decode(repeat('00', octet_length(embedding)), 'hex'))
"""
_SIZE = "SELECT pg_total_relation_size(%(table)s::regclass)"


def table_of(dimensions: int) -> str:
    """Return the name of the table of vectors of so many *dimensions*."""
    return f"clawstate.memory_vectors_{dimensions}"


def is_supported(within: Transaction) -> bool:
    """Tell whether the database has pgvector, with `halfvec` and its index."""
    return bool(within.one(_HAS))


def make(within: Transaction, dimensions: int) -> bool:
    """Make the table of vectors of so many *dimensions*; false where pgvector cannot."""
    if dimensions > LONGEST or not (is_supported(within) or _make_extension(within)):
        return False
    table = table_of(dimensions)
    if not within.one(_HAS_TABLE, table=table):
        for sql in (_TABLE, _SCOPED):
            within.run(sql.format(table=table, name=_name(dimensions), dimensions=dimensions))
        forbid_statistics(within.connection)
    return True


def needs_index(within: Transaction, least: int) -> bool:
    """Tell whether there are at least *least* vectors, and no index that finds the nearest."""
    embedder = stored_embedder(within)
    if embedder is None or not has_table(within, embedder.dimensions):
        return False
    table = table_of(embedder.dimensions)
    if within.one(_HAS_NEAREST, table=table):
        return False
    return int(within.one(_HELD.format(table=table), most=least)) >= least


def make_index(within: Transaction) -> None:
    """
    Make the index that finds the nearest, where there is none; writers wait meanwhile.

    Made of many at once it takes a fraction of what it takes to grow one by one.
    """
    embedder = stored_embedder(within)
    if embedder is None or not has_table(within, embedder.dimensions):
        return
    table = table_of(embedder.dimensions)
    if within.one(_HAS_NEAREST, table=table):
        return
    within.go_on()
    count = int(within.one(f"SELECT count(*) FROM {table}"))
    # The graph has to fit, else most of it is made on disk.
    each = 2 * embedder.dimensions + 512
    memory = min(max(count * each * 3 // 2 // 1024, 64 << 10), _INDEX_MEMORY)
    within.run(f"SET LOCAL maintenance_work_mem = {memory}")
    sql = _NEAREST.format(table=table, name=_name(embedder.dimensions))
    within.go_on(30.0 + count * _EACH_INDEXED)
    try:
        with within.connection.transaction():
            within.run(sql)
    except (psycopg.errors.DiskFull, psycopg.errors.OutOfMemory):
        # Several processes of the server share memory for it, of which a container has little.
        within.run("SET LOCAL max_parallel_maintenance_workers = 0")
        within.run(sql)


def _name(dimensions: int) -> str:
    return f"memory_vectors_{dimensions}"


def _make_extension(within: Transaction) -> bool:
    """Make pgvector available in this database; false where it is not there, or not allowed."""
    if not within.one(_MAY_HAVE):
        return False
    try:
        with within.connection.transaction():
            within.run("CREATE EXTENSION IF NOT EXISTS vector")
    except psycopg.errors.InsufficientPrivilege:
        return False  # the owner of the database may
    return is_supported(within)


def has_table(within: Transaction, dimensions: int) -> bool:
    """Tell whether vectors of so many *dimensions* are in a table of their own."""
    return bool(within.one(_HAS_TABLE, table=table_of(dimensions)))


def add(within: Transaction, numbered: list[tuple[int, int, Arrival]]) -> None:
    """Add the vectors of records, each with its docno and its scope."""
    given = [
        (docno, scope, row.embedded.vector.astype(np.float16))
        for docno, scope, row in numbered
        if row.embedded.vector is not None
    ]
    _add(within, given)


def remove(within: Transaction, docnos: list[int]) -> None:
    """Remove the vectors of *docnos*."""
    embedder = stored_embedder(within)
    if embedder is not None and has_table(within, embedder.dimensions):
        within.run(_REMOVE.format(table=table_of(embedder.dimensions)), docnos=docnos)


def clear(within: Transaction) -> None:
    """Remove all vectors of the present embedder."""
    embedder = stored_embedder(within)
    if embedder is not None and has_table(within, embedder.dimensions):
        within.run(_CLEAR.format(table=table_of(embedder.dimensions)))


def rebuild(within: Transaction) -> None:
    """Make all anew from the records; the index, where it is of them alone, when they are there."""
    embedder = stored_embedder(within)
    if embedder is None or not make(within, embedder.dimensions):
        return
    clear(within)
    table = table_of(embedder.dimensions)
    if within.one(_IS_EMPTY.format(table=table)):
        within.run(_DROP_NEAREST.format(table=table))
    after, count = 0, 0
    while found := within.rows(_STORED, after=after):
        matrix = unpack([row[2] for row in found])
        with within.connection.cursor().copy(_COPY.format(table=table)) as copy:
            copy.write(_as_copied(within.tenant, found, matrix))
        count += len(found)
        after = found[-1][0]
        within.go_on()
    if count >= FEW:
        make_index(within)


def _as_copied(tenant: str, rows: list[Row], matrix: np.ndarray) -> bytes:
    """Return *rows* as COPY reads them in binary form, those without direction left out."""
    name = tenant.encode()
    head = struct.pack(">hi", 4, len(name)) + name
    packed = matrix.astype(">f2")
    size = matrix.shape[1]
    parts = [b"PGCOPY\n\xff\r\n\0", bytes(8)]
    for (docno, scope, _), vector, each in zip(rows, matrix, packed, strict=True):
        if vector.any():  # what has no direction is near to nothing
            numbers = struct.pack(">iqiqihh", 8, docno, 8, scope, 4 + 2 * size, size, 0)
            parts += [head, numbers, each.tobytes()]
    return b"".join([*parts, b"\xff\xff"])


def faults(within: Transaction) -> list[str]:
    """Return what is wrong with the table of vectors."""
    embedder = stored_embedder(within)
    if embedder is None or not has_table(within, embedder.dimensions):
        return []
    table = table_of(embedder.dimensions)
    ((held, wanted),) = within.rows(_COUNTS.format(table=table))
    surplus = within.one(_DIFFERENT.format(table=table))
    if held == wanted and not surplus:
        return []
    told, lost = number_of(held, "vector"), number_of(surplus, "vector")
    return [f"the vector index has {told}, {lost} of no record, in place of {wanted}"]


def size(within: Transaction) -> int:
    """Return how many bytes the table of vectors takes, with its index."""
    embedder = stored_embedder(within)
    if embedder is None or not has_table(within, embedder.dimensions):
        return 0
    return int(within.one(_SIZE, table=table_of(embedder.dimensions)))


def text_of(vector: np.ndarray) -> str:
    """Return *vector* as pgvector reads a `halfvec`."""
    # In as few digits as tell a float16 from the next: a question is read twice as fast.
    return "[" + ",".join(map(str, vector.astype(np.float16))) + "]"


def _add(within: Transaction, given: list[tuple[int, int, np.ndarray]]) -> None:
    # What has no direction is near to nothing.
    given = [each for each in given if each[2].any()]
    if not given or not has_table(within, len(given[0][2])):
        return
    docnos, scopes, vectors = map(list, zip(*given, strict=True))
    within.run(
        _ADD.format(table=table_of(len(vectors[0]))),
        docnos=docnos,
        scopes=scopes,
        vectors=[text_of(each) for each in vectors],
    )
