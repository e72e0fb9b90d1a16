"""
The gate before the writers of one database: they enter one by one, in the order they came.

SQLite's own busy handler polls, so that of four writing processes one starves for seconds. Kernel
locks (`flock`) on two empty files beside the database queue them instead, and are freed by the
kernel when their owner dies (decision 17). Who wants in first takes the turn, then the gate, then
gives the turn back: so nobody who leaves can slip in again before those who wait.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clawstate.errors import LockTimeoutError, UnavailableError


class WriterGate:
    """One writer at a time, between threads and between processes; not reentrant."""

    def __init__(self, path: Path, *, timeout: float = 30.0) -> None:
        self._path = path
        self._turn = path.with_suffix(".turn")
        self._timeout = timeout
        self._threads = threading.Lock()
        self._descriptors: set[int] = set()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """
        Hold the gate for the length of the block.

        Raises `LockTimeoutError` when others held it for the whole *timeout* (seconds).
        """
        end = time.monotonic() + self._timeout
        if not self._threads.acquire(timeout=self._timeout):
            hint = "a thread of this program writes"
            raise LockTimeoutError(str(self._path), self._timeout, hint)
        try:
            turn = self._locked(self._turn, end)
            try:
                gate = self._locked(self._path, end)
            finally:
                self._unlock(turn)
            try:
                yield
            finally:
                self._unlock(gate)
        finally:
            self._threads.release()

    def forget(self) -> None:
        """Let go of what a fork brought along from the parent; to be called in the child."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = set()
        self._threads = threading.Lock()

    def _locked(self, path: Path, end: float) -> int:
        descriptor = self._opened(path)
        self._descriptors.add(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait(descriptor, max(end - time.monotonic(), 0.0))
        except BaseException:
            self._unlock(descriptor)
            raise
        return descriptor

    def _unlock(self, descriptor: int) -> None:
        if descriptor in self._descriptors:  # not after a fork, in the child
            self._descriptors.discard(descriptor)
            # Unlocked by name: a child that was forked meanwhile holds a copy of the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def _opened(self, path: Path) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(path, flags, 0o600)
        except OSError as error:
            problem = f"cannot be opened ({error.strerror})"
            hint = "check the permissions of its directory and the free space"
            raise UnavailableError(str(path), problem, hint) from error

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
            hint = "another process is writing or hangs; end it or try again"
            raise LockTimeoutError(str(self._path), self._timeout, hint)


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
                os.close(self._descriptor)
