"""How often and for how long something is tried again on a server."""

from __future__ import annotations

import random
import time

import psycopg

from clawstate.postgres.address import Address
from clawstate.postgres.errors import is_lost, is_passing, is_refused, state_error
from clawstate.postgres.pool import Pool

_FIRST, _LONGEST = 0.005, 1.0  # seconds of the pauses, which double
_STRANGER = 3.0  # seconds that one waits for a server that never answered


class Attempts:
    """
    The attempts of one call, until it succeeds or *patience* (seconds) is over.

    Pauses have full jitter, so that those who met once do not meet again (decision 065).
    """

    def __init__(self, address: Address, pool: Pool, patience: float) -> None:
        self.begun = time.monotonic()
        self.deadline = self._patient = self.begun + patience
        self._address = address
        self._pool = pool
        self._count = 0

    @property
    def waited(self) -> float:
        """For how many seconds it has been tried."""
        return time.monotonic() - self.begun

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self.deadline

    def again(self, error: psycopg.Error) -> None:
        """Wait before the next attempt; raises what *error* means if there shall be none."""
        if not self.may_retry(error):
            raise state_error(error, self._address, self.waited) from error
        self.pause()

    def may_retry(self, error: psycopg.Error) -> bool:
        """Tell whether *error* may pass before the time is over."""
        if is_lost(error):
            # A server that went away took all connections with it.
            self._pool.drop_idle()
        if is_refused(error) and not self._pool.was_reached:
            # Most likely the address is wrong, and a person waits.
            self.deadline = min(self.deadline, self.begun + _STRANGER)
        elif not is_refused(error):
            self.deadline = self._patient  # a server answers there, such as one that starts
        return is_passing(error) and not self.is_over

    def pause(self) -> None:
        """Wait for a random time, up to twice as long with each call."""
        longest = min(_LONGEST, _FIRST * 2 ** min(self._count, 16))
        self._count += 1
        left = max(self.deadline - time.monotonic(), 0.0)
        time.sleep(min(random.uniform(0.0, longest), left))  # noqa: S311 - no secret
