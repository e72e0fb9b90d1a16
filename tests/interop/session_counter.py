"""
One of our writers at an index that OpenClaw shares: `python session_counter.py <index> <name> <n>`.

Says READY once all is loaded, begins when it is sent a line, and says how long it waited at most.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from clawstate.state.sessions import open_index


def main(path: Path, name: str, times: int) -> None:
    sessions = open_index(path)
    sys.stdout.write("READY\n")
    sys.stdout.flush()
    sys.stdin.readline()
    longest = 0.0
    for number in range(times):
        started = time.monotonic()
        sessions.update("shared", lambda old: {**old, name: old.get(name, 0) + 1})
        sessions.resolve(f"{name}:{number}")
        longest = max(longest, time.monotonic() - started)
    sys.stdout.write(f"{longest:.2f}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
