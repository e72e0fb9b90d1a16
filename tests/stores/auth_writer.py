"""
One of many processes that use a store of credentials at the same time.

    python auth_writer.py <state directory> <engine> <name> <times>

Says READY when all is loaded, begins when it is sent a line, and then tells each change that it was
promised: `USED <moment in ms>`, `FAILED`, `STORED <number>`.
"""

from __future__ import annotations

import sys

import clawstate
from clawstate.clock import to_ms


def main(root: str, engine: str, name: str, times: int) -> None:
    with clawstate.open(root, store=engine, lock_timeout=120.0) as state:
        auth = state.auth()
        auth.profiles()
        say("READY")
        sys.stdin.readline()
        for number in range(times):
            work = (used, failed, stored)[number % 3]
            say(work(auth, name, number))


def used(auth, name, number):
    return f"USED {to_ms(auth.mark_used(f'own:{name}').last_used)}"


def failed(auth, name, number):
    auth.mark_failure("shared:all", "timeout")
    return "FAILED"


def stored(auth, name, number):
    credential = {"type": "api_key", "provider": "own", "key": "k", "metadata": {"n": str(number)}}
    auth.upsert(f"own:{name}", credential)
    return f"STORED {number}"


def say(line: str) -> None:
    """Print at once: somebody waits for it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
