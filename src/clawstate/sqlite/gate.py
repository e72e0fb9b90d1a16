"""
The gate before the writers of one database: they enter one by one, in the order they came.

SQLite's own busy handler polls, so that of four writing processes one starves for seconds
(decision 17). The queue lies in two empty files beside the database.
"""

from __future__ import annotations

import time
from pathlib import Path

from clawstate.errors import LockTimeoutError
from clawstate.files.queue import KernelQueue, QueueTimeoutError
from clawstate.interrupts import Mutex, Use, hold, let_go


class WriterGate:
    """One writer at a time, between threads and between processes; not reentrant."""

    def __init__(self, path: Path, *, timeout: float = 30.0) -> None:
        self._path = path
        self._timeout = timeout
        self._queue = KernelQueue(path, path.with_suffix(".turn"))
        # Threads would queue in the kernel as well, but each with a thread that stands for it.
        self._threads = Mutex()

    def entered(self) -> Entered:
        """
        Hold the gate for the length of a `with` block.

        Raises `LockTimeoutError` when others held it for the whole *timeout* (seconds).
        """
        return Entered(self)

    def enter(self, use: Use) -> None:
        """Hold the gate until `leave`, or until *use* is over; raises as `entered`."""
        end = time.monotonic() + self._timeout
        if not self._threads.take(use.frame, patience=self._timeout, reentrant=False):
            hint = "a thread of this program writes"
            raise LockTimeoutError(str(self._path), self._timeout, hint)
        try:
            self._queue.enter(end, owner=use)
        except QueueTimeoutError:
            hint = "another process is writing or hangs; end it or try again"
            raise LockTimeoutError(str(self._path), self._timeout, hint) from None

    def leave(self, use: Use) -> None:
        """Give back what is held for *use*; harmless when that is done."""
        self._queue.leave_for(use)
        self._threads.give(use.frame)

    def forget(self) -> None:
        """Start afresh in a forked child, where no thread of the parent is."""
        self._threads = Mutex()


class Entered:
    """See `WriterGate.entered`."""

    def __init__(self, gate: WriterGate) -> None:
        self._gate = gate

    def is_over(self) -> bool:
        """Tell whether the block is over."""
        return self._use.is_over()

    def discard(self) -> None:
        """Give the gate back."""
        self._gate.leave(self._use)

    def __enter__(self) -> None:
        self._use = Use()
        self.thread = self._use.thread
        hold(self)
        try:
            self._gate.enter(self._use)
        except BaseException:
            let_go(self)
            raise

    def __exit__(self, *_: object) -> None:
        let_go(self)
