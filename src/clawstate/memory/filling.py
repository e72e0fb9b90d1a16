"""`Filling`: records that wait for their vectors get them from a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from clawstate.errors import FallbackWarning, StateError, silent
from clawstate.interrupts import Mutex

_GRACE = 2.0  # seconds that closing waits for what is under way
_SELDOM = 30.0  # seconds


class Filling:
    """
    Calls *fill* from a thread, as often as it is woken while that runs, once more at most.

    *fill* is given what tells whether to stop. The thread ends when nothing is left to do. Its
    failures are told to nobody: what waits is counted in the statistics, and a search tells that
    its embedder is away. Safe for threads.
    """

    def __init__(self, fill: Callable[[Callable[[], bool]], object]) -> None:
        self._fill = fill
        self._mutex = Mutex()
        self._thread: threading.Thread | None = None
        self._wanted = False
        self._ends = False
        self._woken = -_SELDOM

    def wake(self, *, seldom: bool = False) -> None:
        """Have *fill* called soon; *seldom*: unless it was lately."""
        if seldom and time.monotonic() - self._woken < _SELDOM:
            return
        with self._mutex:
            if self._ends:
                return
            self._woken = time.monotonic()
            self._wanted = True
            # One that was inherited by a fork is not alive.
            if self._thread is None or not self._thread.is_alive():
                name = "clawstate-vectors"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()

    def close(self, abort: Callable[[], None]) -> None:
        """End the thread: after its batch, or, where that takes long, once *abort* was called."""
        with self._mutex:
            self._ends = True
            thread = self._thread
        if thread is None or thread is threading.current_thread():
            abort()
            return
        thread.join(_GRACE)
        abort()
        thread.join(_GRACE)

    def _run(self) -> None:
        while True:
            with self._mutex:
                if not self._wanted:
                    self._thread = None
                    return
                self._wanted = False
            batches = 0

            def is_over() -> bool:
                nonlocal batches
                batches += 1
                # Who adds a record and closes at once, as a command does, has it embedded.
                return self._ends and batches > 1

            try:
                with silent(FallbackWarning):
                    self._fill(is_over)
            except StateError:
                pass  # what waits goes on waiting
