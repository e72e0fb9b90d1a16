"""
How often a wrong code may be tried: five a minute from one place, twenty from all.

The count is kept with the records, so that neither a restart nor another process begins anew. With
three codes alive for an hour, guessing succeeds once in some hundred million hours.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final, TypeGuard

from clawstate.arguments import require_text
from clawstate.clock import Clock, from_ms, to_ms
from clawstate.errors import LimitError
from clawstate.records.contract import Collection, CollectionSpec, Json
from clawstate.records.layouts import MapLayout

ATTEMPTS: Final = CollectionSpec(
    "pairing-attempts",
    PurePosixPath("state/pairing-attempts.json"),
    MapLayout("attempts", version=1),
)
"""`{version: 1, attempts: {<place>: {left, atMs}}}`; places that may try freely are left out."""

PER_PLACE: Final = 5
IN_ALL: Final = 20
WINDOW: Final = 60.0  # seconds until all tries are free again

_ALL = "all"
_PLAIN = re.compile(r"[ -~]{1,64}")


class Attempts:
    """
    Counts wrong codes, in *tries*, across processes and restarts. Safe for threads.

    A clock that was set, forward or back, frees tries; it can never lock anybody out for longer.
    """

    def __init__(self, tries: Collection, *, clock: Clock) -> None:
        self._tries = tries
        self._clock = clock

    def admit(self, source: str, *, right: bool) -> None:
        """
        Let a try from *source* pass, and count it unless it is *right*.

        Raises `LimitError`, which says when to try again, also for what would have been right: who
        guesses must not learn it.
        """
        mine = _place(source)

        def change(records: dict[str, Json]) -> tuple[Mapping[str, Json], tuple[int, float] | None]:
            # Under the lock: a try that waited counts from when it is judged.
            now = self._clock()
            left = {
                place: _free_tries(records.get(place), most, now=now)
                for place, most in ((mine, PER_PLACE), (_ALL, IN_ALL))
            }
            limit, wait = max(
                ((most, _wait(left[place], most)) for place, most in _limits(mine)),
                key=lambda each: each[1],
            )
            # Before *right* is looked at: who is over the limit learns nothing about the code.
            if wait > 0:
                return _mend(records, now), (limit, wait)
            if right:
                return records, None
            spent = {
                place: {"left": round(tries - 1, 6), "atMs": to_ms(now)}
                for place, tries in left.items()
            }
            return {**_drop_recovered(records, now), **spent}, None

        refused = self._tries.change_all(change)
        if refused is not None:
            raise _refusal(*refused)


def _limits(mine: str) -> tuple[tuple[str, int], ...]:
    return (mine, PER_PLACE), (_ALL, IN_ALL)


def _place(source: str) -> str:
    if _PLAIN.fullmatch(require_text("source", source)):
        return f"from {source}"
    # A source comes from outside; as a key it must be short and printable.
    digest = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
    return f"from #{digest[:32]}"


def _free_tries(record: Json | None, most: int, *, now: float) -> float:
    """Return how many tries are free *now*; none where the record cannot be read."""
    if record is None:
        return float(most)
    # A file that was tampered with, or damaged, must not give free tries.
    if not _is_count(record):
        return 0.0
    # A token bucket: tries come back evenly, instead of all at once at the end of a window.
    regained = abs(now - from_ms(record["atMs"])) * most / WINDOW
    return min(float(most), max(0.0, record["left"]) + regained)


def _is_count(record: Json) -> TypeGuard[Mapping[str, float]]:
    is_object = isinstance(record, Mapping)
    return is_object and all(_is_number(record.get(name)) for name in ("left", "atMs"))


def _is_number(value: Json) -> TypeGuard[float]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < 2**53 and math.isfinite(value)


def _wait(left: float, most: int) -> float:
    return max(0.0, (1.0 - left) * WINDOW / most)


def _mend(records: Mapping[str, Json], now: float) -> dict[str, Json]:
    """Return *records*, with a beginning for the wait where one cannot be read."""
    begun = {"left": 0.0, "atMs": to_ms(now)}
    return {place: record if _is_count(record) else begun for place, record in records.items()}


def _drop_recovered(records: Mapping[str, Json], now: float) -> dict[str, Json]:
    # What may try freely again is left out, so guessing from many places cannot fill the file.
    return {
        place: record
        for place, record in records.items()
        if _free_tries(record, IN_ALL if place == _ALL else PER_PLACE, now=now)
        < (IN_ALL if place == _ALL else PER_PLACE)
    }


def _refusal(limit: int, wait: float) -> LimitError:
    seconds = math.ceil(wait)
    hint = f"try again in {seconds} s"
    return LimitError("wrong pairing codes a minute", limit, hint, retry_after=wait)
