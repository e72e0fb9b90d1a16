"""Quantities as people write and read them: `30d`, `500 ms`, `10mb`, `1 record`."""

from __future__ import annotations

import math
import re
from typing import Literal

from clawstate.errors import InvalidError

DurationUnit = Literal["ms", "s", "m", "h", "d"]

_NUMBER = r"\d+(?:\.\d+)?"
_PARTS = "".join(
    rf"(?:{_NUMBER}\s*{unit}\s*)?"
    # An `m` before an `s` is the beginning of milliseconds, and no minute.
    for unit in ("[yY]", "[wW]", "[dD]", "[hH]", "[mM](?![sS])", "[sS]", "[mM][sS]")
)
# Each part may be missing, but not all of them: a digit has to come first.
DURATION = rf"^\s*(?:{_NUMBER}|(?=\d){_PARTS})\s*$"
"""`90`, `30d`, `2w`, `1h30m`: a number in the unit of its place, or each unit once, large first."""

SIZE = r"^\s*\d+(\.\d+)?\s*([kKmMgGtT]?[bB])?\s*$"

_SECONDS = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 7 * 86_400.0,
    "y": 365.25 * 86_400.0,
}
LONGEST = 1_000 * _SECONDS["y"]
"""Seconds of a duration at most: beyond, no date can tell when it ends."""
_BYTES = {"b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3, "tb": 1024**4}
_CONSONANT_Y = re.compile("[^aeiou]y$")
_WORDS = re.compile(r"([0-9.]+)\s*([a-z]*)")


def duration_seconds(value: float | str, *, unit: DurationUnit) -> float:
    """
    Return the seconds that *value* means; a number without a unit counts in *unit*.

    The units are `ms`, `s`, `m`, `h`, `d`, `w` and `y`, and may follow one another, as in `1h30m`.
    Raises `InvalidError` for anything else, and for what is negative, or more than 1,000 years.
    """
    amount = _amount(value, DURATION, _SECONDS, unit)
    if amount is None:
        raise InvalidError("duration", "cannot be read", "write a number and a unit, such as 30d")
    if amount > LONGEST:
        raise InvalidError("duration", "is out of range", "take at most 1000y")
    return amount


def age_text(seconds: float) -> str:
    """Return a length of time in whole parts of its largest unit, such as `3 hours`."""
    for unit, name in (("d", "day"), ("h", "hour"), ("m", "minute")):
        if seconds >= _SECONDS[unit]:
            return number_of(int(seconds // _SECONDS[unit]), name)
    return number_of(int(seconds), "second")


def size_bytes(value: float | str) -> int:
    """
    Return the bytes that *value* means, rounded down; a number without a unit counts bytes.

    The units are `b`, `kb`, `mb`, `gb` and `tb`, each 1,024 times the one before. Raises
    `InvalidError` for anything else, and for what is negative or not finite.
    """
    amount = _amount(value, SIZE, _BYTES, "b")
    if amount is None:
        raise InvalidError("size", "cannot be read", "write a number and a unit, such as 10mb")
    return int(amount)


def number_of(count: int, one: str, many: str = "") -> str:
    """
    Return *count* with the words for *one*, or those for *many*: by default the plural of *one*.

    A verb may be among them: `number_of(2, "record waits", "records wait")`.
    """
    if count == 1:
        return f"1 {one}"
    plural = f"{one[:-1]}ies" if _CONSONANT_Y.search(one) else f"{one}s"
    return f"{count:,} {many or plural}"


def _amount(
    value: float | str, pattern: str, units: dict[str, float] | dict[str, int], unit: str
) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        # Otherwise `\d` takes the digits of every script.
        if not re.match(pattern, value, re.ASCII):
            return None
        parts = _WORDS.findall(value.lower())
        return _finite(sum(float(digits) * units[name or unit] for digits, name in parts))
    try:
        return _finite(value * float(units[unit]))
    # An integer that is larger than any float.
    except OverflowError:
        return None


def _finite(amount: float) -> float | None:
    return amount if math.isfinite(amount) and amount >= 0 else None
