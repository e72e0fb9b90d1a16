"""
The gate before the writers of one database: they enter one by one, in the order they came.

SQLite's own busy handler polls, so that of four writing processes one starves for seconds. A
kernel lock (`flock`) on a file beside the database queues them instead, and is freed by the
kernel when its owner dies (decision 17). The gate file is empty and never a database file.
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
        self._timeout = timeout
        self._threads = threading.Lock()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """
        Hold the gate for the length of the block.

        Raises `LockTimeoutError` when others held it for the whole *timeout* (seconds).
        """
        started = time.monotonic()
        if not self._threads.acquire(timeout=self._timeout):
            raise LockTimeoutError(
                str(self._path), self._timeout, "a thread of this program writes"
            )
        try:
            descriptor = self._flocked(started)
            try:
                yield
            finally:
                os.close(descriptor)
        finally:
            self._threads.release()

    def _flocked(self, started: float) -> int:
        descriptor = self._opened()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait(descriptor, self._timeout - (time.monotonic() - started))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _opened(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(self._path, flags, 0o600)
        except OSError as error:
            problem = f"cannot be opened ({error.strerror})"
            hint = "check the permissions of its directory and the free space"
            raise UnavailableError(str(self._path), problem, hint) from error

    def _wait(self, descriptor: int, patience: float) -> None:
        # The kernel queues blocked callers fairly but knows no time limit: a thread stands in
        # the queue, and gives its place up once nobody waits for it any longer.
        queue = _Place(descriptor)
        if not queue.reached(max(patience, 0.0)):
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
        try:
            self._event.wait(patience)
        finally:
            with self._mutex:
                arrived = self._event.is_set()
                self._abandoned = not arrived
        return arrived

    def _stand(self) -> None:
        with contextlib.suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        with self._mutex:
            self._event.set()
            if self._abandoned:
                os.close(self._descriptor)
