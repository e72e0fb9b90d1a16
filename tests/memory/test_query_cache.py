from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

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
