"""
Whose turn it is to refresh a profile, among the processes of this machine.

The kernel wakes the next one, also when a holder dies. It only shortens the wait: who may refresh
is decided by the mark in the profile, which other machines see as well.
"""

from __future__ import annotations

import time
from pathlib import Path

from clawstate.errors import UnavailableError
from clawstate.files.atomic import make_private_dir
from clawstate.files.queue import KernelQueue, QueueTimeoutError
from clawstate.interrupts import Use, hold, let_go


class Turn:
    """The queue of those who want to refresh one profile; its files lie in *folder*."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._queue = KernelQueue(folder / "gate", folder / "turn", own=True)

    def taken(self, patience: float) -> Taken:
        """
        Give a `with` block True with the turn held, or False when somebody else still has it.

        After *patience*, in seconds. True also where the kernel has no such locks: then the mark
        alone decides. Raises `UnavailableError` if the directory cannot be made.
        """
        return Taken(self._folder, self._queue, patience)


class Taken:
    """See `Turn.taken`; a `Holding`."""

    def __init__(self, folder: Path, queue: KernelQueue, patience: float) -> None:
        self._folder = folder
        self._queue = queue
        self._patience = patience

    def is_over(self) -> bool:
        """Tell whether the block is over."""
        return self._use.is_over()

    def discard(self) -> None:
        """Give the turn back."""
        self._queue.leave_for(self._use)

    def __enter__(self) -> bool:
        make_private_dir(self._folder)
        self._use = Use()
        self.thread = self._use.thread
        hold(self)
        try:
            self._queue.enter(time.monotonic() + self._patience, owner=self._use)
        except QueueTimeoutError:
            return False
        except UnavailableError:
            return True
        except BaseException:
            let_go(self)
            raise
        return True

    def __exit__(self, *_: object) -> None:
        let_go(self)
