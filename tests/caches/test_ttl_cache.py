from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from clawstate.caches.ttl import CacheStatistics, TTLCache
from clawstate.errors import InvalidError


class Hand:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_least_recently_used_value_leaves_first() -> None:
    """Reading a value protects it from the next eviction."""
    cache: TTLCache[str, int] = TTLCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.get("a")

    cache.put("c", 3)

    assert [cache.get(key) for key in "abc"] == [1, None, 3]


def test_value_expires_at_its_age_although_it_is_read() -> None:
    """Reading does not make a value younger; at exactly its ttl it is gone."""
    clock = Hand()
    cache: TTLCache[str, int] = TTLCache(2, 10, clock=clock)
    cache.put("a", 1)
    clock.now = 9.9
    assert cache.get("a") == 1

    clock.now = 10.0

    assert cache.get("a") is None
    assert len(cache) == 0


def test_expired_values_make_room_before_live_ones() -> None:
    """A live value is not evicted while an expired one takes a place."""
    clock = Hand()
    cache: TTLCache[str, int] = TTLCache(2, 10, clock=clock)
    cache.put("old", 1)
    clock.now = 5
    cache.put("young", 2)
    cache.get("old")
    clock.now = 12

    cache.put("new", 3)

    assert cache.get("young") == 2
    assert cache.statistics == CacheStatistics(hits=2, expirations=1)


def test_value_put_again_is_young_again() -> None:
    """Putting a value anew restarts its age."""
    clock = Hand()
    cache: TTLCache[str, int] = TTLCache(2, 10, clock=clock)
    cache.put("a", 1)
    clock.now = 8
    cache.put("a", 2)

    clock.now = 17

    assert cache.get("a") == 2


def test_pop_hands_the_value_out_once() -> None:
    """A popped value is gone, and an absent one is None."""
    cache: TTLCache[str, int] = TTLCache(2)
    cache.put("a", 1)

    assert [cache.pop("a"), cache.pop("a")] == [1, None]


def test_clear_keeps_the_statistics() -> None:
    """Clearing forgets values, not what was counted."""
    cache: TTLCache[str, int] = TTLCache(1)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.get("a")

    cache.clear()

    assert len(cache) == 0
    assert cache.statistics == CacheStatistics(misses=1, evictions=1)


def test_cache_without_room_keeps_nothing() -> None:
    """Size zero turns a cache off."""
    cache: TTLCache[str, int] = TTLCache(0)

    cache.put("a", 1)

    assert cache.get("a") is None


@pytest.mark.parametrize(("size", "ttl"), [(-1, None), (1, 0), (1, -1), (1, math.nan)])
def test_senseless_bounds_are_refused(size: int, ttl: float | None) -> None:
    """A negative size or a ttl that is not positive is refused."""
    with pytest.raises(InvalidError):
        TTLCache(size, ttl)


def test_threads_never_break_the_bounds() -> None:
    """Under eight threads no call fails, no value is mixed up, and the size holds."""
    cache: TTLCache[int, int] = TTLCache(50, 5, clock=iter(range(10**9)).__next__)

    def work(seed: int) -> int:
        for step in range(3000):
            key = (seed * 7919 + step * 31) % 120
            cache.put(key, key)
            found = cache.get((key * 17) % 120)
            assert found in {None, (key * 17) % 120}
            assert len(cache) <= 50
            if step % 97 == 0:
                cache.pop(key)
            if step % 997 == 0:
                cache.clear()
        return seed

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == list(range(8))

    counted = cache.statistics
    assert counted.hits + counted.misses == 8 * 3000


class CacheMachine(RuleBasedStateMachine):
    """The cache against a list of (key, value, birth), least recently used first."""

    keys = st.integers(0, 6)

    @initialize(size=st.integers(0, 4), ttl=st.none() | st.integers(1, 8))
    def start(self, size: int, ttl: int | None) -> None:
        self.clock = Hand()
        self.size, self.ttl = size, ttl
        self.cache: TTLCache[int, int] = TTLCache(size, ttl, clock=self.clock)
        self.model: list[tuple[int, int, float]] = []
        self.hits = self.misses = self.evictions = self.expirations = 0

    def expire(self) -> None:
        live = [e for e in self.model if self.ttl is None or self.clock.now - e[2] < self.ttl]
        self.expirations += len(self.model) - len(live)
        self.model = live

    def taken(self, key: int) -> tuple[int, int, float] | None:
        self.expire()
        found = next((entry for entry in self.model if entry[0] == key), None)
        self.model = [entry for entry in self.model if entry[0] != key]
        return found

    @rule(key=keys, value=st.integers())
    def put(self, key: int, value: int) -> None:
        self.cache.put(key, value)

        self.taken(key)
        self.model.append((key, value, self.clock.now))
        if len(self.model) > self.size:
            self.model.pop(0)
            self.evictions += 1

    @rule(key=keys)
    def get(self, key: int) -> None:
        found = self.cache.get(key)

        entry = self.taken(key)
        assert found == (entry and entry[1])
        if entry:
            self.model.append(entry)
        self.hits += entry is not None
        self.misses += entry is None

    @rule(key=keys)
    def pop(self, key: int) -> None:
        found = self.cache.pop(key)

        entry = self.taken(key)
        assert found == (entry and entry[1])

    @rule()
    def clear(self) -> None:
        self.expire()
        assert len(self.cache) == len(self.model)
        self.cache.clear()
        self.model = []

    @rule(seconds=st.integers(0, 5))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @invariant()
    def agrees(self) -> None:
        self.expire()
        assert len(self.cache) == len(self.model)
        assert self.cache.statistics == CacheStatistics(
            self.hits, self.misses, self.evictions, self.expirations
        )


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
