"""The clock of the server, which all machines share."""

from __future__ import annotations

import time

from clawstate.interrupts import Mutex
from clawstate.postgres.connection import Connection
from clawstate.postgres.database import Database

_FRESH = 5.0  # seconds for which the difference of two clocks is known well enough
_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"


class ServerClock:
    """
    The time of the server of *database*, in seconds since the epoch.

    Never asked of the client's calendar, which somebody may set. It is looked at every few seconds
    and counted on by a clock that goes on while the machine sleeps.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._mutex = Mutex()
        self._seen: tuple[float, float] | None = None

    def __call__(self) -> float:
        """Return the time; raises what a read raises."""
        seen, now = self._seen, _steady()
        if seen is None or not 0.0 <= now - seen[0] < _FRESH:
            with self._mutex:
                self._seen = seen = self._database.attempt(_look)
            now = _steady()
        return seen[1] + now - seen[0]


def _look(connection: Connection) -> tuple[float, float]:
    before = _steady()
    ((told,),) = connection.execute(_NOW).fetchall()
    # The middle of the round trip, within which the server looked at its clock.
    return (before + _steady()) / 2, told


def _steady() -> float:
    # Monotonic clocks stand still while the machine sleeps, and leases do not.
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
