"""
One of our writers: counts up in a file under the lock, and tells each write as a line of JSON.

    python python_writer.py <file> <name of the writer> <times> <busy> <away>

For *busy* seconds it thinks about what it read, and between two writes it is away for up to *away*
seconds. Says READY once all is loaded, and begins when it is sent a line.
"""

from __future__ import annotations

import json
import random
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clawstate.errors import LockLostError, StateError
from clawstate.files.atomic import write_json_file_atomically
from clawstate.files.json_text import parse_json
from clawstate.files.lock import file_lock

EMPTY: dict[str, Any] = {"seq": 0, "id": None, "counts": {}}


def main(path: Path, writer: str, times: int, busy: float, away: float) -> None:
    chance = random.Random(writer)
    say("READY")
    sys.stdin.readline()
    refused, errors = 0, []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for nth in range(1, times + 1):
            try:
                refused += counted(path, writer, nth, busy)
            except StateError as error:
                errors.append(f"{type(error).__name__}: {error}")
            time.sleep(chance.uniform(0, away))
    warnings_told = [str(each.message) for each in warned]
    say(json.dumps({"refused": refused, "errors": errors, "warnings": warnings_told}))


def counted(path: Path, writer: str, nth: int, busy: float) -> int:
    """Count up once; return how often that was refused because the lock had been taken away."""
    refused = 0
    while True:
        name = f"{writer}:{nth}" + ("" if not refused else f".{refused}")
        try:
            with file_lock(path) as held:
                entered = time.monotonic()
                told = count_up(path, writer, name, held.confirm, busy)
        except LockLostError:
            refused += 1
        else:
            say(json.dumps({**told, "entered": entered}))
            return refused


def count_up(
    path: Path, writer: str, name: str, confirm: Callable[[], None], busy: float = 0
) -> dict[str, Any]:
    document = parse_json(path.read_bytes(), path=path) if path.exists() else EMPTY
    time.sleep(busy)
    counts = document["counts"]
    counts = {**counts, writer: counts.get(writer, 0) + 1}
    renamed = 0.0

    def fence() -> None:
        nonlocal renamed
        confirm()
        renamed = time.monotonic()

    changed = {"seq": document["seq"] + 1, "id": name, "counts": counts}
    write_json_file_atomically(path, changed, fence=fence)
    ended = time.monotonic()
    return {
        "write": name,
        "base": document["id"],
        "writer": writer,
        "started": renamed,
        "ended": ended,
    }


def say(line: str) -> None:
    """Print at once: somebody waits for it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *map(float, sys.argv[4:]))
