"""A whole map is laid out: a small one here, a large one by a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from clawstate.errors import UnavailableError
from clawstate.memory.map.computing import Progress, place_all
from clawstate.memory.map.proximity import Matrix

SMALL = 2_000
"""Up to so many records are laid out in the program itself, within a second."""

_COMMAND = (sys.executable, "-P", "-m", "clawstate.memory.map.worker")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_LOOK = 0.1  # seconds between two looks whether to stop


class StoppedError(Exception):
    """Somebody wants no map any more."""


def lay_out(
    vectors: Matrix,
    before: Matrix,
    *,
    is_over: Callable[[], bool],
    progress: Callable[[float], None],
) -> Matrix:
    """
    Return what `place_all` returns; raises `StoppedError` once *is_over*.

    Raises `UnavailableError` where the process could not do it.
    """

    def stop() -> None:
        if is_over():
            raise StoppedError

    if len(vectors) <= SMALL:
        return place_all(vectors, before, stop, Progress(progress))
    process = subprocess.Popen(  # noqa: S603 - ours
        _COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
    )
    # A process cannot be asked to stop while its answer is waited for, only ended.
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_LOOK):
            if is_over():
                process.kill()
                return

    watching = threading.Thread(target=watch, name="clawstate-map-watch", daemon=True)
    try:
        watching.start()
        places = _ask(process, vectors, before, progress)
    finally:
        over.set()
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        process.wait()
    stop()
    if places is None:
        raise UnavailableError("the map", "could not be laid out", "look for memory that is free")
    return places


def _ask(
    process: subprocess.Popen[bytes],
    vectors: Matrix,
    before: Matrix,
    progress: Callable[[float], None],
) -> Matrix | None:
    assert process.stdin is not None  # noqa: S101 - they are pipes
    assert process.stdout is not None  # noqa: S101
    count, dimensions = vectors.shape
    head = json.dumps({"count": count, "dimensions": dimensions}).encode() + b"\n"
    with suppress(OSError):  # it ended: what it said tells
        process.stdin.write(head)
        process.stdin.write(np.ascontiguousarray(vectors, "<f4").data)
        process.stdin.write(np.ascontiguousarray(before, "<f4").data)
        process.stdin.flush()
    for line in process.stdout:
        if line == b"done\n":
            data = process.stdout.read(8 * count)
            return np.frombuffer(data, "<f4").reshape(count, 2).astype(np.float32)
        progress(float(line))
    return None
