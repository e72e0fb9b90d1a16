"""How long to wait for a lock, and when its owner counts as gone."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

from clawstate.errors import InvalidError


@dataclass(frozen=True)
class LockOptions:
    """
    The options of `withFileLock` (specification "File Locking Strategy"), in seconds.

    The pauses that *retries* attempts would make, growing by *factor* from *min_timeout* to
    *max_timeout* and up to doubled if *randomize*, add up to the patience of `file_lock`; a
    *timeout* replaces that sum. An owner that cannot be examined loses its lock when it gave no
    sign of life for *stale* seconds.

    Raises `InvalidError` for values that make no sense.
    """

    retries: int = 10
    factor: float = 2.0
    min_timeout: float = 0.1
    max_timeout: float = 10.0
    randomize: bool = True
    stale: float = 30.0
    timeout: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no wait can be made of."""
        for name in ("retries", "factor", "min_timeout", "max_timeout", "timeout"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise InvalidError(name, f"{value} is negative", "give 0 or more")
        if not isinstance(self.retries, int):
            raise InvalidError("retries", f"{self.retries} is no whole number", "give one")
        if not self.stale > 0:
            raise InvalidError("stale", f"{self.stale} is not positive", "give seconds, such as 30")

    def patience(self) -> float:
        """Return how many seconds to wait, drawn anew each time if *randomize*."""
        if self.timeout is not None:
            return self.timeout
        least, most = _bounds(self)
        return least + random.random() * (most - least) if self.randomize else least  # noqa: S311

    def pauses(self, jitter: float) -> list[float]:
        """Return the pauses of all attempts, each times *jitter* (1 to 2) and capped."""
        return [min(self.max_timeout, self._plain(each) * jitter) for each in range(self.retries)]

    def _plain(self, attempt: int) -> float:
        try:
            grown = self.min_timeout * self.factor**attempt
        except OverflowError:
            grown = self.max_timeout
        return min(self.max_timeout, max(self.min_timeout, grown))


@lru_cache(maxsize=64)
def _bounds(options: LockOptions) -> tuple[float, float]:
    return sum(options.pauses(1.0)), sum(options.pauses(2.0))


DEFAULT = LockOptions()
"""Auth profiles, pairing, allow lists."""

DEDUPE = LockOptions(retries=6, factor=1.35, min_timeout=0.008, max_timeout=0.18, stale=60.0)
"""Persistent dedupe, as OpenClaw has it."""

SESSION_INDEX = LockOptions(timeout=10.0)
"""`acquireSessionWriteLock` on `sessions.json`."""

TRANSCRIPT = LockOptions(timeout=10.0, stale=1800.0)
"""`acquireSessionWriteLock` on a transcript."""
