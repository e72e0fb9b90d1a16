"""
Time as clawstate knows it: seconds since the epoch, from a `Clock` that is handed in.

Milliseconds and ISO text exist only at the border, in files and in documents, because formats
differ in them: all code inside counts in seconds, and a test sets its own clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from clawstate.errors import InvalidError

Clock = Callable[[], float]
"""Returns the present as seconds since the epoch."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Without a zone, `isoformat` writes no offset where the `Z` stands.
_NAIVE_EPOCH = _EPOCH.replace(tzinfo=None)
_LAST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


def system_clock() -> float:
    """Return the machine's time in seconds since the epoch."""
    return time.time()


def to_ms(seconds: float) -> int:
    """Return *seconds* as whole milliseconds."""
    # Not cut off: 1.001 * 1000 is 1000.9999999999999.
    return round(seconds * 1000)


def from_ms(milliseconds: float) -> float:
    """Return *milliseconds* as seconds."""
    return milliseconds / 1000


def to_iso(seconds: float) -> str:
    """Return *seconds* as `YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    moment = _NAIVE_EPOCH + timedelta(milliseconds=to_ms(seconds))
    return f"{moment.isoformat(timespec='milliseconds')}Z"


def from_iso(text: str) -> float:
    """
    Return the seconds since the epoch that the ISO 8601 *text* names; UTC when it has no zone.

    Raises `InvalidError` for anything else.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidError(
            "time", f"{text!r} is not ISO 8601", "write 2026-02-27T09:30Z"
        ) from error
    # Not the zone of this machine: a state that is moved must mean the same.
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH).total_seconds()


def is_moment(seconds: float) -> bool:
    """Tell whether *seconds* lies between the years 1970 and 9999."""
    return 0 <= seconds <= _LAST
