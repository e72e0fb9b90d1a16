"""What programs that end at once leave in the outbox, and the process that they leave it to."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

LOCK = "memories.later"
"""The name of the lock that the process holds; it is free when the process has ended."""

COMMAND: tuple[str, ...] = (
    *(sys.executable, "-P", "-m"),
    "clawstate.memory.backends.lancedb.later_writer",
)
"""The command of the process; its arguments are the number of the lock, and the directory."""


class Later:
    """The lock of the process of *folder*, for the program that may have to start it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.is_running = not try_lock(self._file)
        """Whether there is such a process: it writes what is in the outbox by now, too."""

    def start(self) -> bool:
        """Start the process, which has the lock from now on; tell whether that worked."""
        try:
            # The lock goes along, so that there is no moment in which a second one is started.
            process = subprocess.Popen(  # noqa: S603 - ours
                [*COMMAND, str(self._file), str(self._folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(self._file,),
                cwd="/",
            )
        except OSError:
            return False
        process.returncode = 0  # else Python complains that nobody waits for it
        return True

    def close(self) -> None:
        """Let go of the lock, which a process that was started goes on holding."""
        os.close(self._file)


def try_lock(number: int) -> bool:
    """Take the lock whose descriptor is *number*, if it is free or held by that; tell whether."""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
