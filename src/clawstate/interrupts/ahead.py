"""`Ahead`: work that a thread does in order while its caller does something else."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from clawstate.interrupts.import_locks import release_abandoned
from clawstate.interrupts.mutex import Mutex, Signal

Work = TypeVar("Work")
Done = TypeVar("Done")

_LOOK = 0.1  # seconds of waiting, after which what an interrupt left is given back


@dataclass(frozen=True, slots=True)
class _Failed:
    error: BaseException


class Ahead(Generic[Work, Done]):
    """
    Applies *do* to each piece of work, one after the other, in a thread that ends when none waits.

    In place of an executor, whose locks stay locked when an exception comes at the wrong instant:
    whoever ends it waits for ever then.
    """

    def __init__(self, do: Callable[[Work], Done], *, name: str) -> None:
        self._do = do
        self._name = name
        self._waiting: deque[Work] = deque()
        self._done: deque[Done | _Failed] = deque()
        self._ready = Signal()
        self._mutex = Mutex()
        self._thread: threading.Thread | None = None

    def submit(self, work: Work) -> None:
        """Have *work* done after what was submitted before."""
        self._waiting.append(work)
        with self._mutex:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def result(self) -> Done:
        """Return, or raise, what came of the oldest work that was not asked for; wait for it."""
        while not self._done:
            if not self._ready.take(_LOOK):
                release_abandoned()
        done = self._done.popleft()
        if isinstance(done, _Failed):
            raise done.error
        return done

    def end(self) -> None:
        """Drop what is not begun, and wait for what is."""
        self._waiting.clear()
        while (thread := self._thread) is not None and thread.is_alive():
            if not self._ready.take(_LOOK):
                release_abandoned()

    def _run(self) -> None:
        while True:
            with self._mutex:
                if not self._waiting:
                    self._thread = None
                    return
            try:
                work = self._waiting.popleft()
            except IndexError:  # dropped
                continue
            try:
                done: Done | _Failed = self._do(work)
            except BaseException as error:  # noqa: BLE001 - raised again where it is asked for
                done = _Failed(error)
            self._done.append(done)
            self._ready.give()
