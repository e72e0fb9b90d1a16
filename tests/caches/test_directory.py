from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from clawstate.caches.directory import DirectoryCache
from clawstate.caches.ttl import CacheStatistics, TTLCache
from clawstate.errors import InvalidError


class Hand:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Config:
    """A configuration that counts how often it is compared."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.compared = 0

    def __eq__(self, other: object) -> bool:
        self.compared += 1
        return isinstance(other, Config) and other.text == self.text

    __hash__ = None


def filled(*keys: str, config: object = None) -> DirectoryCache[str]:
    cache: DirectoryCache[str] = DirectoryCache()
    for key in keys:
        cache.put(key, key.upper(), config)
    return cache


def test_values_live_for_half_an_hour() -> None:
    """Without settings a lookup is kept for less than 1,800 seconds."""
    clock = Hand()
    cache: DirectoryCache[list[str]] = DirectoryCache(clock=clock)
    cache.put("models", ["a"])
    clock.now = 1799.9
    assert cache.get("models") == ["a"]

    clock.now = 1800.0

    assert cache.get("models") is None


def test_two_thousand_values_fit() -> None:
    """Without settings the value least recently used leaves when the 2,001st comes."""
    cache: DirectoryCache[int] = DirectoryCache()
    for number in range(2000):
        cache.put(str(number), number)
    cache.get("0")

    cache.put("one more", -1)

    assert (len(cache), cache.get("0"), cache.get("1")) == (2000, 0, None)
    assert cache.statistics == CacheStatistics(hits=2, misses=1, evictions=1)


def test_another_configuration_empties_the_cache() -> None:
    """The first call under another configuration finds nothing, nor does the next."""
    cache = filled("a", "b", config={"dir": 1})

    assert cache.get("a", {"dir": 2}) is None
    assert cache.get("b") is None
    assert len(cache) == 0


def test_putting_under_another_configuration_leaves_only_that_value() -> None:
    """A change that is first seen by `put` empties the cache before the value comes in."""
    cache = filled("a", config="revision 1")

    cache.put("b", "B", "revision 2")

    assert [cache.get(key, "revision 2") for key in "ab"] == [None, "B"]


def test_going_back_to_an_older_configuration_is_a_change() -> None:
    """Nothing survives a change and its undoing."""
    cache = filled("a", config=1)
    cache.get("a", 2)

    assert cache.get("a", 1) is None


def test_equal_configuration_keeps_the_values() -> None:
    """A configuration that was read again, unchanged, is the same one."""
    cache = filled("a", config={"agents": [{"id": "main"}]})

    assert cache.get("a", {"agents": [{"id": "main"}]}) == "A"


def test_equal_configurations_are_compared_once() -> None:
    """Only the first call after a reload pays for a comparison."""
    first, second = Config("same"), Config("same")
    cache = filled("a", "b", config=first)
    assert first.compared + second.compared == 0

    found = [cache.get("a", second) for _ in range(5)]

    assert found == ["A"] * 5
    assert first.compared + second.compared == 1


def test_call_without_a_configuration_changes_nothing() -> None:
    """Who names no configuration reads what is there, and is no change for the next."""
    config = Config("one")
    cache = filled("a", config=config)

    assert [cache.get("a"), cache.get("a", config), cache.get("a")] == ["A"] * 3


def test_first_configuration_is_no_change() -> None:
    """Values from before any configuration was named stay when one is."""
    cache = filled("a")

    assert cache.get("a", "revision 1") == "A"


def test_false_configuration_is_one() -> None:
    """Only `None` is no configuration; an empty one is."""
    cache = filled("a", config={})

    assert cache.get("a", {"dir": 1}) is None
    cache.put("a", "A")
    assert cache.get("a", {}) is None


def test_chosen_values_are_forgotten() -> None:
    """`invalidate` forgets the keys that are chosen, counts them, and keeps the others."""
    cache = filled("slack:1", "slack:2", "matrix:1")

    count = cache.invalidate(lambda key: key.startswith("slack:"))

    assert count == 2
    assert [cache.get(key) for key in ("slack:1", "slack:2", "matrix:1")] == [
        None,
        None,
        "MATRIX:1",
    ]


def test_expired_values_are_not_offered_for_invalidation() -> None:
    """What is already gone is neither asked about nor counted."""
    clock = Hand()
    cache: DirectoryCache[int] = DirectoryCache(ttl=10, clock=clock)
    cache.put("old", 1)
    clock.now = 10
    cache.put("new", 2)
    asked: list[str] = []

    count = cache.invalidate(lambda key: not asked.append(key))

    assert (count, asked) == (1, ["new"])


def test_predicate_may_use_the_cache() -> None:
    """Choosing by value does not wait for itself; what the choice removes is not counted."""
    cache = filled("a", "b", "c")
    cache.put("b", "other")

    assert cache.invalidate(lambda key: cache.get(key) == "other") == 1
    assert cache.invalidate(lambda key: cache.pop(key) is not None) == 0
    assert len(cache) == 0


def test_failed_choice_forgets_nothing() -> None:
    """An error in the predicate is the caller's, and leaves the cache as it was."""
    cache = filled("a", "b")

    with pytest.raises(ZeroDivisionError):
        cache.invalidate(lambda key: key == "a" or 1 / 0)

    assert len(cache) == 2


def test_clear_keeps_the_configuration() -> None:
    """After `clear` the configuration last named is still the one to differ from."""
    cache = filled("a", config=1)
    cache.clear()
    cache.put("b", "B")

    assert [cache.get("b", 1), cache.get("b", 2)] == ["B", None]


def test_cache_is_a_ttl_cache() -> None:
    """It can stand where a `TTLCache` is wanted, with its bounds and refusals."""
    cache: TTLCache[str, int] = DirectoryCache(1, None)
    cache.put("a", 1)
    cache.put("b", 2)

    assert [cache.get("a"), cache.pop("b"), len(cache)] == [None, 2, 0]
    with pytest.raises(InvalidError):
        DirectoryCache(-1)


def test_threads_get_only_values_of_their_configuration() -> None:
    """However threads and configurations change, nobody gets a value of another one."""
    cache: DirectoryCache[int] = DirectoryCache(20)

    def work(config: int) -> int:
        for step in range(3000):
            key = str(step % 30)
            cache.put(key, config, config)
            assert cache.get(key, config) in {None, config}
            if step % 101 == 0:
                cache.invalidate(lambda each: each.endswith("3"))
        return config

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == list(range(4))

    assert len(cache) <= 20
