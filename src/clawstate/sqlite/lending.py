"""`Lending`: who uses a database just now; nobody while the process forks, or after the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from clawstate.errors import ClosedError, UnavailableError
from clawstate.interrupts import Use

_FORK_PATIENCE = 10.0  # seconds
_LOOK = 0.001  # seconds between two looks around a fork
_MANY = 64  # users of whom some may be over


class Lending:
    """
    Notes each use, of any number of threads, also one inside the other.

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
        self._users[key] = use  # before the look: a fork looks in the other order
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
        """Let nobody in any longer."""
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
            if any(use.thread == here for use in list(self._users.values())):
                break
            time.sleep(_LOOK)
        if self._users:
            # Used by this very thread, or for too long: the child must not touch the file.
            self._orphaned = True
        else:
            close_all()

    def resume(self, *, in_child: bool) -> None:
        """Go on after a fork."""
        if in_child:
            here = threading.get_ident()  # no other thread came along
            users = self._users.copy().items()
            self._users = {key: use for key, use in users if use.thread == here}
        else:
            self._orphaned = False
        self._paused = False
        self._barred = self.closed or self._orphaned

    def _admit(self, key: object, use: Use) -> None:
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
            use = self._users.get(key)
            if use is not None and use.is_over():
                self.leave(key)
        return bool(self._users)
