"""`GroupCommit`: group commit, one durable write for the calls of many threads at one time."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from clawstate.errors import StateError
from clawstate.interrupts import Mutex

A = TypeVar("A")


@dataclass(slots=True, eq=False)
class Call(Generic[A]):
    """What one thread asks for: the *answer* to *key*, or the *error* that there was."""

    key: str
    answer: A | None = None
    error: StateError | None = None


class GroupCommit(Generic[A]):
    """
    Hands the calls that wait to *work*, which is to answer each of them.

    While it works, those that come queue up for the next time. Nobody gets an answer before *work*
    is done, and a `StateError` of it goes to all that were in its hands.
    """

    def __init__(self, work: Callable[[list[Call[A]]], object]) -> None:
        self._work = work
        self._start()

    def answer(self, key: str) -> A:
        """Return the answer to *key*; raises what *work* raises."""
        if self._process != os.getpid():
            self._start()  # forked: who waited or worked is not here
        call: Call[A] = Call(key)
        self._waiting.append(call)
        try:
            # Whoever gets the turn works for all that wait; those find their answers when they get
            # it.
            with self._turn:
                if call.answer is None and call.error is None:
                    self._lead(call)
        except BaseException:
            # Nobody shall do what somebody who was interrupted gave up.
            with contextlib.suppress(ValueError, IndexError):
                self._waiting.remove(call)
            raise
        if call.error is not None:
            raise call.error
        return cast("A", call.answer)

    def _start(self) -> None:
        self._process = os.getpid()
        self._turn = Mutex()
        self._waiting: deque[Call[A]] = deque()

    def _lead(self, call: Call[A]) -> None:
        # It is missing among those that wait when an error interrupted who took it.
        calls = {id(call): call}
        with contextlib.suppress(IndexError):
            while True:
                each = self._waiting.popleft()
                calls[id(each)] = each
        try:
            self._work([*calls.values()])
        except StateError as error:
            for each in calls.values():
                each.error = error
