"""Vectors of many dimensions: our scan and LanceDB's index, with and without a filter."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clawstate.memory.vector_index.codes import Codes
from clawstate.memory.vector_index.source import Batch
from clawstate.memory.vector_index.table import VectorTable, View
from timing import Figures, latencies, rates
from workbench import Workbench, own_embedder

TITLE = "Vectors of many dimensions (made of those of real texts, top 10)"
DIMENSIONS = (384, 1536)
SHARES = (0.1, 0.01, 0.001)
K = 10
THREADS, ASKED = 2, 400
RIVAL = "LanceDB IVF_HNSW_SQ"
NOISE = 3e-5
EF, REFINE = 80, 4  # as many links, and times as many read again, as its recall needs

Vectors = NDArray[np.float32]
Found = tuple[NDArray[np.int64], Vectors]


def measure(bench: Workbench) -> dict[str, Figures]:
    """Return the figures by dimensions, of as many texts as the largest size."""
    texts, asked = bench.texts(max(bench.sizes)), [text for each in bench.rounds() for text in each]
    embedder = own_embedder()
    rows, queries = embedder.embed(texts), embedder.embed(asked)
    return {str(each): _measured(bench, rows, queries, each) for each in DIMENSIONS}


def lines(result: dict[str, Figures]) -> Iterator[str]:
    """Yield the table to print."""
    yield f"{'dimensions':>10}  {'arm':<24}{'p50 ms':>9}{'CPU ms':>9}{'recall@10':>11}"
    for name, found in result.items():
        for arm, figures in found["latency"].items():
            recall = f"{found['recall'][arm]:.4f}"
            cpu = figures["cpu_p50_ms"]
            yield f"{name:>10}  {arm:<24}{figures['p50_ms']:9.3f}{cpu:9.3f}{recall:>11}"
        for arm, rate in found["rates"].items():
            yield f"{name:>10}  {arm}, {THREADS} threads: {rate['per_second']:,} a second"


def _measured(bench: Workbench, rows: Vectors, queries: Vectors, dimensions: int) -> Figures:
    matrix, asked = widen(rows, dimensions), widen(queries, dimensions)
    view = _view(matrix)
    chance = np.random.default_rng(1)
    among: dict[str, NDArray[np.intp] | None] = {"clawstate": None}
    for share in SHARES:
        among[f"clawstate, {share:.1%}"] = np.flatnonzero(chance.random(len(matrix)) < share)
    arms: dict[str, Callable[[Vectors], Any]] = {
        name: lambda query, chosen=chosen: view.best(query, K, chosen, breadth=1, fetch=_nothing)
        for name, chosen in among.items()
    }
    if importlib.util.find_spec("lancedb") is not None:
        arms[RIVAL] = _lancedb(bench, matrix)
    recall = {}
    for name, arm in arms.items():
        chosen = among.get(name)
        right = 0
        for query in asked[:200]:
            exact = (matrix if chosen is None else matrix[chosen]) @ query
            keys = arm(query)[0]
            bar = np.partition(exact, -K)[-K] if len(exact) > K else exact.min()
            right += int(np.count_nonzero(matrix[keys] @ query >= bar - NOISE))
        recall[name] = right / (K * min(200, len(asked)))
    rounds = [asked[start : start + 100] for start in range(0, len(asked), 100)]
    latency = latencies(arms, rounds)
    both = {name: arms[name] for name in arms if name in {"clawstate", RIVAL}}
    asking = {
        name: lambda arm=arm: _ask_in_threads(arm, asked[:ASKED]) for name, arm in both.items()
    }
    return {"latency": latency, "recall": recall, "rates": rates(asking)}


def _ask_in_threads(arm: Callable[[Vectors], Any], queries: Vectors) -> int:
    with ThreadPoolExecutor(THREADS) as pool:
        return len(list(pool.map(arm, queries)))


def widen(rows: Vectors, dimensions: int) -> Vectors:
    """Return *rows* with more dimensions: what is near stays near, and no axis is a mixture."""
    turn = np.random.default_rng(3).standard_normal((rows.shape[1], dimensions))
    wide = np.maximum(rows @ turn.astype(np.float32), 0)
    wide -= np.float32(0.8 * wide.mean())
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / lengths, np.float32)


def _view(matrix: Vectors) -> View:
    table = VectorTable(Codes(matrix.shape[1]), expected=len(matrix))
    keys = np.arange(len(matrix))
    for start in range(0, len(matrix), 4096):
        part = slice(start, start + 4096)
        table.add(Batch(keys[part], keys[part] * 0, matrix[part]))
    return table.view


def _nothing(keys: NDArray[np.int64]) -> Found:
    raise AssertionError(keys)  # all of them are in memory


def _lancedb(bench: Workbench, matrix: Vectors) -> Callable[[Vectors], Any]:
    import lancedb  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415 - if installed
    import pyarrow as pa  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415

    count, dimensions = matrix.shape
    values = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), dimensions)
    data = pa.table({"id": pa.array(np.arange(count)), "vector": values})
    place = bench.scratch / f"lancedb-{dimensions}"
    table: Any = lancedb.connect(str(place)).create_table("t", data)
    table.create_index(
        metric="cosine", index_type="IVF_HNSW_SQ", num_partitions=1, wait_timeout=timedelta(hours=1)
    )

    def search(query: Vectors) -> Any:
        asked = table.search(query).metric("cosine").limit(K).ef(EF).refine_factor(REFINE)
        return (asked.select(["id", "_distance"]).to_arrow()["id"].to_numpy(),)

    return search
