"""`BackgroundLayout`: a thread that lays out a map while what there is of it is shown."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

from clawstate.errors import StateError
from clawstate.interrupts import Mutex

_GRACE = 2.0  # seconds that closing waits


class BackgroundLayout:
    """
    Calls *lay_out*, given what tells whether to stop, from a thread of its own, one at a time.

    Its failures are told to nobody: the map stays as it was. Thread-safe.
    """

    def __init__(self, lay_out: Callable[[Callable[[], bool]], object]) -> None:
        self._lay_out = lay_out
        self._mutex = Mutex()
        self._thread: threading.Thread | None = None
        self._over = threading.Event()
        self._ends = False

    @property
    def is_running(self) -> bool:
        """Tell whether it is at work."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def start(self) -> None:
        """Begin, unless it is at work."""
        with self._mutex:
            if self._ends or self.is_running:
                return
            self._over = over = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(over,), name="clawstate-map", daemon=True
            )
            self._thread.start()

    def stop(self) -> bool:
        """Have it end soon; tell whether it was at work."""
        was_running = self.is_running
        self._over.set()
        return was_running

    def close(self) -> None:
        """End it, and wait for that shortly."""
        with self._mutex:
            self._ends = True
            thread = self._thread
        self._over.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_GRACE)

    def _run(self, over: threading.Event) -> None:
        if hasattr(os, "setpriority"):
            # Of this thread alone, as Linux has it: whoever asks for a page comes first.
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 3)
        with suppress(StateError):
            self._lay_out(over.is_set)
