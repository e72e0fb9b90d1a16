from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from subprocess import PIPE

import numpy as np
import pytest

import clawstate
from clawstate.memory.query_cache import QueryCache
from clawstate.memory.records import Hit, MemoryRecord

TEA = Hit(MemoryRecord(id="a", text="tea"), score=0.5)
SHORT = replace(TEA, record=replace(TEA.record, expires_at=100.0))


@pytest.fixture
def cache(clock):
    return QueryCache(size=3, ttl=60.0, clock=clock)


def test_hits_are_given_back_for_their_version(cache) -> None:
    """Hits come back for the same question and the same version, and for no other."""
    cache.keep_hits("tea?", version=7, hits=(TEA,))

    assert cache.hits("tea?", version=7, now=0.0) == (TEA,)
    assert cache.hits("tea?", version=8, now=0.0) is None
    assert cache.hits("tea?", version=6, now=0.0) is None
    assert cache.hits("coffee?", version=7, now=0.0) is None


def test_no_hits_are_an_answer_too(cache) -> None:
    """A question without hits is remembered like any other."""
    cache.keep_hits("tea?", version=7, hits=())

    assert cache.hits("tea?", version=7, now=0.0) == ()


def test_an_expired_hit_ends_the_answer(cache) -> None:
    """Hits are not given back from the moment one of their records expires."""
    cache.keep_hits("tea?", version=7, hits=(TEA, SHORT))

    assert cache.hits("tea?", version=7, now=99.999) == (TEA, SHORT)
    assert cache.hits("tea?", version=7, now=100.0) is None


def test_answers_age(cache, clock) -> None:
    """Hits and vectors are forgotten after the time that the cache was given."""
    cache.keep_hits("tea?", version=7, hits=(TEA,))
    cache.vector("tea?", lambda: np.ones(2, np.float32))
    clock.advance(60)

    assert cache.hits("tea?", version=7, now=0.0) is None
    assert cache.vector("tea?", lambda: np.zeros(2, np.float32)).sum() == 0


def test_a_vector_is_made_once(cache) -> None:
    """The vector of a text is asked for once, and the same one is given back."""
    made = cache.vector("tea?", lambda: np.ones(2, np.float32))

    assert cache.vector("tea?", pytest.fail) is made


def test_the_cache_is_bounded(cache) -> None:
    """Of more answers than fit the one longest unused leaves."""
    for number in range(4):
        cache.keep_hits(number, version=1, hits=(TEA,))

    assert cache.hits(0, version=1, now=0.0) is None
    assert cache.hits(3, version=1, now=0.0) == (TEA,)


def test_nothing_is_left_after_clearing(cache) -> None:
    """`clear` forgets hits and vectors."""
    cache.keep_hits("tea?", version=7, hits=(TEA,))
    cache.vector("tea?", lambda: np.ones(2, np.float32))

    cache.clear()

    assert cache.hits("tea?", version=7, now=0.0) is None
    assert cache.vector("tea?", lambda: np.zeros(2, np.float32)).sum() == 0


def test_callers_cannot_change_each_others_answers(memory) -> None:
    """What a caller does to the hits of a search is not seen by the next one who asks."""
    memory.add("lobster", metadata={"colour": "red", "deep": {"list": [1]}})
    (hit,) = hits = memory.search("lobster")

    hits.clear()
    try:
        hit.record.metadata["colour"] = "blue"
        hit.record.metadata["deep"]["list"].append(2)
    except TypeError:
        pass  # what cannot be changed is as good

    (again,) = memory.search("lobster")
    assert again.record.metadata == {"colour": "red", "deep": {"list": [1]}}


def test_settings_are_part_of_the_question(memory) -> None:
    """Questions that differ in any setting do not share an answer."""
    memory.add("lobster one", tags=["a"], metadata={"n": 1}, source="s")
    memory.add("lobster two", namespace="work")
    assert len(memory.search("lobster", namespace=None)) == 2

    for settings in (
        {"k": 1},
        {"namespace": "work"},
        {"tags": ["a"]},
        {"source": "s"},
        {"where": {"n": 1}},
        {"where": {"n": {"exists": False}}},
        {"min_score": 1.1},
        {"until": 5},
    ):
        assert len(memory.search("lobster", **{"namespace": None, **settings})) < 2


