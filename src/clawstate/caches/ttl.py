"""`TTLCache`: recent values, bounded by number and by age."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from clawstate.errors import InvalidError
from clawstate.interrupts import Mutex

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True)
class CacheStatistics:
    """What a cache did since it was made; `get` counts as hit or miss, `pop` as neither."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    expirations: int = 0


class TTLCache(Generic[K, V]):
    """
    At most *max_size* values, each for less than *ttl* seconds after it was put (None: for ever).

    When it is full, the value least recently got or put leaves. Reading refreshes that order, not
    the age. Safe for threads; every call is O(1), spread over the values that expire. *clock*
    returns seconds and must not run backwards. With *max_size* 0 nothing is kept.

    Raises `InvalidError` for a negative size, or a *ttl* that is not positive.
    """

    def __init__(
        self,
        max_size: int,
        ttl: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _require_bounds(max_size, ttl)
        self._max_size = max_size
        self._ttl = ttl
        self._clock = clock
        self._lock = Mutex()
        self._recent: OrderedDict[K, V] = OrderedDict()  # least recently used first
        self._born: OrderedDict[K, float] = OrderedDict()  # oldest first
        self._due = math.inf  # when the oldest value expires
        self._hits = self._misses = self._evictions = self._expirations = 0

    def get(self, key: K) -> V | None:
        """Return the value of *key* and mark it as used, or `None`."""
        with self._lock:
            if self._clock() >= self._due:
                self._expire()
            try:
                self._recent.move_to_end(key)
            except KeyError:
                self._misses += 1
                return None
            self._hits += 1
            return self._recent[key]

    def put(self, key: K, value: V) -> None:
        """Keep *value* under *key*, new in age and order."""
        with self._lock:
            now = self._expire()
            self._forget(key)
            # The value comes last: wherever this is cut off, none is without its age.
            self._born[key] = now
            if self._due == math.inf:
                self._due = self._next_due()
            self._recent[key] = value
            if len(self._recent) > self._max_size:
                self._forget(next(iter(self._recent)))
                self._evictions += 1

    def pop(self, key: K) -> V | None:
        """Remove *key* and return its value, or `None`."""
        with self._lock:
            self._expire()
            return self._forget(key)

    def clear(self) -> None:
        """Forget every value; the statistics stay."""
        with self._lock:
            self._recent.clear()
            self._born.clear()

    @property
    def statistics(self) -> CacheStatistics:
        """What the cache did so far."""
        with self._lock:
            self._expire()
            return CacheStatistics(self._hits, self._misses, self._evictions, self._expirations)

    def __len__(self) -> int:
        with self._lock:
            self._expire()
            return len(self._recent)

    def _expire(self) -> float:
        now = self._clock()
        if self._ttl is None or now < self._due:
            return now
        while self._born:
            key, born = next(iter(self._born.items()))
            if now - born < self._ttl:
                break
            self._forget(key)
            self._expirations += 1
        self._due = self._next_due()
        return now

    def _next_due(self) -> float:
        if self._ttl is None or not self._born:
            return math.inf
        # A little early: then the ages are looked at, and decide.
        return next(iter(self._born.values())) + self._ttl * (1 - 1e-9)

    def _forget(self, key: K) -> V | None:
        self._born.pop(key, None)
        return self._recent.pop(key, None)


def _require_bounds(max_size: int, ttl: float | None) -> None:
    if isinstance(max_size, bool) or not isinstance(max_size, int):
        raise InvalidError("max_size", f"is {type(max_size).__name__}, no whole number", "give one")
    if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, int | float)):
        raise InvalidError("ttl", f"is {type(ttl).__name__}, no number", "give seconds, or None")
    if max_size < 0:
        raise InvalidError("max_size", f"{max_size} is negative", "give 0 or more values")
    if ttl is not None and not ttl > 0:
        raise InvalidError("ttl", f"{ttl} is not positive", "give seconds, or None for no limit")
