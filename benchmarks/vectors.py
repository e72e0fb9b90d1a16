"""Vector search by size: the index alone, and `memory.search(mode="vector")` end to end."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import sqlite_vec
from numpy.typing import NDArray

import clawstate
from clawstate import StatePaths
from clawstate.memory.backends.sqlite import SqliteMemory
from clawstate.memory.filters import filter_from
from clawstate.memory.reading import Inquiry
from clawstate.memory.vector_index.codes import Codes
from clawstate.memory.vector_index.source import Batch
from clawstate.memory.vector_index.table import VectorTable
from timing import Figures, latencies, ratios
from workbench import MadeState, Workbench, own_embedder

TITLE = "Vector search (256 dimensions, top 10)"
K = 10
OURS, LEG, INDEX = "clawstate search", "clawstate leg", "clawstate index"
PROPOSED = 40  # as many as a search by meaning asks its vector leg for
SQLITE_VEC, NUMPY = "sqlite-vec", "numpy exact"
OPENINGS = 5
HARD = 400  # questions to what is hard to search
NOISE = 3e-5  # what the cosines of rows of int16 are wrong by

_EVERYTHING = filter_from(namespace="default")

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Asked:
    """A question and the vector that the memory makes of it."""

    text: str
    vector: Vector


def measure(bench: Workbench) -> dict[str, Figures]:
    """Return the figures by size, and those of texts that are hard to search."""
    found = {str(size): _measured(bench, size) for size in bench.sizes}
    hard = {"near-duplicates": near_duplicates()}
    for vault in bench.vaults:
        hard[vault.name] = of_vault(vault, bench.scratch)
    return {"sizes": found, "hard": {name: _hard(matrix) for name, matrix in hard.items()}}


def lines(result: dict[str, Figures]) -> Iterator[str]:
    """Yield the table to print."""
    yield f"{'records':>8}  {'arm':<18}{'p50 ms':>9}{'p95 ms':>9}{'recall@10':>11}"
    for name, found in result["hard"].items():
        for arm, figures in found.items():
            yield (
                f"{name}, {figures['vectors']} vectors, {arm}: {figures['ms']:.2f} ms, "
                f"recall@10 {figures['recall']:.4f}, best hits lost {figures['lost']}"
            )
    for size, found in result["sizes"].items():
        for arm, figures in found["latency"].items():
            recall = found["recall"].get(arm)
            shown = "" if recall is None else f"{recall:11.4f}"
            yield f"{size:>8}  {arm:<18}{figures['p50_ms']:9.3f}{figures['p95_ms']:9.3f}{shown}"
    yield ""
    for size, found in result["sizes"].items():
        for name, ratio in found["ratios"].items():
            times, worst = ratio["times_faster"], ratio["worst_round"]
            yield f"{size:>8}  {name}: rival / ours {times:.2f} (worst round {worst:.2f})"
        yield f"{size:>8}  {_index_line(found)}"
        yield f"{size:>8}  {_opening_line(found['opening'])}"
        yield f"{size:>8}  {_opening_hybrid_line(found['opening_hybrid'])}"


def _index_line(found: Figures) -> str:
    return (
        f"bits of all made in {found['bits_s']:.2f} s of processor time, "
        f"{found['index_bytes'] / 1e6:.1f} MB "
        f"(sqlite-vec: {found['sqlite_vec_bytes'] / 1e6:.1f} MB)"
    )


def _opening_line(opening: Figures) -> str:
    return (
        f"opening and first search {opening['open_and_search_ms']:.0f} ms (sqlite-vec "
        f"{opening['sqlite_vec_ms']:.0f}), embedder apart {opening['embedder_ms']:.0f} ms"
    )


def _opening_hybrid_line(opening: Figures) -> str:
    return (
        f"opening and first hybrid search {opening['open_and_search_ms']:.0f} ms, "
        f"{opening['open_and_search_cpu_ms']:.0f} ms of processor time; "
        f"the second {opening['second_search_ms']:.0f} ms"
    )


def _measured(bench: Workbench, size: int) -> Figures:
    made, rival_path = bench.state(size), bench.scratch / f"sqlite-vec-{size}.db"
    texts = bench.texts(size)
    matrix = own_embedder().embed(texts)
    rival = _sqlite_vec(rival_path, matrix)
    opening = _opening(made, "vector", rival_path)
    hybrid = _opening(made, "hybrid")
    nearest = _index(matrix)
    places = {text: place for place, text in enumerate(texts)}
    engine = _engine(made)
    rounds = _asked(engine, bench.rounds())
    with clawstate.open(made.root) as state:

        def searched(asked: Asked) -> list[int]:
            hits = state.memory.search(asked.text, k=K, mode="vector")
            return [places[hit.record.text] for hit in hits]

        arms: dict[str, Callable[[Asked], Any]] = {
            OURS: searched,
            LEG: lambda asked: _leg(engine, asked.vector),
            INDEX: lambda asked: nearest(asked.vector),
            SQLITE_VEC: lambda asked: _found(rival, asked.vector),
            NUMPY: lambda asked: _exact(matrix, asked.vector),
        }
        figures = latencies(arms, rounds)
        every = [asked for each in rounds for asked in each]
        recall = {name: _recall(matrix, every, arm) for name, arm in arms.items() if name != NUMPY}
    rival.close()
    return {
        "latency": figures,
        "recall": recall,
        "ratios": {
            f"{ours} against {other}": ratios(figures, ours, other)
            for ours in (OURS, LEG, INDEX)
            for other in (SQLITE_VEC, NUMPY)
        },
        "add_s": round(made.add_s, 2),
        "bits_s": _bits_s(matrix),
        "index_bytes": engine.stats()["vector_index_bytes"],
        "sqlite_vec_bytes": rival_path.stat().st_size,
        "opening": opening,
        "opening_hybrid": hybrid,
    }


def _engine(made: MadeState) -> SqliteMemory:
    paths = StatePaths(made.root)
    return SqliteMemory(paths.memory_db, vectors=paths.memory_dir / "vectors")


def _asked(engine: SqliteMemory, rounds: Iterable[Iterable[str]]) -> list[list[Asked]]:
    embedder = own_embedder()
    with engine.reading() as reading:

        def vector(text: str) -> Vector:
            (subwords,) = embedder.subwords([text])
            found = reading.evidence(
                Inquiry(_EVERYTHING, K, subwords=tuple(set(subwords.tolist())))
            )
            return embedder.weigh(subwords, found.occurrences, found.subwords)

        return [[Asked(text, vector(text)) for text in each] for each in rounds]


def _leg(engine: SqliteMemory, query: Vector) -> list[int]:
    with engine.reading() as reading:
        found = reading.nearest(query, _EVERYTHING, PROPOSED)
    best = found.keys[np.argsort(-found.cosines)][:K]
    return (best - 1).tolist()  # docnos begin at 1


def _index(matrix: Vector) -> Callable[[Vector], list[int]]:
    """Return what `memory.search` would use at this size, without the database around it."""
    table = VectorTable(Codes(matrix.shape[1]), expected=len(matrix))
    keys = np.arange(len(matrix))
    for start in range(0, len(matrix), 4096):
        part = slice(start, start + 4096)
        table.add(Batch(keys[part], keys[part] * 0, matrix[part]))
    view = table.view

    def nearest(query: Vector) -> list[int]:
        found: list[int] = view.best(query, K, None, breadth=1, fetch=_nothing)[0].tolist()
        return found

    return nearest


def _nothing(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], Vector]:
    raise AssertionError(keys)  # all of them are in memory


def _bits_s(matrix: Vector) -> float:
    """Return the processor's time for what an import does for the index, in seconds."""
    started = time.process_time()
    codes = Codes(matrix.shape[1]).around(matrix[:8192])
    for start in range(0, len(matrix), 4096):
        codes.bits(matrix[start : start + 4096])
    return round(time.process_time() - started, 3)


