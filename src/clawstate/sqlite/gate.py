"""
The gate before the writers of one database: they enter one by one, in the order they came.

SQLite's own busy handler polls, so that of four writing processes one starves for seconds
(decision 17). The queue lies in two empty files beside the database.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clawstate.errors import LockTimeoutError
from clawstate.files.queue import KernelQueue, QueueTimeoutError


class WriterGate:
    """One writer at a time, between threads and between processes; not reentrant."""

    def __init__(self, path: Path, *, timeout: float = 30.0) -> None:
        self._path = path
        self._timeout = timeout
        self._queue = KernelQueue(path, path.with_suffix(".turn"))
        # Threads would queue in the kernel as well, but each with a thread that stands for it.
        self._threads = threading.Lock()

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
            descriptor = self._reached(end)
            try:
                yield
            finally:
                self._queue.leave(descriptor)
        finally:
            self._threads.release()

    def forget(self) -> None:
        """Start afresh in a forked child, where no thread of the parent is."""
        self._threads = threading.Lock()

    def _reached(self, end: float) -> int:
        try:
            return self._queue.enter(end)
        except QueueTimeoutError:
            hint = "another process is writing or hangs; end it or try again"
            raise LockTimeoutError(str(self._path), self._timeout, hint) from None
