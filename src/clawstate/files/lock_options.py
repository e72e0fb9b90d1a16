"""How long to wait for a lock, and when its owner counts as gone."""

from __future__ import annotations

import random
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

from clawstate.arguments import describe
from clawstate.errors import InvalidError

_SPELLINGS = {"minTimeout": "min_timeout", "maxTimeout": "max_timeout"}
_GROWING = 10_000  # attempts after which a pause grows no more: a billion are not added one by one
_MOST_RETRIES = 1 << 62  # longer than any wait, and a float holds it
_NUMBERS = ("factor", "min_timeout", "max_timeout", "stale", "timeout")


@dataclass(frozen=True, init=False)
class LockOptions:
    """
    The options of `withFileLock` (specification "File Locking Strategy"), in seconds.

    The pauses that *retries* attempts would make, growing by *factor* from *min_timeout* to
    *max_timeout* and up to doubled if *randomize*, add up to the patience of `file_lock`; a
    *timeout* replaces that sum. An owner that cannot be examined loses its lock when it gave no
    sign of life for *stale* seconds.

    *retries* may also be the specification's nested form, a mapping or an object that holds the
    first five: `{"retries": 10, "factor": 2, "min_timeout": 0.1}`. With its own spelling,
    `minTimeout` or `maxTimeout`, those and *stale* are in milliseconds, as there. Raises
    `InvalidError` for values that make no sense.
    """

    retries: int = 10
    factor: float = 2.0
    min_timeout: float = 0.1
    max_timeout: float = 10.0
    randomize: bool = True
    stale: float = 30.0
    timeout: float | None = None

    def __init__(
        self,
        retries: int | Mapping[str, Any] | object = 10,
        factor: float = 2.0,
        min_timeout: float = 0.1,
        max_timeout: float = 10.0,
        *,
        randomize: bool = True,
        stale: float = 30.0,
        timeout: float | None = None,
    ) -> None:
        given = {
            "retries": retries,
            "factor": factor,
            "min_timeout": min_timeout,
            "max_timeout": max_timeout,
            "randomize": randomize,
            "stale": stale,
            "timeout": timeout,
        }
        if not isinstance(retries, int | float | str | None):
            given |= {"retries": 10, **_read_nested(retries, stale)}
        for name, value in given.items():
            object.__setattr__(self, name, value)
        self._require_sense()

    def _require_sense(self) -> None:
        """Refuse what no wait can be made of."""
        if isinstance(self.retries, bool) or not isinstance(self.retries, int):
            raise InvalidError(
                "retries", f"{describe(self.retries)} is no whole number", "give one"
            )
        if not isinstance(self.randomize, bool):
            raise InvalidError(
                "randomize", f"{describe(self.randomize)} is no truth value", "give True"
            )
        for name in _NUMBERS:
            value = getattr(self, name)
            if name == "timeout" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InvalidError(
                    name, f"{describe(value)} is no number", "give seconds, such as 30"
                )
        for name in ("retries", *_NUMBERS):
            value = getattr(self, name)
            if value != value:  # noqa: PLR0124 - NaN, and nothing else, is not equal to itself
                raise InvalidError(name, "is not a number (NaN)", "give seconds, such as 30")
            if value is not None and value < 0:
                raise InvalidError(name, f"{value} is negative", "give 0 or more")
        if not self.stale > 0:
            raise InvalidError("stale", f"{self.stale} is not positive", "give seconds, such as 30")

    def patience(self) -> float:
        """Return how many seconds to wait, drawn anew each time if *randomize*."""
        if self.timeout is not None:
            return self.timeout
        # The specification sleeps and tries again; here the sum of its pauses is how long the queue
        # is waited in, since the kernel wakes whoever is next (decision 9).
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
    counted = replace(options, retries=min(options.retries, _GROWING))
    uncounted = min(options.retries, _MOST_RETRIES) - counted.retries
    sums = []
    for jitter in (1.0, 2.0):
        pauses = counted.pauses(jitter)
        sums.append(sum(pauses) + (uncounted * pauses[-1] if uncounted else 0.0))
    return sums[0], sums[1]


def lock_options(given: object) -> LockOptions:
    """
    Return the options that were *given*: as such, in the specification's form, or not at all.

    Raises `InvalidError` for a name that is none of theirs, or a value that makes no sense.
    """
    if given is None:
        return DEFAULT
    if isinstance(given, LockOptions):
        return given
    if not isinstance(given, Mapping):
        problem = f"are a {type(given).__name__}"
        raise InvalidError("lock options", problem, "give LockOptions, or a mapping of its names")
    known = {each.name for each in fields(LockOptions)}
    return LockOptions(**_require_known(given, known, "lock options"))


def _read_nested(retries: object, stale: Any) -> dict[str, Any]:
    """Return the members of the nested form; with its own spelling in milliseconds."""
    names = ("retries", "factor", "min_timeout", "max_timeout", "randomize")
    if isinstance(retries, Mapping):
        found = _require_known(retries, {*names, *_SPELLINGS}, "retries")
    else:
        found = {
            name: getattr(retries, name) for name in (*names, *_SPELLINGS) if hasattr(retries, name)
        }
        if not found:
            hint = "give a number, or a mapping with retries, factor, min_timeout, max_timeout"
            raise InvalidError("retries", f"{describe(retries)} is no whole number", hint)
    in_ms = found.keys() & _SPELLINGS.keys()
    for name in in_ms:
        found[_SPELLINGS[name]] = _milliseconds(name, found.pop(name))
    return {**found, "stale": _milliseconds("stale", stale)} if in_ms else found


def _require_known(given: Mapping[Any, Any], names: AbstractSet[str], place: str) -> dict[str, Any]:
    unknown = [each for each in given if each not in names]
    if unknown:
        hint = f"known are {', '.join(sorted(names))}"
        raise InvalidError(place, f"{describe(unknown[0])} is not one of them", hint)
    return dict(given)


def _milliseconds(name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidError(
            name, f"{describe(value)} is no number", "give milliseconds, such as 30000"
        )
    # A default is in seconds: nobody wrote it in the specification's way.
    return value if name == "stale" and value == LockOptions.stale else value / 1000


PATIENCE = 45.0
"""
Seconds that a state waits for others by default.

More than `stale`: a lock that nobody holds any longer, whatever its date, is had in one wait.
"""

DEFAULT = LockOptions()
"""Auth profiles, pairing, allow lists."""

DEDUPE = LockOptions(retries=6, factor=1.35, min_timeout=0.008, max_timeout=0.18, stale=60.0)
"""Persistent dedupe, as OpenClaw has it."""

PATIENT = LockOptions(timeout=PATIENCE)
"""What belongs to a state, where nobody asked for another patience."""

SESSION_INDEX = LockOptions(timeout=10.0)
"""`acquireSessionWriteLock` on `sessions.json`, for OpenClaw; ours is `PATIENT`."""

TRANSCRIPT = LockOptions(timeout=10.0, stale=1800.0)
"""`acquireSessionWriteLock` on a transcript."""
