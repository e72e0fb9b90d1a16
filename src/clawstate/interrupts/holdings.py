"""
What this process holds that others wait for, and the thread that discards what was abandoned.

The thread runs while something is held, or was a moment ago. It matters only to other processes,
and after an interrupt that even the unwinding of the stack did not survive.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import time
from threading import get_ident
from typing import Protocol

from clawstate.interrupts.import_locks import release_abandoned

_LOOK = 0.2  # seconds between two looks: the third at the same thing may discard it
_QUIET = 0.2  # seconds without anything held after which the thread sleeps
_IDLE = 5.0  # seconds of sleep after which it ends


class Owner(Protocol):
    """What something is held for, such as a `Use`."""

    thread: int

    def is_over(self) -> bool:
        """Tell whether nothing is needed for it any longer; see `Use.is_over`."""


class Holding(Owner, Protocol):
    """Something that is held until `discard`, or abandoned when it `is_over`."""

    def discard(self) -> None:
        """Release all of it; harmless when that is done, and any thread may do it."""


def hold(holding: Holding) -> None:
    """Note *holding*, of which nothing is taken yet; what this thread abandoned is discarded."""
    release_abandoned()
    if _held:
        discard_own()
    hold_within(holding)


def hold_within(holding: Holding) -> None:
    """Do as `hold`, for something that is a part of what this thread has just noted."""
    _held[id(holding)] = holding
    if _guard.sleeps:
        _guard.wake()


def let_go(holding: Holding) -> None:
    """Discard *holding*, which is then noted no longer."""
    holding.discard()
    forget(holding)


def forget(holding: Holding) -> None:
    """Note *holding*, of which nothing is held, no longer."""
    _held.pop(id(holding), None)


def discard_own() -> None:
    """Discard what this thread abandoned."""
    if not _held:
        return
    thread = get_ident()
    for holding in list(_held.values()):
        if holding.thread == thread:
            try:
                if holding.is_over():
                    let_go(holding)
            except Exception:  # noqa: BLE001, S112 - it stays noted, and is tried again
                continue


class _Guard:
    """The thread that looks after what is held, and sleeps while nothing is."""

    def __init__(self) -> None:
        self.sleeps = True
        self._ended = True
        self._signal = _thread.allocate_lock()  # released to wake the thread
        self._signal.acquire()

    def wake(self) -> None:
        """Look after what is held from now on."""
        with contextlib.suppress(RuntimeError):
            if self._ended:
                # No more threads: who comes next discards what it meets.
                _thread.start_new_thread(self._run, ())
                self._ended = False
            else:
                self._signal.release()  # refused when another has woken it
        self.sleeps = False

    def _run(self) -> None:
        known: dict[int, Holding] = {}
        doubtful: dict[int, Holding] = {}
        busy = time.monotonic()
        try:
            while True:
                self._signal.acquire(timeout=_LOOK)
                if _held:
                    busy = time.monotonic()
                    known, doubtful = _held.copy(), _take_discarded(known, doubtful)
                elif time.monotonic() - busy > _QUIET and not self._sleep():
                    return
        except BaseException:  # noqa: BLE001 - such as no memory; the next who holds starts another
            self.sleeps = self._ended = True

    def _sleep(self) -> bool:
        """Sleep until something is held; tell whether it was."""
        self.sleeps = True
        if _held or self._signal.acquire(timeout=_IDLE) or _held:
            self.sleeps = False
            return True
        self._ended = True
        if not _held:
            return False
        self.sleeps = self._ended = False
        return True


def _take_discarded(known: dict[int, Holding], doubtful: dict[int, Holding]) -> dict[int, Holding]:
    """
    Discard those of *doubtful* that still are abandoned, and return what seems to be now.

    Only of what was *known* at the look before: most is let go of at once, and the stacks of other
    threads are left alone for it.
    """
    seems = {}
    # Not `list(_held.items())`: making its tuples may collect garbage, and so let others in.
    # The latest first: a lease is given back by a change, which would wait for the lock of a later
    # change that was cut off as well.
    for key, holding in reversed(_held.copy().items()):
        if known.get(key) is not holding:
            continue
        with contextlib.suppress(Exception):  # see above
            if holding.is_over():
                seems[key] = holding
                if doubtful.get(key) is holding:
                    let_go(holding)
    return seems


_held: dict[int, Holding] = {}
_guard = _Guard()


def _forget_all() -> None:
    # In a forked child nothing is held, and the thread is missing.
    global _guard  # noqa: PLW0603 - see above
    _held.clear()
    _guard = _Guard()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
