from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from itertools import product

import apsw
import pytest

import clawstate
from clawstate.memory.backends.inmemory import InMemoryMemory
from clawstate.memory.service import Memory

MODES = ("words", "vector", "hybrid")
READS = ("evidence", "nearest", "context", "compare", "fetch", "reasons")
QUESTIONS = ("Ada lobster", "when does lobster number 7 sleep?", '"lobster number 7"', "nothing")


class Counted:
    """An engine that counts how often each read of a search is called."""

    def __init__(self, engine) -> None:
        self._engine = engine
        self.calls = Counter()

    def __getattr__(self, name):
        return getattr(self._engine, name)

    @contextmanager
    def reading(self, *, as_of=None):
        with self._engine.reading(as_of=as_of) as reading:
            yield CountedReading(reading, self.calls)


class CountedReading:
    def __init__(self, reading, calls) -> None:
        self._reading = reading
        self._calls = calls

    def __getattr__(self, name):
        if name in READS:
            self._calls[name] += 1
        return getattr(self._reading, name)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Return a memory on SQLite with a namespace of threads, and one without."""
    with clawstate.open(tmp_path_factory.mktemp("state")) as state:
        fill(state.memory)
        yield state.memory


@pytest.fixture(scope="module")
def memories(filled):
    """Return the same records on both engines."""
    inmemory = Memory(InMemoryMemory())
    fill(inmemory)
    return {"sqlite": filled, "inmemory": inmemory}


def fill(memory):
    for namespace, thread in (("threads", "chat"), ("plain", None)):
        memory.add_many(
            {
                "text": f"Ada: the lobster number {number} sleeps under a rock until May",
                "thread": thread,
                "namespace": namespace,
                "metadata": {"n": number},
            }
            for number in range(40)
        )


@pytest.mark.parametrize("name", ["sqlite", "inmemory"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("namespace", ["threads", "plain", "empty", None])
@pytest.mark.parametrize("where", [None, {"n": {"gte": 30}}], ids=["all", "filtered"])
def test_a_search_makes_four_calls_at_most(memories, name, mode, namespace, where) -> None:
    """A search calls its engine four times at most, and answers as without counting."""
    memory = memories[name]
    settings = {"mode": mode, "namespace": namespace, "where": where}
    for query, explain in product(QUESTIONS, (False, True)):
        engine = Counted(memory._engine)

        hits = Memory(engine).search(query, explain=explain, **settings)

        assert engine.calls.total() <= 4
        assert all(count == 1 for count in engine.calls.values())
        assert hits == memory.search(query, explain=explain, **settings)


@pytest.mark.parametrize("name", ["sqlite", "inmemory"])
@pytest.mark.parametrize(("namespace", "second"), [("threads", "context"), ("plain", "nearest")])
def test_times_and_what_is_common_cost_one_call(memories, name, namespace, second) -> None:
    """A question for a time makes the four calls of any other, in threads too."""
    engine = Counted(memories[name]._engine)

    hits = Memory(engine).search(QUESTIONS[1], namespace=namespace, explain=True)

    assert set(engine.calls) == {"evidence", second, "compare", "reasons"}
    assert {"time", "feedback"} <= {part.kind for hit in hits for part in hit.explanation.parts}


@pytest.mark.parametrize("name", ["sqlite", "inmemory"])
def test_a_verdict_makes_the_calls_of_a_search(memories, name) -> None:
    """What became of a record costs no more than a search, beside looking for the record."""
    engine = Counted(memories[name]._engine)
    (record,) = memories[name].records(namespace="threads", where={"n": 7})

    (verdict,) = Memory(engine).explain(QUESTIONS[1], record.id, namespace="threads")

    assert engine.calls.total() <= 4
    assert verdict.id == record.id


@pytest.mark.parametrize(("namespace", "most"), [("plain", 19), ("threads", 19)])
def test_a_warm_search_runs_few_statements(filled, namespace, most) -> None:
    """A hybrid search runs some seventeen statements, however many words it asks for."""
    for query in ("Ada lobster", "a rock"):
        filled.search(query, namespace=namespace)
    statements = []

    def noted(_cursor, sql, _values):
        statements.append(sql)
        return True

    for connection in apsw.connections():
        connection.exec_trace = noted
    hits = filled.search("does the lobster number 7 sleep under that rock", namespace=namespace)
    for connection in apsw.connections():
        connection.exec_trace = None

    assert hits
    assert 4 < len(statements) <= most


def test_a_repeated_search_asks_for_the_version_alone(filled) -> None:
    """A question that was asked before costs none of the reads while nothing changes."""
    engine = Counted(filled._engine)
    counting = Memory(engine)
    counting.search("lobster", namespace="plain")
    before = engine.calls.copy()

    counting.search("lobster", namespace="plain")

    assert engine.calls == before
