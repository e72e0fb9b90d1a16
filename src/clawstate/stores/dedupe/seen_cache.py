"""`SeenCache`: an LRU cache of the marks that this process recorded or read."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TypeAlias

from clawstate.interrupts import Mutex
from clawstate.stores.dedupe.expiry import now_ms
from clawstate.stores.dedupe.settings import DedupeSettings
from clawstate.stores.dedupe.statistics import Counters

Place: TypeAlias = tuple[str, str]
"""Where a mark lies: namespace and key."""


class SeenCache:
    """
    An LRU cache of marks. Safe for threads.

    It holds nothing that is not on disk. Who records or reads a mark there takes the *epoch*
    before: `remember` then leaves out what was forgotten meanwhile.
    """

    def __init__(self) -> None:
        self._lock = Mutex()
        self._marks: OrderedDict[Place, tuple[float, Counters]] = OrderedDict()
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """Changes whenever something is forgotten."""
        return self._epoch

    def holds(self, place: Place, now: float, settings: DedupeSettings) -> bool:
        """Tell whether the mark at *place* is known and holds at *now* (s); count it as used."""
        with self._lock:
            found = self._marks.get(place)
            if found is None:
                return False
            made, counters = found
            ttl = settings.ttl_ms
            # Asked each time: the settings may have changed since the mark was remembered.
            if (ttl and now_ms(now) - made >= ttl) or not settings.memory_max_size:
                del self._marks[place]
                return False
            self._marks.move_to_end(place)
            counters.memory_hits += 1
            return True

    def remember(
        self, place: Place, made: float, counters: Counters, epoch: int, settings: DedupeSettings
    ) -> bool:
        """
        Keep the mark at *place*, *made* at that time (ms); *counters* counts how often it is met.

        False when it was forgotten since *epoch*.
        """
        with self._lock:
            # Forgotten between the write and now: remembered, it would be "seen" while the disk has
            # no mark. One number for all keys is coarse, but forgetting is rare and this is only a
            # cache.
            if epoch != self._epoch or not settings.memory_max_size:
                return False
            self._marks[place] = made, counters
            self._marks.move_to_end(place)
            while len(self._marks) > settings.memory_max_size:
                self._marks.popitem(last=False)
            return True

    def forget(self, place: Place) -> None:
        """Forget the mark at *place*."""
        with self._lock:
            self._epoch += 1
            self._marks.pop(place, None)

    def clear(self) -> None:
        """Forget all marks."""
        with self._lock:
            self._epoch += 1
            self._marks.clear()

    def sizes(self, now: float, settings: DedupeSettings) -> Counter[str]:
        """Return how many marks hold at *now* (s), by namespace; drops all others."""
        ttl, moment = settings.ttl_ms, now_ms(now)
        with self._lock:
            for place, (made, _) in [*self._marks.items()]:
                if ttl and moment - made >= ttl:
                    del self._marks[place]
            return Counter(namespace for namespace, _ in self._marks)
