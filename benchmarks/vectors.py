"""Vector search by size: the index alone, and `memory.search(mode="vector")` end to end."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
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
from clawstate.memory.contract import Inquiry
from clawstate.memory.filters import filter_from
from clawstate.memory.vector_index.loaded import LoadedVectors
from clawstate.memory.vector_index.manifest import MANIFEST_NAME, read_manifest
from clawstate.memory.vector_index.snapshot import open_snapshot
from timing import Figures, latencies, ratios
from workbench import MadeState, Workbench, local_embedder

TITLE = "Vector search (256 dimensions, top 10)"
K = 10
OURS, LEG, INDEX = "clawstate search", "clawstate leg", "clawstate index"
PROPOSED = 40  # as many as a search by meaning asks its vector leg for
SQLITE_VEC, NUMPY = "sqlite-vec", "numpy exact"
OPENINGS = 5

_EVERYTHING = filter_from(namespace="default")

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Asked:
    """A question and the vector that the memory makes of it."""

    text: str
    vector: Vector


def measure(bench: Workbench) -> dict[str, Figures]:
    """Return the figures by size."""
    return {str(size): _measured(bench, size) for size in bench.sizes}


def lines(result: dict[str, Figures]) -> Iterator[str]:
    """Yield the table to print."""
    yield f"{'records':>8}  {'arm':<18}{'p50 ms':>9}{'p95 ms':>9}{'recall@10':>11}"
    for size, found in result.items():
        for arm, figures in found["latency"].items():
            recall = found["recall"].get(arm)
            shown = "" if recall is None else f"{recall:11.4f}"
            yield f"{size:>8}  {arm:<18}{figures['p50_ms']:9.3f}{figures['p95_ms']:9.3f}{shown}"
    yield ""
    for size, found in result.items():
        for name, ratio in found["ratios"].items():
            times, worst = ratio["times_faster"], ratio["worst_round"]
            yield f"{size:>8}  {name}: rival / ours {times:.2f} (worst round {worst:.2f})"
        yield f"{size:>8}  {_index_line(found)}"
        yield f"{size:>8}  {_opening_line(found['opening'])}"


def _index_line(found: Figures) -> str:
    kind = "snapshot" if found["snapshot_bytes"] else "no snapshot: exact"
    return (
        f"{kind}, indexes made in {found['optimize_s']:.1f} s, {found['snapshot_bytes'] / 1e6:.1f} "
        f"MB (sqlite-vec: {found['sqlite_vec_bytes'] / 1e6:.1f} MB)"
    )


def _opening_line(opening: Figures) -> str:
    return (
        f"opening and first search {opening['open_and_search_ms']:.0f} ms (sqlite-vec "
        f"{opening['sqlite_vec_ms']:.0f}), embedder apart {opening['embedder_ms']:.0f} ms, "
        f"rebuilt: {'YES' if opening['rebuilt'] else 'nothing'}"
    )


def _measured(bench: Workbench, size: int) -> Figures:
    made, rival_path = bench.state(size), bench.scratch / f"sqlite-vec-{size}.db"
    texts = bench.texts(size)
    matrix = local_embedder().embed(texts)
    rival = _sqlite_vec(rival_path, matrix)
    opening = _opening(made, rival_path)
    nearest = _index(made, matrix)
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
        "optimize_s": round(made.optimize_s, 2),
        "snapshot_bytes": sum(each.stat().st_size for each in _snapshot(made).glob("*")),
        "sqlite_vec_bytes": rival_path.stat().st_size,
        "opening": opening,
    }


def _engine(made: MadeState) -> SqliteMemory:
    paths = StatePaths(made.root)
    return SqliteMemory(paths.memory_db, vectors=paths.memory_dir / "vectors")


def _asked(engine: SqliteMemory, rounds: Iterable[Iterable[str]]) -> list[list[Asked]]:
    embedder = local_embedder()
    with engine.reading() as reading:

        def vector(text: str) -> Vector:
            (subwords,) = embedder.subwords([text])
            found = reading.evidence(
                Inquiry(_EVERYTHING, K, subwords=tuple(set(subwords.tolist())))
            )
            return embedder.weighted(subwords, found.occurrences, found.subwords)

        return [[Asked(text, vector(text)) for text in each] for each in rounds]


def _leg(engine: SqliteMemory, query: Vector) -> list[int]:
    with engine.reading() as reading:
        found = reading.nearest(query, _EVERYTHING, PROPOSED)
    best = found.keys[np.argsort(-found.cosines)][:K]
    return (best - 1).tolist()  # docnos begin at 1


def _index(made: MadeState, matrix: Vector) -> Callable[[Vector], list[int]]:
    """Return what `memory.search` would use at this size, without the database around it."""
    found = read_manifest(_snapshot(made)) if _snapshot(made).is_dir() else None
    if found is None:
        exact = LoadedVectors(np.arange(len(matrix)), matrix)
        return lambda query: exact.best(query, K, None)[0].tolist()
    snapshot = open_snapshot(_snapshot(made), found[0].identity)
    assert snapshot is not None
    return lambda query: (snapshot.nearest(query, K)[0] - 1).tolist()


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
        right += int((cosines[search(asked)] >= tenth - 1e-6).sum())
    return round(right / (K * len(every)), 4)


_OPENING = """
import json, sys, time
import clawstate
from clawstate.memory.embedders import default_embedder

def milliseconds(started):
    return (time.perf_counter() - started) * 1e3

started = time.perf_counter()
embedder = default_embedder()
embedder.identity, embedder.embed(["warm"])
times = {"embedder_ms": milliseconds(started)}
started = time.perf_counter()
with clawstate.open(sys.argv[1], embedder=embedder) as state:
    state.memory.search("How do I open a file?", mode="vector")
    times["open_and_search_ms"] = milliseconds(started)
    started = time.perf_counter()
    state.memory.search("How do I close a file?", mode="vector")
    times["second_search_ms"] = milliseconds(started)
import apsw, sqlite_vec
query = embedder.embed(["How do I open a file?"])[0].tobytes()
started = time.perf_counter()
connection = apsw.Connection(sys.argv[2])
connection.enable_load_extension(True)
connection.load_extension(sqlite_vec.loadable_path())
list(connection.execute("SELECT rowid FROM v WHERE e MATCH ? AND k = 10", (query,)))
times["sqlite_vec_ms"] = milliseconds(started)
print(json.dumps(times))
"""


def _opening(made: MadeState, rival: Path) -> Figures:
    """Time the opening of the state in new processes, and see whether it writes the index."""
    before = _stamps(made)
    found: list[dict[str, float]] = []
    for _ in range(OPENINGS):
        command = [sys.executable, "-c", _OPENING, str(made.root), str(rival)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found.append(json.loads(output))
    medians: dict[str, Any] = {
        name: round(statistics.median(each[name] for each in found), 1) for name in found[0]
    }
    return {**medians, "rebuilt": _stamps(made) != before}


def _stamps(made: MadeState) -> dict[str, int]:
    return {str(each): each.stat().st_mtime_ns for each in sorted(_snapshot(made).glob("*"))}


def _snapshot(made: MadeState) -> Path:
    folder = StatePaths(made.root).memory_dir / "vectors"
    return next((each.parent for each in folder.glob(f"*/{MANIFEST_NAME}")), folder / "none")
