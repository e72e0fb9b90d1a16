"""
A process of ours that holds one lock, for tests that stop or kill it.

    python lock_holder.py <file> <stale seconds>

Says HELD once it has the lock; then, for each line, counts up in the file as someone does who was
away for a while: from what it read before. Says REFUSED or WRITTEN.
"""

from __future__ import annotations

import sys
from pathlib import Path

from python_writer import count_up, say

from clawstate.errors import LockLostError
from clawstate.files.lock import LockOptions, file_lock


def main(path: Path, stale: float) -> None:
    options = LockOptions(stale=stale)
    with file_lock(path, options=options) as held:
        say("HELD")
        sys.stdin.readline()
        try:
            count_up(path, "ours0", "ours0:1", held.confirm)
        except LockLostError:
            say("REFUSED")
        else:
            say("WRITTEN")
    sys.stdin.readline()
    with file_lock(path, options=options) as held:
        count_up(path, "ours0", "ours0:2", held.confirm)
    say("WRITTEN")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
