"""`DirectoryCache`: what was looked up in directories, until it is old or the configuration new."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from clawstate.arguments import require_callable, require_text
from clawstate.caches.ttl import TTLCache
from clawstate.interrupts import Mutex

T = TypeVar("T")

DEFAULT_TTL = 1800.0
"""Seconds after which a lookup is repeated."""

DEFAULT_SIZE = 2000
"""How many lookups are kept."""


class DirectoryCache(TTLCache[str, T]):
    """
    A `TTLCache` of lookups that depend on the configuration (specification, "Directory Cache").

    A call that names another *config* than the last one named empties the cache first; a call
    that names none leaves it as it is. The same object is the same configuration; another object
    is compared with `==`, once, so that a configuration that is read again unchanged costs no
    lookup. One that is changed in place looks the same: name a fingerprint of it instead, such
    as its revision or its hash. The last one named is kept alive by the cache.
    """

    def __init__(
        self,
        max_size: int = DEFAULT_SIZE,
        ttl: float | None = DEFAULT_TTL,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(max_size, ttl, clock=clock)
        self._config: object = None
        # Held around both steps: what a thread gets was put under the configuration it names.
        self._config_lock = Mutex()

    def get(self, key: str, config: object = None) -> T | None:
        """Return the value of *key* under *config* and mark it as used, or `None`."""
        with self._config_lock:
            self._follow(config)
            return super().get(require_text("key", key))

    def put(self, key: str, value: T, config: object = None) -> None:
        """Keep *value*, which was found under *config*, as that of *key*."""
        with self._config_lock:
            self._follow(config)
            super().put(require_text("key", key), value)

    def pop(self, key: str) -> T | None:
        """Remove *key* and return its value, or `None`."""
        return super().pop(require_text("key", key))

    def invalidate(self, predicate: Callable[[str], bool]) -> int:
        """
        Forget the values whose key *predicate* accepts, and return how many they were.

        A value put meanwhile by another thread may stay.
        """
        require_callable("predicate", predicate)
        with self._lock:
            self._expire()
            keys = tuple(self._recent)
        # Asked without a lock, so that it may use the cache itself.
        chosen = [key for key in keys if predicate(key)]
        with self._lock:
            present = [key for key in chosen if key in self._recent]
            for key in present:
                self._forget(key)
        return len(present)

    def _follow(self, config: object) -> None:
        if config is None or config is self._config:
            return
        if self._config is not None and config != self._config:
            self.clear()
        self._config = config
