"""`Attempts`: who tried too often, of whom a bounded number is remembered."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

from clawstate.errors import LimitError
from clawstate.interrupts import Mutex

_MOST = 4096  # sources


class Attempts:
    """
    Counts what went wrong by *source*: after *limit* within *window* seconds it waits that long.

    This machine is no exception: whatever runs here shares its address with the owner.
    """

    def __init__(self, limit: int, window: float, clock: Callable[[], float]) -> None:
        self.limit = limit
        self._window = window
        self._clock = clock
        self._mutex = Mutex()
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, source: str) -> float:
        """Return for how many seconds *source* has to wait; 0 if not at all."""
        with self._mutex:
            count, since = self._failed.get(source, (0, 0.0))
        left = since + self._window - self._clock()
        # A clock that was set back must not keep anybody out for longer than a window.
        return min(left, self._window) if count >= self.limit and left > 0 else 0.0

    def count(self, source: str, what: str) -> None:
        """Count one more of *source*; raises `LimitError` if there were too many before."""
        wait = self.wait(source)
        self.note(source)
        if wait > 0:
            raise LimitError(what, self.limit, f"wait {math.ceil(wait)} s", wait)

    def note(self, source: str) -> None:
        """Count one more of *source*."""
        now = self._clock()
        with self._mutex:
            count, since = self._failed.pop(source, (0, now))
            if not 0 <= now - since < self._window:
                count, since = 0, now
            self._failed[source] = (count + 1, since if count + 1 < self.limit else now)
            while len(self._failed) > _MOST:
                self._failed.popitem(last=False)
