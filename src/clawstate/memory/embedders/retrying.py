"""`Retries` and `Circuit`: requests made again in a while, and none while a server is down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from clawstate.memory.embedders.connection import Remaining
from clawstate.memory.embedders.endpoint import Failure

T = TypeVar("T")

_FIRST, _MOST = 0.5, 20.0  # seconds: what the first pause is shorter than, and every other one
_RESTS = (5.0, 15.0, 60.0, 300.0)  # seconds that nobody asks after so many failures in a row
_CHANGED = 60.0  # seconds, where waiting does not help but a new setting may
_LONGEST = 3600.0  # of what a server asks for


@dataclass(frozen=True, slots=True)
class Retries:
    """
    How often a request is made, at most *attempts* times, with pauses of random length between.

    *random* returns a number from 0 to 1. The pauses double and are drawn from 0 up ("full
    jitter"), so that those whom a server failed together do not come back together.
    """

    sleep: Callable[[float], object]
    random: Callable[[], float]

    def run(
        self, ask: Callable[[], T | Failure], remaining: Remaining, *, attempts: int
    ) -> T | Failure:
        """Return what *ask* returns at last; it is not waited for what *remaining* has no time."""
        for number in range(attempts):
            answer = ask()
            if not isinstance(answer, Failure) or not answer.passes or number == attempts - 1:
                break
            pause = self.random() * min(_MOST, _FIRST * 2**number)
            if answer.wait is not None:
                pause += answer.wait  # never sooner than the server wants
            try:
                if pause >= remaining():
                    break
            except TimeoutError:
                break
            self.sleep(pause)
        return answer


class Circuit:
    """
    Whether a server is worth a question: not for a while after it failed, longer each time.

    Otherwise each search would wait for a server that is down. *clock* gives seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failure: Failure | None = None
        self._until = 0.0
        self._failures = 0

    @property
    def is_open(self) -> bool:
        """Whether nobody is to ask now."""
        return self._failure is not None and self._clock() < self._until

    def failure(self) -> Failure | None:
        """Return why nobody is to ask; None where one may, who has to tell what came of it."""
        failure, now = self._failure, self._clock()
        if failure is not None and now < self._until:
            return failure
        if failure is not None:
            # One at a time finds out whether it is up again.
            self._until = now + self._rest(failure)
        return None

    def open(self, failure: Failure) -> None:
        """Note that the server failed."""
        self._failures += 1
        self._failure = failure
        self._until = self._clock() + self._rest(failure)

    def close(self) -> None:
        """Note that the server answered."""
        self._failure, self._failures = None, 0

    def _rest(self, failure: Failure) -> float:
        if not failure.passes:
            return _CHANGED
        rest = _RESTS[min(max(self._failures, 1), len(_RESTS)) - 1]
        return min(max(rest, failure.wait or 0.0), _LONGEST)
