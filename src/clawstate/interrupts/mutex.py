"""`Mutex` and `Signal`: threads keep apart, and wait, so that no interrupt leaves a lock."""

from __future__ import annotations

import _thread
import contextlib
import sys
import time
from collections import deque
from types import FrameType

from clawstate.interrupts.frames import code_above, is_own

_LOOK_AGAIN = 0.02  # seconds that a waiter sleeps at most
_USUAL = 0.1  # seconds that a holder needs at most, before its stack is looked at


class Mutex:
    """
    One thread at a time, to be used in a `with` block that is left before its frame is.

    Re-entrant. It is taken by noting the frame that holds it, in one step: so a frame that was
    cut off before it could let go is recognised, and the next one takes over.
    """

    __slots__ = ("_holder", "_waiting")

    def __init__(self) -> None:
        self._holder: dict[None, FrameType] = {}
        self._waiting: deque[_thread.LockType] = deque()

    def __enter__(self) -> None:
        frame = sys._getframe(1)  # noqa: SLF001 - the only way to it
        if self._holder.setdefault(None, frame) is not frame:
            self.take(frame)

    def __exit__(self, *_: object) -> None:
        # A frame that holds it already, further down, keeps it.
        if self._holder.get(None) is sys._getframe(1):  # noqa: SLF001 - see above
            self._holder.pop(None, None)
            if self._waiting:
                self._wake()

    def take(
        self, frame: FrameType, *, patience: float | None = None, reentrant: bool = True
    ) -> bool:
        """
        Take it for *frame*, and tell whether it could be within *patience* (seconds).

        Unless it is *reentrant*, the frames of this thread are kept apart as well.
        """
        begun = time.monotonic()
        end = None if patience is None else begun + patience
        doubtful: FrameType | None = None
        while (holder := self._holder.setdefault(None, frame)) is not frame:
            if is_own(holder):
                if reentrant:
                    return True
            elif time.monotonic() - begun > _USUAL and code_above(holder) is None:
                # Its thread went on while its stack was looked at: twice is enough.
                if doubtful is holder:
                    self._take_over(holder, frame)
                    continue
                doubtful = holder
                time.sleep(0)
                continue
            if end is not None and time.monotonic() >= end:
                return False
            self._wait(_LOOK_AGAIN if end is None else min(_LOOK_AGAIN, end - time.monotonic()))
        return True

    def give(self, frame: FrameType) -> None:
        """Release it if it is held for *frame*."""
        if self._holder.get(None) is frame:
            self._holder.pop(None, None)
            if self._waiting:
                self._wake()

    def holder(self) -> FrameType | None:
        """Return the frame that it is held for."""
        return self._holder.get(None)

    def _take_over(self, holder: FrameType, frame: FrameType) -> None:
        # Two waiters may take over from one abandoned holder: `_heirs` lets one of them at a time
        # look and replace it. A waiter that was cut off in here is not waited for any longer.
        locked = _heirs.acquire(timeout=_LOOK_AGAIN)
        try:
            if self._holder.get(None) is holder:
                self._holder[None] = frame
        finally:
            if locked:
                _heirs.release()

    def _wait(self, patience: float) -> None:
        signal = _thread.allocate_lock()
        signal.acquire()
        self._waiting.append(signal)
        if None in self._holder:  # it may have been given back just before
            signal.acquire(timeout=max(patience, 0.0))
        with contextlib.suppress(ValueError):  # woken
            self._waiting.remove(signal)

    def _wake(self) -> None:
        with contextlib.suppress(IndexError, RuntimeError):  # others were faster
            self._waiting.popleft().release()


_heirs = _thread.allocate_lock()


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
