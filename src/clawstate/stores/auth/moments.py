"""When a token ends, as programs write it: in milliseconds, and by mistake in other units."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from clawstate.clock import from_iso, from_ms
from clawstate.errors import InvalidError
from clawstate.records.contract import Json

LAST_DATE: Final = 253_402_214_400_000
"""Milliseconds of the last day of the year 9999; what is later has no date that can be told."""

FIRST_DATE: Final = 1_000_000_000.0
"""Seconds of 2001-09-09, before which no token can have ended."""

_FIRST_MS = 100_000_000_000  # of the year 1973; as seconds, of the year 5138
_FIRST_US = 100_000_000_000_000
_FIRST_NS = 100_000_000_000_000_000


def moment_of(value: Json) -> float | None:
    """
    Return the moment that the number *value* means, in seconds since the epoch, or `None`.

    Milliseconds are meant. Seconds are told by their size: as milliseconds they would be a date
    before 1973, when there were no tokens. 0, negative numbers and dates beyond the year 9999 mean
    no moment: some providers write them for a token without an end.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if is_in_seconds(value):
        return float(value)
    return from_ms(value) if 0 < value <= LAST_DATE else None


def is_in_seconds(value: Json) -> bool:
    """Tell whether the moment *value* is written in seconds where milliseconds are meant."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and FIRST_DATE <= value < _FIRST_MS


def any_moment_of(value: Json) -> float | None:
    """Return the moment that a provider means with *value*: of any unit, or as a date."""
    if isinstance(value, str):
        with suppress(InvalidError):
            return from_iso(value)
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value >= _FIRST_NS:
            return moment_of(value / 1_000_000) if value < _FIRST_NS * 1000 else None
        if value >= _FIRST_US:
            return moment_of(value / 1000)
    return moment_of(value)