def test_types_of_values_are_part_of_the_question(memory) -> None:
    """A question about a number is not answered as one about a string that looks alike."""
    memory.add("lobster", metadata={"n": 1})

    assert len(memory.search("lobster", where={"n": 1})) == 1
    assert memory.search("lobster", where={"n": "1"}) == []
    assert memory.search("lobster", where={"n": None}) == []


def test_the_statistics_count(cache, clock) -> None:
    """Answers from the cache are hits; none, an older one and an expired one are misses."""
    for number in range(4):
        cache.keep_hits(number, version=1, hits=(TEA,))
    cache.hits(3, version=1, now=0.0)
    cache.hits(3, version=2, now=0.0)
    cache.hits("unknown", version=1, now=0.0)

    assert cache.statistics() == {"hits": 1, "misses": 2, "entries": 3, "evictions": 1}
    clock.advance(60)
    assert cache.statistics() == {"hits": 1, "misses": 2, "entries": 0, "evictions": 1}


def test_the_memory_tells_of_its_cache(memory) -> None:
    """`stats` counts the searches that the cache answered, and those that it did not."""
    memory.add("lobster")
    for _ in range(3):
        memory.search("lobster")

    assert memory.stats()["query_cache"] == {"hits": 2, "misses": 1, "entries": 1, "evictions": 0}


def test_a_fresh_search_asks_the_memory(memory) -> None:
    """With *fresh* nothing comes from the cache, and what is found is kept for the next one."""
    memory.add("lobster")
    memory.search("lobster")

    assert memory.search("lobster", fresh=True) == memory.search("lobster")

    told = memory.stats()["query_cache"]
    assert (told["hits"], told["misses"]) == (1, 1)


WRITER = """
import sys
import clawstate

with clawstate.open(sys.argv[1]) as state:
    memory, done = state.memory, None
    for line in sys.stdin:
        verb, _, text = line.strip().partition(" ")
        if verb == "add":
            done = memory.add(text)
        elif verb == "change":
            memory.update(done, text=text)
        elif verb == "tag":
            memory.update(done, tags=[text])
        elif verb == "forget":
            memory.delete(done)
        print("done", flush=True)
"""


def test_a_write_of_another_process_is_seen_at_once(state) -> None:
    """Whatever another process writes, the next search of the same question shows it."""
    memory = state.memory
    memory.add("a lobster on the table")
    root = str(state.paths.root)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, root], stdin=PIPE, stdout=PIPE, text=True
    ) as writer:

        def write(line):
            writer.stdin.write(line + "\n")
            writer.stdin.flush()
            assert writer.stdout.readline() == "done\n"
            found = memory.search("red lobster")
            assert found == memory.search("red lobster", fresh=True)
            return sorted(hit.record.text for hit in found), [*found[0].record.tags]

        assert len(memory.search("red lobster")) == len(memory.search("red lobster")) == 1
        assert write("add a red lobster")[0] == ["a lobster on the table", "a red lobster"]
        assert write("tag crab")[1] == ["crab"]
        assert write("change a red lobster and a crab")[0][1] == "a red lobster and a crab"
        assert write("forget")[0] == ["a lobster on the table"]
        writer.stdin.close()

    assert memory.stats()["query_cache"]["hits"] == 1


def test_without_a_time_to_live_nothing_is_kept(tmp_path) -> None:
    """A `caches.query.ttl` of 0 switches the cache off."""
    root = tmp_path / "off"
    root.mkdir()
    (root / "openclaw.json").write_text("{caches: {query: {ttl: 0}}}")

    with clawstate.open(root) as state:
        state.memory.add("lobster")
        for _ in range(2):
            state.memory.search("lobster")

        assert state.memory.stats()["query_cache"]["hits"] == 0
