"""`Lending`: who uses a database just now; nobody while the process forks, or after the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from clawstate.errors import ClosedError, UnavailableError

_FORK_PATIENCE = 10.0  # seconds


class Lending:
    """
    A block that any number of threads may be in, also one inside the other.

    Entering it waits for a fork to be over, and raises `ClosedError` once *closed* is set. *mutex*
    guards the connections as well.
    """

    def __init__(self, path: Path) -> None:
        self.mutex = threading.Condition()
        self.closed = False
        self._path = path
        self._users: list[int] = []  # the threads that are in a block, once for each
        self._paused = False
        self._orphaned = False

    def __enter__(self) -> None:
        """Raise `ClosedError`, and `UnavailableError` in a child that was forked in a block."""
        thread = threading.get_ident()
        with self.mutex:
            while self._paused and thread not in self._users:
                self.mutex.wait()
            self.require_open()
            if self._orphaned:
                problem = "was in use while this process was forked from another"
                raise UnavailableError(str(self._path), problem, "start a new process instead")
            self._users.append(thread)

    def __exit__(self, *_: object) -> None:
        """Leave the block."""
        with self.mutex:
            self._users.remove(threading.get_ident())
            if self._paused:
                self.mutex.notify_all()

    def require_open(self) -> None:
        """Raise `ClosedError` after the end."""
        if self.closed:
            raise ClosedError(str(self._path))

    def pause(self, close_all: Callable[[], object]) -> None:
        """Wait until nobody is in a block, and then *close_all*: a fork follows."""
        self.mutex.acquire()
        self._paused = True
        end = time.monotonic() + _FORK_PATIENCE
        while self._users and threading.get_ident() not in self._users:
            if not self.mutex.wait(end - time.monotonic()):
                break
        if self._users:
            # Used by this very thread, or for too long: the child must not touch the file.
            self._orphaned = True
        else:
            close_all()

    def resume(self, *, in_child: bool) -> None:
        """Go on after a fork."""
        self._paused = False
        if in_child:
            self.mutex = threading.Condition()
            here = threading.get_ident()  # no other thread came along
            self._users = [thread for thread in self._users if thread == here]
            return
        self._orphaned = False
        self.mutex.notify_all()
        self.mutex.release()
