"""The memory in PostgreSQL beside SQLite and bare pgvector: moving it, searching it, same hits."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

import clawstate
from clawstate.memory.backends.postgres.vectors import table_of, text_of
from clawstate.memory.filters import Filter
from clawstate.postgres.local_server import LocalServer
from timing import Figures, latencies
from workbench import Workbench, own_embedder

TITLE = "The memory in PostgreSQL"
SAME = 200  # questions whose hits are compared
HYBRID, OF_SQLITE = "hybrid", "hybrid, SQLite"
VECTOR, BARE = "vector leg", "bare pgvector"


def measure(bench: Workbench) -> dict[str, Figures]:
    """Return the figures by size."""
    outside = Path(tempfile.mkdtemp(prefix="clawstate-bench-"))
    outside.chmod(0o711)
    server = LocalServer(outside / "server")
    server.start()
    try:
        sizes = [each for each in bench.sizes if each <= 100_000]
        return {str(size): _measured(bench, server, size) for size in sizes}
    finally:
        server.stop()
        shutil.rmtree(outside, ignore_errors=True)


def lines(result: dict[str, Figures]) -> Iterator[str]:
    """Give a line for each figure."""
    for size, found in result.items():
        yield f"{size:>8}  moved in {found['move_s']:.1f} s; same top 10: {found['same']} of {SAME}"
        for name, each in found["latency"].items():
            yield (
                f"{size:>8}  {name:<16}{each['p50_ms']:9.2f} ms p50{each['p95_ms']:9.2f} ms p95"
                f"{each['cpu_p50_ms']:9.2f} ms of this process"
            )
        yield f"{size:>8}  recall@10: ours {found['recall']:.3f}, bare {found['bare_recall']:.3f}"


def _measured(bench: Workbench, server: LocalServer, size: int) -> Figures:
    here, there = bench.state(size).root, bench.scratch / f"server-{size}"
    shutil.copytree(here, there)
    with clawstate.open(there, tenant=f"t{size}") as state:
        begun = time.perf_counter()
        state.records.migrate(server.url())
        moved = time.perf_counter() - begun
    with (
        clawstate.open(here) as local,
        clawstate.open(there, tenant=f"t{size}") as state,
        psycopg.connect(server.url(), password=server.password(), autocommit=True) as bare,
    ):
        rounds = bench.rounds()
        questions = [each for some in rounds for each in some]
        vectors = {each: _vector(each) for each in questions}
        arms = {HYBRID: state.memory.search, OF_SQLITE: local.memory.search}
        figures = latencies(arms, rounds)
        legs: dict[str, Any] = {
            VECTOR: lambda text: _ours(state, vectors[text]),
            BARE: lambda text: _bare(bare, f"t{size}", vectors[text]),
        }
        bare.execute("SET hnsw.ef_search = 100")
        figures |= latencies(legs, rounds)
        same = sum(
            _ids(state.memory.search(each, k=10)) == _ids(local.memory.search(each, k=10))
            for each in questions[:SAME]
        )
        exact = [set(_exact(bare, f"t{size}", vectors[each])) for each in questions[:50]]
        found = [set(legs[VECTOR](each)[:10]) for each in questions[:50]]
        theirs = [set(legs[BARE](each)[:10]) for each in questions[:50]]
    return {
        "move_s": moved,
        "latency": figures,
        "same": same,
        "recall": _recall(found, exact),
        "bare_recall": _recall(theirs, exact),
    }


def _vector(text: str) -> np.ndarray:
    (vector,) = own_embedder().embed([text])
    return np.asarray(vector, np.float32)


def _ours(state: clawstate.State, vector: np.ndarray) -> list[int]:
    """Return the nearest as a search asks for them, in a state of its own."""
    with state.memory._engine.reading() as reading:  # noqa: SLF001 - the leg alone
        return reading.nearest(vector, Filter(namespace="default"), 10).keys.tolist()


def _bare(bare: psycopg.Connection[Any], tenant: str, vector: np.ndarray) -> list[int]:
    size = len(vector)
    sql = (
        f"SELECT docno FROM {table_of(size)} WHERE tenant = %s"
        f" ORDER BY embedding <#> %s::halfvec({size}) LIMIT 10"
    )
    return [row[0] for row in bare.execute(sql, (tenant, text_of(vector)))]


def _exact(bare: psycopg.Connection[Any], tenant: str, vector: np.ndarray) -> list[int]:
    with bare.transaction():
        bare.execute("SET LOCAL enable_indexscan = off")
        return _bare(bare, tenant, vector)


def _ids(hits: Any) -> list[str]:
    return [each.record.id for each in hits]


def _recall(found: list[set[int]], exact: list[set[int]]) -> float:
    return sum(len(a & b) for a, b in zip(found, exact, strict=True)) / sum(map(len, exact))
