"""
A fair queue between processes and threads: kernel locks on two empty files.

Polling starves somebody: of four writers that back off, one waits for seconds. The kernel wakes
those who block in `flock`, and frees what a dead process held. Who wants in first takes the turn,
then the gate, then gives the turn back: so nobody who leaves can slip in again before those who
wait (decision 17).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
import weakref
from pathlib import Path

from clawstate.errors import UnavailableError

_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class QueueTimeoutError(Exception):
    """The gate was not reached in time."""


class KernelQueue:
    """One holder of the gate at a time, in the order they came; not reentrant."""

    def __init__(self, gate: Path, turn: Path) -> None:
        self._gate = gate
        self._turn = turn
        self._descriptors: set[int] = set()
        _queues.add(self)

    def prepare(self) -> None:
        """Make the directory of the queue, private; raises `UnavailableError`."""
        folder = self._gate.parent
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            problem = f"cannot be made ({error.strerror})"
            raise UnavailableError(str(folder), problem, "check its permissions") from error

    def enter(self, end: float) -> int:
        """
        Return the descriptor of the gate, held; wait until *end* (on `time.monotonic`).

        Raises `QueueTimeoutError`, `UnavailableError`.
        """
        turn = self._locked(self._turn, end)
        try:
            return self._locked(self._gate, end)
        finally:
            self.leave(turn)

    def leave(self, descriptor: int) -> None:
        """Give the gate back."""
        if descriptor in self._descriptors:  # not after a fork, in the child
            self._descriptors.discard(descriptor)
            # Unlocked by name: a child that was forked meanwhile holds a copy of the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def forget(self) -> None:
        """Let go of what a fork brought along from the parent; to be called in the child."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = set()

    def _locked(self, path: Path, end: float) -> int:
        descriptor = _opened(path)
        self._descriptors.add(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait(descriptor, max(end - time.monotonic(), 0.0))
        except BaseException as error:
            self.leave(descriptor)
            if not isinstance(error, OSError):
                raise
            problem = f"cannot be locked ({error.strerror})"
            hint = "use a file system that knows flock, or the PostgreSQL backend"
            raise UnavailableError(str(path), problem, hint) from error
        return descriptor

    def _wait(self, descriptor: int, patience: float) -> None:
        # The kernel queues blocked callers but knows no time limit: a thread stands in the
        # queue, and gives its place up once nobody waits for it any longer.
        place = _Place(descriptor)
        try:
            reached = place.reached(patience)
        except BaseException:
            self._descriptors.discard(descriptor)
            raise
        if not reached:
            self._descriptors.discard(descriptor)
            raise QueueTimeoutError


_queues: weakref.WeakSet[KernelQueue] = weakref.WeakSet()


def _forget_all() -> None:
    for queue in _queues:
        queue.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _opened(path: Path) -> int:
    try:
        return os.open(path, _OPEN, 0o600)
    except OSError as error:
        problem = f"cannot be opened ({error.strerror})"
        hint = "check the permissions of its directory and the free space"
        raise UnavailableError(str(path), problem, hint) from error


class _Place:
    """A place in the kernel's queue for the lock on *descriptor*, which it owns until reached."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._abandoned = False
        self._mutex = threading.Lock()
        self._event = threading.Event()
        threading.Thread(target=self._stand, daemon=True).start()

    def reached(self, patience: float) -> bool:
        """Wait up to *patience* seconds; False gives the place up, with its descriptor."""
        try:
            self._event.wait(patience)
        finally:
            with self._mutex:
                arrived = self._event.is_set()
                self._abandoned = not arrived
        return arrived

    def _stand(self) -> None:
        while True:
            with contextlib.suppress(InterruptedError):
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
                break
        with self._mutex:
            self._event.set()
            if self._abandoned:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # a forked child may hold a copy
                os.close(self._descriptor)
