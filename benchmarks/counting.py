"""
A process that counts up in one file as fast as it can: `counting.py <contender> <file>`.

Says READY once all is loaded; begins when it is sent a line with the number of seconds, and then
tells the seconds it took and its waits for the lock (ms) as a line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock

from clawstate.files.atomic import write_json_file_atomically
from clawstate.files.lock import FileLock
from clawstate.records.json_files import JsonFilesBackend
from devices import SECTION, SHAPE, used

COLLECTION, OURS = "Collection.update", "FileLock + our atomic write"
ATOMIC, NAIVE = "filelock + our atomic write", "filelock + plain write, no fsync"
COUNTER = "counter"
EMPTY: dict[str, Any] = {"version": 1, SECTION: {COUNTER: {"uses": 0}}}

Waited = float
Counting = Callable[[], Waited]
"""Adds one, and returns how many seconds it took to get the lock."""


def contender(name: str, path: Path) -> Counting:
    """Return what adds one to the counter in *path*, in the way of the contender *name*."""
    return _CONTENDERS[name](path)


def _collection(path: Path) -> Counting:
    root = path.parents[len(SHAPE.path.parts) - 1]
    collection = JsonFilesBackend(root).collection(SHAPE)

    def count() -> Waited:
        asked, entered = time.perf_counter(), 0.0

        def change(value: Any) -> Any:
            nonlocal entered
            entered = time.perf_counter()
            return used(value)

        collection.update(COUNTER, change)
        return entered - asked  # with one look at the file, which comes before the change

    return count


def _ours(path: Path) -> Counting:
    def count() -> Waited:
        asked = time.perf_counter()
        with FileLock(path) as lock:
            entered = time.perf_counter()
            write_json_file_atomically(path, _counted(path), fence=lock.confirm)
        return entered - asked

    return count


def _atomic(path: Path) -> Counting:
    return _with_filelock(path, lambda: write_json_file_atomically(path, _counted(path)))


def _naive(path: Path) -> Counting:
    return _with_filelock(path, lambda: path.write_text(json.dumps(_counted(path), indent=2)))


def _with_filelock(path: Path, work: Callable[[], object]) -> Counting:
    lock = filelock.FileLock(f"{path}.lock")

    def count() -> Waited:
        asked = time.perf_counter()
        with lock:
            entered = time.perf_counter()
            work()
        return entered - asked

    return count


def _counted(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_bytes())
    document[SECTION][COUNTER] = used(document[SECTION][COUNTER])
    return document


_CONTENDERS: dict[str, Callable[[Path], Counting]] = {
    COLLECTION: _collection,
    OURS: _ours,
    ATOMIC: _atomic,
    NAIVE: _naive,
}
NAMES = tuple(_CONTENDERS)


def main(name: str, path: Path) -> None:
    """Count for as long as the line on standard input says."""
    count = contender(name, path)
    _say("READY")
    seconds = float(sys.stdin.readline())
    started = time.perf_counter()
    waits = []
    while time.perf_counter() - started < seconds:
        waits.append(round(count() * 1e3, 4))
    _say(json.dumps({"seconds": time.perf_counter() - started, "waits": waits}))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
