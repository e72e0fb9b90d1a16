"""One thread of the process that refreshes its locks well before they look stale (decision 1)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from clawstate.errors import UnavailableError

_IDLE = 10.0  # seconds without a lock after which the thread ends


class Heartbeat:
    """Calls what it is given every so often, from a thread that runs only while it is needed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._beats: dict[object, _Beat] = {}
        self._thread: threading.Thread | None = None
        self._wakes = 0.0

    def start(self, key: object, beat: Callable[[], None], *, period: float) -> None:
        """
        Call *beat* every *period* seconds until `stop`; the first time after one period.

        Raises `UnavailableError` when the system gives no thread.
        """
        with self._changed:
            due = time.monotonic() + period
            if self._thread is None:
                self._wakes = due
                self._thread = self._started()
            elif due < self._wakes:
                self._changed.notify()
            self._beats[key] = _Beat(beat, period, due)

    def stop(self, key: object) -> None:
        """Call what was started under *key* no more."""
        with self._changed:
            self._beats.pop(key, None)

    def forget(self) -> None:
        """Start afresh in a forked child, where the thread is missing."""
        self._changed = threading.Condition()
        self._beats = {}
        self._thread = None

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name="lock beats", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            hint = "raise the limit that 'ulimit -u' shows"
            raise UnavailableError("a thread", "cannot be started", hint) from error
        return thread

    def _run(self) -> None:
        idle_since = time.monotonic()
        while True:
            with self._changed:
                now = time.monotonic()
                if self._beats:
                    idle_since = now
                elif now - idle_since >= _IDLE:
                    self._thread = None
                    return
                due = [beat for beat in self._beats.values() if beat.due <= now]
                for beat in due:
                    beat.due = now + beat.period
                self._wakes = min((beat.due for beat in self._beats.values()), default=now + _IDLE)
                if not due:
                    self._changed.wait(min(self._wakes - now, _IDLE))
            for beat in due:
                beat.call()


class _Beat:
    __slots__ = ("call", "due", "period")

    def __init__(self, call: Callable[[], None], period: float, due: float) -> None:
        self.call = call
        self.period = period
        self.due = due


heartbeat = Heartbeat()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=heartbeat.forget)
