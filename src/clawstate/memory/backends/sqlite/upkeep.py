"""What is done between searches and writes: counting, merging, checking."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import compress
from pathlib import Path
from typing import cast

import apsw

from clawstate.interrupts import load_modules
from clawstate.memory import rules
from clawstate.memory.backends.sqlite import word_index
from clawstate.memory.backends.sqlite.rows import (
    find_begun,
    is_block_due,
    newest_docno,
    stored_embedder,
)
from clawstate.memory.contract import DAMAGE, INDEX
from clawstate.quantities import number_of
from clawstate.sqlite.errors import damage

_SNAPSHOT = re.compile(r"build\.lock|manifest\.json|manifest-.*\.tmp|vectors-.*\.usearch")


def stats(connection: apsw.Connection, path: Path, *, now_ms: int) -> dict[str, object]:
    """Return counts and sizes (bytes), for people to read."""
    embedder = stored_embedder(connection)
    one = connection.execute
    return {
        "records": one("SELECT coalesce(sum(records), 0) FROM scopes").get,
        "namespaces": dict(
            one("SELECT namespace, records FROM scopes WHERE records > 0 ORDER BY namespace")
        ),
        "tags": one("SELECT count(DISTINCT tag) FROM tags").get,
        "sources": one(
            "SELECT count(*) FROM (SELECT scope, source FROM memories WHERE source IS NOT NULL"
            " UNION SELECT scope, source FROM imports)"
        ).get,
        "expired": one("SELECT count(*) FROM memories WHERE expires_at <= ?", (now_ms,)).get,
        "waiting": one("SELECT count(*) FROM memories WHERE embedding IS NULL").get,
        "cached_vectors": one("SELECT count(*) FROM embedding_cache").get,
        "embedder": None if embedder is None else embedder.model,
        "dimensions": None if embedder is None else embedder.dimensions,
        **rules.replacement_stats(find_begun(connection)),
        "changed": one("SELECT value FROM meta WHERE key = 'changed'").get,
        "bytes": size_on_disk(path),
        "vector_index_bytes": one("SELECT coalesce(sum(length(data)), 0) FROM vector_blocks").get,
    }


def expired(connection: apsw.Connection, now_ms: int) -> dict[int, str]:
    """Return the docnos whose time is over, and the ids of their records."""
    sql = "SELECT docno, id FROM memories WHERE expires_at <= ?"
    return {int(docno): str(key) for docno, key in connection.execute(sql, (now_ms,))}


def is_behind(connection: apsw.Connection) -> bool:
    """Tell whether records have no stems yet, or are in no block of vectors."""
    return word_index.without_stems(connection) > 0 or are_vectors_behind(connection)


def are_vectors_behind(connection: apsw.Connection) -> bool:
    """Tell whether blocks of vectors are missing, or count others than there are."""
    if stored_embedder(connection) is None:
        return False
    last, kept = connection.execute("SELECT max(upto), sum(records) FROM vector_blocks").get
    is_due = is_block_due(newest_docno(connection), last or 0)
    if last is None or is_due:
        return is_due
    sql = """
        SELECT count(*) - (SELECT sum(records) FROM scopes) FROM memories
        WHERE embedding IS NULL
    """
    newer = "SELECT count(*) FROM memories WHERE docno > ? AND embedding IS NOT NULL"
    return bool(kept + connection.execute(newer, (last,)).get + connection.execute(sql).get)


def mend_vectors(connection: apsw.Connection, *, anew: bool = False, breadth: int = 1) -> None:
    """Make the blocks of vectors that are missing or wrong, or all of them *anew*."""
    load_modules("clawstate.memory.backends.sqlite.vector_blocks")
    from clawstate.memory.backends.sqlite import vector_blocks  # noqa: PLC0415 - loads numpy

    if anew:
        vector_blocks.rewrite(connection, newest_docno(connection), breadth=breadth)
    else:
        vector_blocks.mend(connection, newest_docno(connection))


def vector_faults(connection: apsw.Connection) -> list[str]:
    """Return what is wrong with the blocks of vectors, having read all of them."""
    damaged = sum(1 for _ in find_damaged_vectors(connection))
    found = (
        [f"{number_of(damaged, 'record has', 'records have')} a damaged vector"] if damaged else []
    )
    if not connection.execute("SELECT count(*) FROM vector_blocks").get:
        return found
    load_modules("clawstate.memory.backends.sqlite.vector_blocks")
    from clawstate.memory.backends.sqlite import vector_blocks  # noqa: PLC0415 - loads numpy

    return [*found, *vector_blocks.faults(connection)]


def find_damaged_vectors(connection: apsw.Connection) -> Iterator[int]:
    """Yield the docnos whose vectors are none of the embedder's, or hold no numbers."""
    embedder = stored_embedder(connection)
    if embedder is None:
        return
    load_modules("numpy")
    import numpy as np  # noqa: PLC0415 - costs 170 ms, and word searches do without

    sql = """
        SELECT docno, embedding, subwords FROM memories
        WHERE docno > ? AND embedding IS NOT NULL ORDER BY docno LIMIT 4096
    """
    size, last = 2 * embedder.dimensions, -1
    while rows := _rows(connection, sql, last):
        sound = [row for row in rows if len(row[1]) == size and not len(row[2] or b"") % 2]
        vectors = np.frombuffer(b"".join(row[1] for row in sound), "<f2")
        vectors = vectors.reshape(len(sound), embedder.dimensions)
        finite = {row[0] for row in compress(sound, np.isfinite(vectors).all(axis=1))}
        yield from (row[0] for row in rows if row[0] not in finite)
        last = rows[-1][0]


