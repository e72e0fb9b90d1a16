"""`Moment`: a time as callers give it, and the seconds that it means."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time
from typing import Final, TypeAlias

from clawstate.clock import from_iso, from_ms, is_moment, to_ms
from clawstate.errors import InvalidError

Moment: TypeAlias = float | str | date
"""A time: seconds, ISO text, a date or a datetime; in UTC where it has no zone."""

DAY: Final = 86_400.0

_DATE = re.compile(r"\s*\d{4}-\d\d-\d\d\s*")


def end_seconds(name: str, value: Moment) -> float:
    """Return *value* as `moment_seconds` does, of a day its last millisecond."""
    is_day = isinstance(value, date) and not isinstance(value, datetime)
    if is_day or (isinstance(value, str) and _DATE.fullmatch(value)):
        return from_ms(to_ms(moment_seconds(name, value) + DAY) - 1)
    return moment_seconds(name, value)


def moment_seconds(name: str, value: Moment) -> float:
    """Return *value* in seconds, exact to the millisecond as records are."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if isinstance(value, datetime):
        # As texts without a zone: a state that is moved to another machine must mean the same.
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return from_ms(to_ms(aware.timestamp()))
    if isinstance(value, str):
        return from_ms(to_ms(from_iso(value)))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidError(name, "is not a time", "give seconds, ISO text, a date or a datetime")
    if not math.isfinite(value) if isinstance(value, float) else abs(value) >= 1 << 63:
        raise InvalidError(name, "is no finite number of seconds")
    if not is_moment(value):
        raise InvalidError(name, "lies outside of the years 1970 to 9999", "use seconds")
    # Records have whole milliseconds; a bound between two of them would find or miss by rounding.
    return from_ms(to_ms(float(value)))
