"""Searches by the index of the LanceDB table, where a setting asks for that."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import clawstate
from clawstate.clock import Clock
from clawstate.errors import ConfigError
from clawstate.memory.backends.lancedb import LancedbMemory
from clawstate.memory.contract import Embedded, EmbedderIdentity
from clawstate.memory.filters import filter_from
from clawstate.memory.records import MemoryRecord
from clawstate.memory.service import Memory

if find_spec("lancedb") is None:
    pytest.skip("the extra 'lancedb' is not installed", allow_module_level=True)

IDENTITY = EmbedderIdentity("made-up", 32)
COUNT, K = 10_100, 10
INDEX = """
import json, lancedb, sys
table = lancedb.connect(sys.argv[1]).open_table("memories")
print(json.dumps([each.index_type for each in table.list_indices()]))
"""


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Give vectors around some centres, as those of texts are."""
    random = np.random.default_rng(7)
    centres = random.standard_normal((200, 32))
    chosen = centres[random.integers(0, 200, COUNT)]
    return unit(chosen + 0.6 * random.standard_normal((COUNT, 32)))


def records(vectors: np.ndarray, first: int = 0) -> list[Embedded]:
    return [
        Embedded(
            MemoryRecord(
                id=f"{number:08x}-0000-4000-8000-000000000000",
                text=f"text {number}",
                tags=("even",) if number % 2 == 0 else (),
                created_at=1.0,
                updated_at=1.0,
            ),
            vector,
        )
        for number, vector in enumerate(vectors, start=first)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, vectors: np.ndarray) -> Path:
    """Give a table with the index."""
    folder = tmp_path_factory.mktemp("indexed") / "lancedb"
    engine = LancedbMemory(folder)
    engine.upsert(records(vectors), embedder=IDENTITY)
    engine.optimize()
    engine.close()
    return folder


@pytest.fixture
def engine(folder: Path, clock: Clock):
    engine = LancedbMemory(folder, clock=clock, asks=True)
    yield engine
    engine.close()


def nearest(engine: LancedbMemory, query: np.ndarray, limit: int = K, **chosen) -> list[str]:
    with engine.reading() as state:
        found = state.nearest(query, filter_from(**chosen), limit)
        texts = state.fetch(found.keys.tolist())
    return [each.text for each in texts]


def exact(vectors: np.ndarray, query: np.ndarray, among: np.ndarray) -> set[str]:
    best = among[np.argsort(-(vectors[among] @ query), kind="stable")[:K]]
    return {f"text {number}" for number in best}


@pytest.mark.slow
def test_searches_use_the_index_of_the_table(engine, folder: Path, vectors: np.ndarray) -> None:
    """Every search is answered by LanceDB's own index, and .98 of the nearest are found."""
    done = subprocess.run(
        [sys.executable, "-c", INDEX, str(folder)], capture_output=True, text=True, check=True
    )
    random = np.random.default_rng(8)
    queries = unit(vectors[random.integers(0, COUNT, 40)] + 0.2 * random.standard_normal((40, 32)))

    hits = [set(nearest(engine, each)) & exact(vectors, each, np.arange(COUNT)) for each in queries]

    assert "HNSW" in json.loads(done.stdout)[0].upper()
    assert engine.stats()["vector_searches"] == {"asked": 40, "scanned": 0}
    assert sum(map(len, hits)) >= 0.98 * 40 * K


@pytest.mark.slow
def test_what_waits_for_the_table_is_found(engine, vectors: np.ndarray) -> None:
    """A record is found at once, and one that was forgotten or changed no more."""
    query = unit(np.random.default_rng(9).standard_normal((1, 32)))[0]
    engine.upsert(records(query[None], first=COUNT), embedder=IDENTITY)
    gone = nearest(engine, query)[1]
    engine.delete([f"{int(gone.split()[1]):08x}-0000-4000-8000-000000000000"])

    found = nearest(engine, query)

    assert found[0] == f"text {COUNT}"
    assert gone not in found
    assert len(found) == K
    assert engine.stats()["vector_searches"] == {"asked": 2, "scanned": 0}


@pytest.mark.slow
def test_a_filter_that_leaves_too_few_is_answered_in_full(engine, vectors: np.ndarray) -> None:
    """Where LanceDB's candidates do not meet it, our own index answers, with as much recall."""
    query = vectors[4]
    even = np.arange(0, COUNT, 2)

    found = nearest(engine, query, tags=["even"], where={"$created_at": {"gte": 1.0}})

    assert len(set(found) & exact(vectors, query, even)) >= K - 1
    assert nearest(engine, query, tags=["odd"]) == []
    assert sum(engine.stats()["vector_searches"].values()) == 2


@pytest.mark.slow
def test_without_an_index_our_own_answers(tmp_path: Path, clock: Clock, vectors) -> None:
    """A table that is too small for an index is searched all the same."""
    engine = LancedbMemory(tmp_path / "lancedb", clock=clock, asks=True)
    engine.upsert(records(vectors[:50]), embedder=IDENTITY)
    engine.flush()

    found = nearest(engine, vectors[7])

    assert found[0] == "text 7"
    assert engine.stats()["vector_searches"] == {"asked": 0, "scanned": 1}
    engine.close()


def test_a_setting_asks_for_the_index(tmp_path: Path) -> None:
    """It counts for a memory in LanceDB, and is refused where the memory is in SQLite."""
    name = "memory.store.vector.index"
    with clawstate.open(tmp_path / "state") as state:
        with pytest.raises(ConfigError, match="store migrate memory --to lancedb"):
            state.config.set(name, "ivf_hnsw_sq")
        with pytest.raises(ConfigError):
            state.config.set(name, "no such index")
        state.config.set("memory.store.type", "lancedb")
        state.config.set(name, "ivf_hnsw_sq")

    with clawstate.open(tmp_path / "state") as state:
        assert isinstance(state.memory, Memory)
        assert state.memory.stats()["vector_searches"] == {"asked": 0, "scanned": 0}
