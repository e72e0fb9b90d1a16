from __future__ import annotations

from collections import Counter
from contextlib import contextmanager

import apsw
import pytest

import clawstate
from clawstate.memory.service import Memory

MODES = ("words", "vector", "hybrid")
READS = ("evidence", "nearest", "context", "common_terms", "beginnings", "fetch")


class Counted:
    """An engine that counts how often each read of a search is called."""

    def __init__(self, engine) -> None:
        self._engine = engine
        self.calls = Counter()

    def __getattr__(self, name):
        return getattr(self._engine, name)

    @contextmanager
    def reading(self):
        with self._engine.reading() as reading:
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
    """Return a memory with a namespace of threads, and one without."""
    with clawstate.open(tmp_path_factory.mktemp("state")) as state:
        fill(state.memory)
        yield state.memory


def fill(memory):
    for namespace, thread in (("threads", "chat"), ("plain", None)):
        memory.add_many(
            {
                "text": f"Ada: the lobster number {number} sleeps under a rock",
                "thread": thread,
                "namespace": namespace,
                "metadata": {"n": number},
            }
            for number in range(40)
        )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("namespace", ["threads", "plain", "empty", None])
@pytest.mark.parametrize("where", [None, {"n": {"gte": 30}}], ids=["all", "filtered"])
def test_a_search_makes_each_read_once_at_most(filled, mode, namespace, where) -> None:
    """A search calls each read of its engine once at most, and answers as without counting."""
    settings = {"mode": mode, "namespace": namespace, "where": where}
    for query in ("Ada lobster", "when does lobster number 7 sleep?", "nothing of the kind"):
        engine = Counted(filled._engine)

        hits = Memory(engine).search(query, **settings)

        assert set(engine.calls) <= set(READS)
        assert all(count == 1 for count in engine.calls.values())
        assert hits == filled.search(query, **settings)


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
