"""
A writer of one index: counts up in shared entries, and creates, resets and deletes its own.

    python session_writer.py <state> <engine> <name of the writer> <times>

Says READY once all is loaded, and begins when it is sent a line.
"""

from __future__ import annotations

import sys
from pathlib import Path

import clawstate

SHARED = ("a", "b", "c")


def main(root: Path, store: str, name: str, times: int) -> None:
    with clawstate.open(root, store=store, lock_timeout=60.0) as state:
        sessions = state.sessions
        sys.stdout.write("READY\n")
        sys.stdout.flush()
        sys.stdin.readline()
        for number in range(times):
            sessions.update(SHARED[number % len(SHARED)], lambda old: counted(old, name))
            if number % 5 == 0:
                sessions.resolve(f"{name}:{number}")
            if number % 10 == 5:
                sessions.delete(f"{name}:{number - 5}")


def counted(entry: dict[str, int], name: str) -> dict[str, int]:
    return {**entry, name: entry.get(name, 0) + 1}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
