from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from clawstate.clock import Clock
from clawstate.memory.backends.inmemory import InMemoryMemory
from clawstate.memory.backends.sqlite import SqliteMemory
from clawstate.memory.service import Memory
from clawstate.testing.hooks import ManualTime
from clawstate.testing.memory_hooks import HashEmbedder
from clawstate.testing.memory_machine import memory_machine
from clawstate.testing.memory_pasts import require_pasts
from clawstate.testing.memory_suite import MemoryEngineSuite
from manual_clock import ManualClock
from seeds import seed

SUFFIXES = ("", "ing", "s", "ed", "er", "ly", "ful", "able")


def sqlite_memory(path: Path, clock: Clock) -> SqliteMemory:
    folder = path / "memory"
    return SqliteMemory(folder / "memory.db", vectors=folder / "vectors", clock=clock)


# In another process: a second library of SQLite in this one would drop the locks of the first.
RAW = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(json.dumps(dict(connection.execute("SELECT id, content FROM memories"))))
connection.close()
"""


class TestSqlite(MemoryEngineSuite):
    """Memory in SQLite keeps every law."""

    def make(self, tmp_path: Path, clock: Clock) -> SqliteMemory:
        return sqlite_memory(tmp_path, clock)

    def raw_texts(self, tmp_path: Path) -> dict[str, str]:
        path = tmp_path / "memory" / "memory.db"
        command = [sys.executable, "-c", RAW, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return json.loads(done.stdout)


class TestInMemory(MemoryEngineSuite):
    """Memory in one process keeps every law that does not need a disk."""

    def make(self, tmp_path: Path, clock: Clock) -> InMemoryMemory:  # noqa: ARG002 - there is no file
        return InMemoryMemory(clock=clock)


@pytest.mark.slow
def test_a_thousand_random_pasts_are_as_copies_of_then(tmp_path) -> None:
    """Each has the hits and the scores of a memory that holds what was known at that moment."""
    time = ManualTime()

    require_pasts(sqlite_memory(tmp_path, time), time, changes=400, moments=1000)


class TestSqliteMachine(memory_machine(sqlite_memory).TestCase):
    """Memory in SQLite answers every call as that in one process does."""


def test_the_best_ten_are_the_same_on_all_engines(tmp_path) -> None:
    """Two hundred questions have the same ten best answers on every engine, in every mode."""
    words = [f"{first}{last}" for first in ("run", "kettl", "lobst", "tea") for last in SUFFIXES]
    chance, clock = random.Random(seed()), ManualClock()
    values = [
        {
            "id": f"r{number}",
            "text": " ".join(chance.choices(words, k=chance.randint(3, 14))),
            "thread": f"t{number // 20}" if number > 120 else None,
            "namespace": "threads" if number > 120 else "default",
        }
        for number in range(240)
    ]
    memories = [
        Memory(engine, embedder=HashEmbedder(), clock=clock)
        for engine in (sqlite_memory(tmp_path, clock), InMemoryMemory(clock=clock))
    ]
    for memory in memories:
        memory.add_many(values)

    for number in range(200):
        query = " ".join(chance.choices(words, k=3))
        mode = ("words", "vector", "hybrid")[number % 3]
        namespace = ("default", "threads", None)[number % 5 % 3]
        found, wanted = (
            memory.search(query, mode=mode, namespace=namespace, k=11) for memory in memories
        )
        scores = [hit.score for hit in wanted]
        assert [hit.score for hit in found] == pytest.approx(scores, abs=5e-5)
        for one, other in list(zip(found, wanted, strict=True))[:10]:
            ties = sum(abs(score - other.score) < 1e-4 for score in scores)
            assert one.record == other.record or ties > 1  # of equal ones either may be first
    for memory in memories:
        memory.close()


def test_one_process_promises_nothing_more() -> None:
    """Memory in one process is neither durable nor shared."""
    assert InMemoryMemory().capabilities == frozenset()


@pytest.fixture(scope="module", params=["sqlite", "memory"])
def many(request, tmp_path_factory):
    """Give a memory of more than 20,000 records, nearly all of them of meetings."""
    clock = ManualClock()
    if request.param == "memory":
        engine = InMemoryMemory(clock=clock)
    else:
        engine = sqlite_memory(tmp_path_factory.mktemp("many"), clock)
    memory = Memory(engine, clock=clock)
    memory.add_many({"text": f"meeting word{number} lobster"} for number in range(20_000))
    memory.add_many([{"text": "zanzibar", "namespace": "work"}, {"text": "meeting parrot"}])
    yield memory
    memory.close()


@pytest.mark.parametrize("words", ["meeting", "parrot", "meeting parrot", "meeting lobster"])
@pytest.mark.parametrize("more", ["unheard", "zanzibar"])
def test_a_word_that_no_record_has_counts_for_nothing(many, words, more) -> None:
    """Among many records a word that is in none, or in no namespace searched, changes no hit."""
    wanted = [hit.record.text for hit in many.search(words, mode="words")]

    found = [hit.record.text for hit in many.search(f"{more} {words}", mode="words")]

    assert found == wanted
    assert wanted
