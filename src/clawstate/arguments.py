"""What callers hand in, refused with a typed error before anything is done with it."""

from __future__ import annotations

import math

from clawstate.errors import InvalidError

_MOST = 1 << 62


def require_text(name: str, value: object) -> str:
    """Return *value*, which has to be text; raises `InvalidError` for the argument *name*."""
    if not isinstance(value, str):
        raise InvalidError(name, f"is {type(value).__name__}, not text", "give a str")
    return value


def require_seconds(name: str, value: object) -> float:
    """Return *value*, a finite number of seconds that is not negative; raises `InvalidError`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidError(name, f"is {type(value).__name__}, not a number", "give seconds")
    if not 0 <= value < _MOST or not math.isfinite(value):
        raise InvalidError(name, f"{value!r:.40} is out of range", "give 0 or more seconds")
    return value


def require_count(name: str, value: object) -> int:
    """Return *value*, a whole number that is not negative; raises `InvalidError`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidError(name, f"is {type(value).__name__}, not a whole number", "give a number")
    if not 0 <= value < _MOST:
        raise InvalidError(name, f"{value!r:.40} is out of range", "give 0 or more")
    return value
