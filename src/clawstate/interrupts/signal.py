"""`Signal`: what one thread waits for and others give, which no interrupt can leave locked."""

from __future__ import annotations

import _thread
import contextlib


class Signal:
    """
    Given by any thread, and taken by the one that waits; given twice it is taken once.

    In place of `threading.Event`, whose lock stays locked when an exception comes at the wrong
    instant, so that whoever gives it next waits for ever.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()  # released once it is given
        self._lock.acquire()

    def give(self) -> None:
        """Let the one who waits go on, or not wait at all."""
        with contextlib.suppress(RuntimeError):  # given already
            self._lock.release()

    def take(self, patience: float) -> bool:
        """Wait up to *patience* seconds and tell whether it was given."""
        return self._lock.acquire(timeout=min(max(patience, 0.0), _thread.TIMEOUT_MAX))