def _rows(
    connection: apsw.Connection, sql: str, last: int
) -> list[tuple[int, bytes, bytes | None]]:
    return cast(
        "list[tuple[int, bytes, bytes | None]]", connection.execute(sql, (last,)).fetchall()
    )


def drop_damaged_vectors(connection: apsw.Connection) -> None:
    """Take away what `find_damaged_vectors` gives: these records wait for a vector anew."""
    sql = "UPDATE memories SET embedding = NULL, subwords = NULL WHERE docno = ?"
    damaged = [(docno,) for docno in find_damaged_vectors(connection)]
    if damaged:
        connection.executemany(sql, damaged)
        # Whatever harmed them may have harmed copies.
        connection.execute("DELETE FROM embedding_cache")


def remove_snapshots(folder: Path) -> None:
    """Remove from *folder* what releases with format 1 kept there, and nothing else."""
    # They are of no use and tell of texts that may be forgotten. Whoever has one mapped reads on.
    scopes = () if folder.is_symlink() else folder.glob("[0-9]*")
    with suppress(OSError):
        for scope in scopes:
            for file in () if scope.is_symlink() else scope.iterdir():
                if _SNAPSHOT.fullmatch(file.name):
                    file.unlink()
            with suppress(OSError):  # somebody else's files stay
                scope.rmdir()
        folder.rmdir()


def check(connection: apsw.Connection, *, deep: bool) -> list[tuple[str, str]]:
    """Return what SQLite and our own counts say is wrong with the database, each with its code."""
    found = damage(connection, deep=deep)
    counted = "SELECT count(*) FROM memories m WHERE m.scope = s.scope"
    sql = f"SELECT s.namespace, s.records, ({counted}) AS n FROM scopes s WHERE s.records <> n"
    for namespace, noted, counted in connection.execute(sql):
        held = number_of(counted, "record")
        found.append(f"namespace {namespace!r} holds {held} but notes {noted:,}")
    lost = connection.execute(
        "SELECT count(*) FROM tags WHERE memory_id NOT IN (SELECT id FROM memories)"
    ).get
    if lost:
        found.append(f"{number_of(lost, 'tag belongs', 'tags belong')} to no record")
    sql = "SELECT count(*) FROM reembedded WHERE docno NOT IN (SELECT docno FROM memories)"
    derived = _word_faults(connection) if deep else []
    if lost := connection.execute(sql).get:
        derived.append(
            f"{number_of(lost, 'new vector belongs', 'new vectors belong')} to no record"
        )
    return [*((DAMAGE, each) for each in found), *((INDEX, each) for each in derived)]


def drop_lost_vectors(connection: apsw.Connection) -> None:
    """Remove new vectors that belong to no record."""
    sql = "DELETE FROM reembedded WHERE docno NOT IN (SELECT docno FROM memories)"
    connection.execute(sql)


def size_on_disk(path: Path) -> int:
    """Return the bytes of the database *path* and of its log."""
    return _size(path) + _size(path.with_name(path.name + "-wal"))


def _word_faults(connection: apsw.Connection) -> list[str]:
    try:
        return word_index.findings(connection)
    except (TypeError, ValueError, LookupError) as error:
        # Values of other types than were written.
        return [f"the word index cannot be read: {error}"]


def _size(path: Path) -> int:
    try:
        # The last to close the database removes its log, between two looks.
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0
