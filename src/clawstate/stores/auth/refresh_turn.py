"""
Whose turn it is to refresh a profile, among the processes of this machine.

The kernel wakes the next one, also when a holder dies. It only shortens the wait: who may refresh
is decided by the mark in the profile, which other machines see as well.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clawstate.errors import UnavailableError
from clawstate.files.atomic import make_private_dir
from clawstate.files.queue import KernelQueue, QueueTimeoutError


class Turn:
    """The queue of those who want to refresh one profile; its files lie in *folder*."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._queue = KernelQueue(folder / "gate", folder / "turn", own=True)

    @contextmanager
    def taken(self, patience: float) -> Iterator[bool]:
        """
        Give True with the turn held, or False when somebody else still has it after *patience*.

        In seconds. True also where the kernel has no such locks: then the mark alone decides.
        Raises `UnavailableError` if the directory cannot be made.
        """
        make_private_dir(self._folder)
        try:
            gate = self._entered(patience)
        except QueueTimeoutError:
            yield False
            return
        try:
            yield True
        finally:
            if gate is not None:
                self._queue.leave(gate)

    def _entered(self, patience: float) -> int | None:
        try:
            return self._queue.enter(time.monotonic() + patience)
        except UnavailableError:
            return None