def near_duplicates() -> Vector:
    """Return 700 themes of 40 vectors that are nearly one, and 400 unlike all others."""
    chance = np.random.default_rng(1)
    themes = _units(chance.standard_normal((700, 256)))
    noise = 0.15 * _units(chance.standard_normal((28_000, 256)))
    alike = np.repeat(themes, 40, axis=0) + noise
    return _units(np.vstack([alike, chance.standard_normal((400, 256))]))


def of_vault(folder: Path, scratch: Path) -> Vector:
    """Return the vectors of all passages of a folder of notes, as an import makes them."""
    with clawstate.open(scratch / f"vault-{folder.name}") as state:
        command = [sys.executable, "-m", "clawstate", "--state-dir", str(state.paths.root)]
        subprocess.run([*command, "memory", "import", str(folder)], check=True, capture_output=True)
        connection = apsw.Connection(str(state.paths.memory_db))
        sql = "SELECT embedding FROM memories WHERE embedding IS NOT NULL ORDER BY docno"
        rows = [row[0] for row in connection.execute(sql)]
        connection.close()
    return np.frombuffer(b"".join(rows), "<f2").reshape(len(rows), -1).astype(np.float32)


def _hard(matrix: Vector) -> dict[str, Figures]:
    """Return time, recall and lost best hits of questions that are near two of the vectors."""
    chance, nearest = np.random.default_rng(2), _index(matrix)
    pairs = chance.integers(0, len(matrix), (2, HARD))
    noise = _units(chance.standard_normal((HARD, matrix.shape[1])))
    queries = _units(matrix[pairs[0]] + 0.5 * matrix[pairs[1]] + 0.25 * noise)
    arms: dict[str, Callable[[Vector], Any]] = {
        INDEX: nearest,
        NUMPY: lambda query: _exact(matrix, query),
    }
    found: dict[str, Figures] = {}
    for name, arm in arms.items():
        right, lost, times = 0, 0, []
        for query in queries:
            started = time.perf_counter()
            rows = arm(query)
            times.append(time.perf_counter() - started)
            cosines = matrix @ query
            right += int((cosines[rows] >= np.partition(cosines, -K)[-K] - NOISE).sum())
            lost += int(cosines[rows].max() < cosines.max() - NOISE)
        found[name] = {
            "vectors": len(matrix),
            "ms": 1e3 * statistics.median(times),
            "recall": round(right / (K * HARD), 4),
            "lost": lost,
        }
    return found


