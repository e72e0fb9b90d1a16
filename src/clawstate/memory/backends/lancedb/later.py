"""
The process that writes to the table what programs that end at once left in the outbox.

To load LanceDB takes longer than most commands do. What they keep is on disk in the catalogue when
they end; this process, which nobody waits for, brings the table in step (decision 46).
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

from clawstate.errors import StateError

LOCK = "memories.later"
"""The name of the lock that the process holds; it is free when the process has ended."""

COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", __name__)
"""The command of the process; its arguments are the number of the lock, and the directory."""


class Later:
    """The lock of the process of *folder*, for the program that may have to start it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.is_running = not _lock(self._file)
        """Whether there is such a process: it writes what is in the outbox by now, too."""

    def start(self) -> bool:
        """Start the process, which has the lock from now on; tell whether that worked."""
        try:
            # The lock goes along, so that there is no moment in which a second one is started.
            subprocess.Popen(  # noqa: S603 - ours
                [*COMMAND, str(self._file), str(self._folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(self._file,),
                cwd="/",
            ).returncode = 0  # nobody waits for it, and nobody shall be told so
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go of the lock, which a process that was started goes on holding."""
        os.close(self._file)


def main() -> None:
    """Write what waits to the table, and what is left meanwhile."""
    from clawstate.memory.backends.lancedb.engine import LancedbMemory  # noqa: PLC0415 - starts it

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    number, folder = int(sys.argv[1]), Path(sys.argv[2])
    engine = LancedbMemory(folder)
    while _lock(number):
        try:
            engine.flush()
        except StateError:
            break  # it cannot be written now: the next program tries, and tells why
        fcntl.flock(number, fcntl.LOCK_UN)
        # Asked once the lock is free: who found it held a moment before has left something.
        if not engine.has_left():
            break
    engine.close()


def _lock(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    main()
