"""
What guards the connections of one database: its writer lock, and a guard around forks and the end.

SQLite keeps notes about locks in the memory of the process. A child inherits the notes but not the
locks, so even a connection of its own would be unsafe while the parent's were open when it forked:
the parent, believing itself alone, would remove the log that the child writes to. So all
connections are closed before a fork, and opened again on both sides when they are needed.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from clawstate.errors import ClosedError, LockTimeoutError, UnavailableError
from clawstate.files.fifo_mutex import FifoMutex, QueueTimeoutError
from clawstate.interrupts import Mutex, Use, hold, let_go

_FORK_PATIENCE = 10.0  # seconds
_LOOK = 0.001  # seconds between two looks around a fork
_MANY = 64  # users of whom some may be over


class WriterLock:
    """
    One writer at a time, between threads and between processes, first in first out.

    Not reentrant. SQLite's own busy handler polls, so that of four writing processes one starves
    for seconds (decision 2). The queue lies in two empty files beside the database.
    """

    def __init__(self, path: Path, *, timeout: float = 30.0) -> None:
        self._path = path
        self._timeout = timeout
        # The names of the files stay: releases that run at the same time wait at the same lock.
        self._queue = FifoMutex(path, path.with_suffix(".turn"))
        # Threads of one process wait here for each other. In the kernel's queue each of them would
        # need a second thread that blocks for it.
        self._threads = Mutex()

    def hold(self) -> HeldWriterLock:
        """
        Hold the lock for the length of a `with` block.

        Raises `LockTimeoutError` when others held it for the whole *timeout* (seconds).
        """
        return HeldWriterLock(self)

    def acquire(self, use: Use) -> None:
        """Hold the lock until `release`, or until *use* is over; raises as `hold`."""
        # Not the clock of the day, which somebody may set while we wait.
        end = time.monotonic() + self._timeout
        if not self._threads.take(use.frame, patience=self._timeout, reentrant=False):
            hint = "a thread of this program writes"
            raise LockTimeoutError(str(self._path), self._timeout, hint)
        try:
            self._queue.enter(end, owner=use)
        # The mutex of the threads goes back with the use: see `release`.
        except QueueTimeoutError:
            hint = "another process is writing or hangs; end it or try again"
            raise LockTimeoutError(str(self._path), self._timeout, hint) from None

    def release(self, use: Use) -> None:
        """Give back what is held for *use*; harmless when that is done."""
        self._queue.leave_for(use)
        self._threads.give(use.frame)

    def forget(self) -> None:
        """Start afresh in a forked child, where no thread of the parent is."""
        self._threads = Mutex()


class HeldWriterLock:
    """See `WriterLock.hold`."""

    def __init__(self, lock: WriterLock) -> None:
        self._lock = lock

    def is_over(self) -> bool:
        """Tell whether the block is over."""
        return self._use.is_over()

    def discard(self) -> None:
        """Give the lock back."""
        self._lock.release(self._use)

    def __enter__(self) -> None:
        self._use = Use()
        self.thread = self._use.thread
        hold(self)
        try:
            self._lock.acquire(self._use)
        except BaseException:
            let_go(self)
            raise

    def __exit__(self, *_: object) -> None:
        let_go(self)


class PoolGuard:
    """
    Notes who uses the connections, of any number of threads, also one use inside the other.

    Nobody uses them while the process forks, or after the end.

    A use that was cut off before it could be taken out counts no longer.
    """

    def __init__(self, path: Path) -> None:
        self.closed = False
        self._path = path
        self._users: dict[object, Use] = {}
        self._paused = False
        self._orphaned = False
        self._barred = False

    def enter(self, key: object, use: Use) -> None:
        """
        Note *use* under *key*; waits for a fork to be over.

        Raises `ClosedError` after the end, and `UnavailableError` in a child that was forked from
        within a use.
        """
        # First the note, then the look whether others are barred; a fork bars them first and looks
        # for users then. So one of the two sees the other, without a lock between them.
        self._users[key] = use
        # One look in the usual case: this is on the way of every read.
        if self._barred:
            try:
                self._admit(key, use)
            except BaseException:
                self.leave(key)
                raise
        elif len(self._users) > _MANY:
            self._tidy()

    def leave(self, key: object) -> None:
        """Take out what is noted under *key*; harmless when it is not."""
        self._users.pop(key, None)

    def close(self) -> None:
        """Refuse all users from now on."""
        self.closed = True
        self._barred = True

    def require_open(self) -> None:
        """Raise `ClosedError` after the end."""
        if self.closed:
            raise ClosedError(str(self._path))

    def pause(self, close_all: Callable[[], object]) -> None:
        """Wait until nobody uses the database, and then *close_all*: a fork follows."""
        self._paused = self._barred = True
        end = time.monotonic() + _FORK_PATIENCE
        here = threading.get_ident()
        while self._tidy() and time.monotonic() < end:
            # It would wait for itself: the fork comes from within a `with` block of this thread.
            if any(use.thread == here for use in list(self._users.values())):
                break
            time.sleep(_LOOK)
        if self._users:
            # Used by this very thread, or for too long: the child must not touch the file.
            self._orphaned = True
        else:
            # Also what nobody uses: SQLite's notes about locks go over to the child with every open
            # connection, the locks do not (decision 2).
            close_all()

    def resume(self, *, in_child: bool) -> None:
        """Go on after a fork."""
        if in_child:
            here = threading.get_ident()  # no other thread came along
            # In the child `_orphaned` stays as it is: where connections were open at the fork, the
            # child must not touch the file.
            users = self._users.copy().items()
            self._users = {key: use for key, use in users if use.thread == here}
        else:
            self._orphaned = False
        self._paused = False
        self._barred = self.closed or self._orphaned

    def _admit(self, key: object, use: Use) -> None:
        # Whoever is inside already is let in once more: the fork waits for it, so it must not wait
        # for the fork.
        while self._paused and not self._is_inside(key):
            self.leave(key)
            time.sleep(_LOOK)
            self._users[key] = use
        self.require_open()
        if self._orphaned and not self._paused:
            problem = "was in use while this process was forked from another"
            raise UnavailableError(str(self._path), problem, "start a new process instead")

    def _is_inside(self, key: object) -> bool:
        here = threading.get_ident()
        return any(
            use.thread == here for other, use in self._users.copy().items() if other is not key
        )

    def _tidy(self) -> bool:
        """Take out those that are over, and tell whether others are left."""
        over = [key for key, use in self._users.copy().items() if use.is_over()]
        for key in over:
            # Two looks: one alone may be wrong of a thread that goes on meanwhile (`Use.is_over`).
            use = self._users.get(key)
            if use is not None and use.is_over():
                self.leave(key)
        return bool(self._users)


class Forkable(Protocol):
    """What can be paused around a fork."""

    def pause(self) -> None:
        """Close everything and admit nobody until `resume`."""

    def resume(self, *, in_child: bool) -> None:
        """Admit users again."""


_OPEN: weakref.WeakSet[Forkable] = weakref.WeakSet()


def pause_around_forks(forkable: Forkable) -> None:
    """Pause *forkable* around every fork of this process."""
    _OPEN.add(forkable)


def _before() -> None:
    for each in list(_OPEN):
        each.pause()


def _in_parent() -> None:
    for each in list(_OPEN):
        each.resume(in_child=False)


def _in_child() -> None:
    for each in list(_OPEN):
        each.resume(in_child=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
