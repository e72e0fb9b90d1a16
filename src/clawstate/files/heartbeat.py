"""One thread of the process that refreshes its locks well before they look stale (decision 9)."""

from __future__ import annotations

import _thread
import os
import time
from collections.abc import Callable
from contextlib import suppress

from clawstate.errors import UnavailableError
from clawstate.interrupts import Mutex

_IDLE = 10.0  # seconds without a lock after which the thread ends


class Heartbeat:
    """Calls what it is given every so often, from a thread that runs only while it is needed."""

    def __init__(self) -> None:
        self.forget()

    def start(self, key: object, beat: Callable[[], None], *, period: float) -> None:
        """
        Call *beat* every *period* seconds until `stop`; the first time after one period.

        Raises `UnavailableError` when the system gives no thread.
        """
        due = time.monotonic() + period
        self._beats[key] = _Beat(beat, period, due)
        with self._mutex:
            if self._ended:
                self._start(due)
            # Only for one that is due before the thread would wake by itself.
            elif due < self._wakes and self._signal.locked():
                self._signal.release()

    def stop(self, key: object) -> None:
        """Call what was started under *key* no more."""
        self._beats.pop(key, None)

    def forget(self) -> None:
        """Start afresh in a forked child, where the thread is missing."""
        self._mutex = Mutex()
        self._beats: dict[object, _Beat] = {}
        self._ended = True
        self._wakes = 0.0
        self._signal = _thread.allocate_lock()  # released to wake the thread
        self._signal.acquire()

    def _start(self, due: float) -> None:
        self._wakes = due
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError as error:
            hint = "raise the limit that 'ulimit -u' shows"
            raise UnavailableError("a thread", "cannot be started", hint) from error
        self._ended = False

    def _run(self) -> None:
        idle_since = time.monotonic()
        while True:
            now = time.monotonic()
            with self._mutex:
                beats = list(self._beats.values())
                if beats:
                    idle_since = now
                elif now - idle_since >= _IDLE:
                    self._ended = True
                    return
                due = [beat for beat in beats if beat.due <= now]
                for beat in due:
                    beat.due = now + beat.period
                self._wakes = min((beat.due for beat in beats), default=now + _IDLE)
            # Outside of the mutex: a beat writes to the disk, and whoever takes a lock must not
            # wait for it.
            if due:
                for beat in due:
                    # One that fails is due again; the thread is that of all others as well.
                    with suppress(Exception):
                        beat.call()
            else:
                self._signal.acquire(timeout=min(self._wakes - now, _IDLE))


class _Beat:
    __slots__ = ("call", "due", "period")

    def __init__(self, call: Callable[[], None], period: float, due: float) -> None:
        self.call = call
        self.period = period
        self.due = due


heartbeat = Heartbeat()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=heartbeat.forget)