def _units(rows: NDArray[np.float64] | Vector) -> Vector:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _sqlite_vec(path: Path, matrix: Vector) -> apsw.Connection:
    """Fill a table of sqlite-vec: its faster metric, and a page cache that holds it whole."""
    connection = _sqlite_vec_connection(path)
    with connection:
        connection.execute("CREATE VIRTUAL TABLE v USING vec0 (e float[256])")
        rows = ((number, row.tobytes()) for number, row in enumerate(matrix, start=1))
        connection.executemany("INSERT INTO v (rowid, e) VALUES (?, ?)", rows)
    return connection


def _sqlite_vec_connection(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.execute("PRAGMA cache_size = -500000")
    return connection


def _found(connection: apsw.Connection, query: Vector) -> list[int]:
    sql = "SELECT rowid FROM v WHERE e MATCH ? AND k = ?"
    return [row[0] - 1 for row in connection.execute(sql, (query.tobytes(), K))]


def _exact(matrix: Vector, query: Vector) -> NDArray[np.int64]:
    cosines = matrix @ query
    best = np.argpartition(-cosines, K - 1)[:K]
    order: NDArray[np.int64] = best[np.argsort(-cosines[best])]
    return order


def _recall(matrix: Vector, every: list[Asked], search: Callable[[Asked], Any]) -> float:
    """Return the share of the true top ten that *search* finds; a tie counts as right."""
    right = 0
    for asked in every:
        cosines = matrix @ asked.vector
        tenth = np.partition(cosines, -K)[-K]
        right += int((cosines[search(asked)] >= tenth - NOISE).sum())
    return round(right / (K * len(every)), 4)


_OPENING = """
import json, sys, time
import clawstate
from clawstate.memory.embedders import default_embedder

def milliseconds(started):
    return (time.perf_counter() - started) * 1e3

question = "How do I open a file?"
started = time.perf_counter()
embedder = default_embedder()
embedder.identity, embedder.embed(["warm"])
times = {"embedder_ms": milliseconds(started)}
started, used = time.perf_counter(), time.process_time()
with clawstate.open(sys.argv[1], embedder=embedder) as state:
    state.memory.search(question, mode=sys.argv[2])
    times["open_and_search_ms"] = milliseconds(started)
    times["open_and_search_cpu_ms"] = (time.process_time() - used) * 1e3
    started = time.perf_counter()
    state.memory.search("How do I close a file?", mode=sys.argv[2])
    times["second_search_ms"] = milliseconds(started)
if len(sys.argv) < 4:
    print(json.dumps(times))
    sys.exit()
import apsw, sqlite_vec
query = embedder.embed(["How do I open a file?"])[0].tobytes()
started = time.perf_counter()
connection = apsw.Connection(sys.argv[3])
connection.enable_load_extension(True)
connection.load_extension(sqlite_vec.loadable_path())
list(connection.execute("SELECT rowid FROM v WHERE e MATCH ? AND k = 10", (query,)))
times["sqlite_vec_ms"] = milliseconds(started)
print(json.dumps(times))
"""


def _opening(made: MadeState, mode: str, *rival: Path) -> Figures:
    """Time the opening of the state and a first search in new processes."""
    found: list[dict[str, float]] = []
    for _ in range(OPENINGS):
        command = [sys.executable, "-c", _OPENING, str(made.root), mode, *map(str, rival)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found.append(json.loads(output))
    medians: dict[str, Any] = {
        name: round(statistics.median(each[name] for each in found), 1) for name in found[0]
    }
    return medians
