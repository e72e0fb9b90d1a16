"""OpenClaw's own processes that count in one file, if it is installed for the interop tests."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

INTEROP = Path(__file__).resolve().parents[1] / "tests" / "interop"
NAME = "OpenClaw withFileLock, Node"
ALONE, TOGETHER = 200, 100  # increments of a process


class AbsentError(Exception):
    """OpenClaw cannot take part; the message says why."""


Answer = dict[str, Any]
Counting = Callable[[Path, int], Answer]
"""Lets so many processes count in a file; returns seconds, waits (ms) and how many failed."""


@contextmanager
def openclaw(home: Path, most: int) -> Iterator[Counting]:
    """Start *most* processes, which touch nothing but *home*; raises `AbsentError`."""
    sys.path.insert(0, str(INTEROP))
    try:
        from node_options import PATIENT  # noqa: PLC0415
        from openclaw_package import AbsentError as NotInstalledError  # noqa: PLC0415
        from openclaw_package import find  # noqa: PLC0415
        from peer import NodePeer  # noqa: PLC0415
    except ImportError as error:
        raise AbsentError(str(error)) from error
    finally:
        sys.path.remove(str(INTEROP))
    try:
        installed = find()
    except NotInstalledError as error:
        raise AbsentError(str(error)) from error
    with ExitStack() as stack:
        peers = [NodePeer(installed, home) for _ in range(most)]
        for peer in peers:
            stack.callback(peer.close)
        for peer in peers:
            peer.wait_until_ready()
        yield lambda path, processes: _counted(peers[:processes], path, PATIENT)


def _counted(peers: list[Any], path: Path, options: object) -> Answer:
    times = ALONE if len(peers) == 1 else TOGETHER
    path.write_text(json.dumps({"seq": 0, "id": None, "counts": {}}))
    started = time.monotonic()  # the clock that both languages share
    asked = [
        peer.send("increment", path=path, writer=f"node{n}", times=times, options=options)
        for n, peer in enumerate(peers)
    ]
    told = [peer.events(number) for peer, number in zip(peers, asked, strict=True)]
    seconds = time.monotonic() - started
    return {
        "seconds": seconds,
        "waits": [wait for events in told for wait in _waits(events[:-1], started)],
        "failed": sum(len(events[-1]["errors"]) for events in told),
        "counted": json.loads(path.read_bytes())["seq"],
    }


def _waits(writes: list[Answer], started: float) -> Iterator[float]:
    # From the end of a write to the next entry: with the removal of the lock, which is short.
    for write in writes:
        yield (write["entered"] - started) * 1e3
        started = write["ended"]
