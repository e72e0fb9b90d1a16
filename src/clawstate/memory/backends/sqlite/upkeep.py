"""What is done between searches and writes: counting, merging, building, checking."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from clawstate.interrupts import load_modules
from clawstate.memory.backends.sqlite import word_index
from clawstate.memory.backends.sqlite.writing import stored_embedder
from clawstate.sqlite import DamagedValueError
from clawstate.sqlite.checking import damage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clawstate.memory.vector_index.nearest import NearestSearch
    from clawstate.memory.vector_index.source import VectorSource

SNAPSHOT_FROM = 20_000
"""How many records of a namespace make a snapshot of its vectors worth building."""

_TAIL_SHARE = 0.25  # of the snapshot; an exact search of the tail costs as much as a few hops


def stats(
    connection: apsw.Connection, path: Path, vectors: Path, *, now_ms: int
) -> dict[str, object]:
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
        "changed": one("SELECT value FROM meta WHERE key = 'changed'").get,
        "bytes": _size(path) + _size(path.with_name(path.name + "-wal")),
        "vector_index_bytes": sum(map(_size, vectors.rglob("*"))) if vectors.is_dir() else 0,
    }


def expired(connection: apsw.Connection, now_ms: int) -> list[int]:
    """Return the docnos whose time is over."""
    sql = "SELECT docno FROM memories WHERE expires_at <= ?"
    return [row[0] for row in connection.execute(sql, (now_ms,))]


def merge_words(connection: apsw.Connection) -> None:
    """Merge the segments of the word index, as far as that pays."""
    connection.execute("INSERT INTO memory_words (memory_words, rank) VALUES ('merge', 500)")


def rebuild_words(connection: apsw.Connection) -> None:
    """Make the word index anew from the texts."""
    connection.execute("INSERT INTO memory_words (memory_words) VALUES ('delete-all')")
    rows = list(connection.execute("SELECT docno, scope, content FROM memories ORDER BY docno"))
    if any(row[2] is None for row in rows):
        raise DamagedValueError("a record without text")
    word_index.add(connection, rows)


def large_scopes(connection: apsw.Connection) -> list[int]:
    """Return the scopes that are large enough for a snapshot."""
    sql = "SELECT scope FROM scopes WHERE records >= ?"
    return [row[0] for row in connection.execute(sql, (SNAPSHOT_FROM,))]


def outgrown(connection: apsw.Connection, nearest: NearestSearch) -> list[int]:
    """Return the large scopes whose snapshot is missing or has a long tail."""
    return [
        scope
        for scope in large_scopes(connection)
        if _tail(connection, nearest, scope) > _allowed_tail(connection, nearest, scope)
    ]


def build_snapshots(
    connection: apsw.Connection,
    nearest: NearestSearch,
    *,
    progress: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> None:
    """Build or extend the snapshot of every large scope that has new vectors."""
    load_modules("clawstate.memory.vector_index.build")
    from clawstate.memory.vector_index.build import build_snapshot  # noqa: PLC0415

    source = _source(connection)
    for scope in large_scopes(connection):
        total = connection.execute("SELECT records FROM scopes WHERE scope = ?", (scope,)).get
        if _tail(connection, nearest, scope):
            build_snapshot(
                nearest.directory(scope),
                nearest.identity(scope),
                partial(source.batches, scope),
                upto=source.state(scope)[0],
                is_live=partial(_live, source, scope),
                total=total,
                progress=progress,
                cancelled=cancelled,
            )


def drop_snapshots(vectors: Path) -> None:
    """Remove all snapshots below *vectors*; searches are exact until they are built again."""
    from clawstate.memory.vector_index.manifest import MANIFEST_NAME  # noqa: PLC0415

    # The manifests first: what none of them names is no snapshot, but a leftover to be swept.
    for manifest in vectors.glob(f"*/{MANIFEST_NAME}"):
        manifest.unlink(missing_ok=True)
    for file in vectors.glob("*/*"):
        if file.name != "build.lock":
            file.unlink(missing_ok=True)


def findings(connection: apsw.Connection, *, deep: bool) -> list[str]:
    """Return what SQLite and our own counts say is wrong with the database."""
    found = damage(connection, deep=deep)
    counted = "SELECT count(*) FROM memories m WHERE m.scope = s.scope"
    sql = f"SELECT s.namespace, s.records, ({counted}) AS n FROM scopes s WHERE s.records <> n"
    for namespace, noted, counted in connection.execute(sql):
        found.append(f"namespace {namespace!r} holds {counted} records but notes {noted}")
    lost = connection.execute(
        "SELECT count(*) FROM tags WHERE memory_id NOT IN (SELECT id FROM memories)"
    ).get
    if lost:
        found.append(f"{lost} tags belong to no record")
    if deep:
        found += _word_findings(connection)
    return found


def snapshot_findings(connection: apsw.Connection, nearest: NearestSearch) -> list[str]:
    """Return what is wrong with the snapshots of vectors; they can be deleted without loss."""
    from clawstate.memory.vector_index.snapshot import verify_snapshot  # noqa: PLC0415

    found = []
    for scope in large_scopes(connection):
        damage = verify_snapshot(nearest.directory(scope), nearest.identity(scope))
        found += [f"the vector snapshot {each}" for each in damage]
    return found


def _word_findings(connection: apsw.Connection) -> list[str]:
    missing = connection.execute(
        "SELECT count(*) FROM memories WHERE docno NOT IN (SELECT rowid FROM memory_words)"
    ).get
    surplus = connection.execute(
        "SELECT count(*) FROM memory_words WHERE rowid NOT IN (SELECT docno FROM memories)"
    ).get
    found = []
    if missing:
        found.append(f"the word index lacks {missing} records")
    if surplus:
        found.append(f"the word index has {surplus} rows that belong to no record")
    return found


def _tail(connection: apsw.Connection, nearest: NearestSearch, scope: int) -> int:
    snapshot = nearest.snapshot(_source(connection), scope)
    after = 0 if snapshot is None else snapshot.upto
    sql = """
        SELECT count(*) FROM memories
        WHERE docno > ? AND +scope = ? AND embedding IS NOT NULL
    """
    return int(connection.execute(sql, (after, scope)).get)


def _allowed_tail(connection: apsw.Connection, nearest: NearestSearch, scope: int) -> float:
    snapshot = nearest.snapshot(_source(connection), scope)
    return 0 if snapshot is None else max(SNAPSHOT_FROM / 2, snapshot.count * _TAIL_SHARE)


def _live(source: VectorSource, scope: int, docnos: NDArray[np.int64]) -> NDArray[np.bool_]:
    import numpy as np  # noqa: PLC0415 - its caller has it loaded

    return np.isin(docnos, source.kept(scope, int(docnos[-1]) if len(docnos) else 0))


def _source(connection: apsw.Connection) -> VectorSource:
    load_modules("clawstate.memory.backends.sqlite.vector_source")
    from clawstate.memory.backends.sqlite.vector_source import SqliteVectors  # noqa: PLC0415

    return SqliteVectors(connection)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0
