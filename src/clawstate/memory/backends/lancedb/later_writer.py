"""
The process that writes to the table what programs that end at once left in the outbox.

To load LanceDB takes longer than most commands do. What they keep is on disk in the catalogue when
they end; this process, which nobody waits for, brings the table in step (decision 46).
"""

from __future__ import annotations

import fcntl
import signal
import sys
from pathlib import Path

from clawstate.errors import StateError
from clawstate.memory.backends.lancedb.engine import LancedbMemory
from clawstate.memory.backends.lancedb.later import try_lock


def main() -> None:
    """Write what waits to the table, and what is left meanwhile."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    number, folder = int(sys.argv[1]), Path(sys.argv[2])
    engine = LancedbMemory(folder)
    while try_lock(number):
        try:
            engine.flush()
        except StateError:
            break  # it cannot be written now: the next program tries, and tells why
        fcntl.flock(number, fcntl.LOCK_UN)
        # Asked once the lock is free: who found it held a moment before has left something.
        if not engine.has_left():
            break
    engine.close()


if __name__ == "__main__":
    main()
