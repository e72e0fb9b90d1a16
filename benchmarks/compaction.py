"""How long a compaction keeps another program waiting that writes to the same memory."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import clawstate
from timing import Figures
from workbench import Workbench

TITLE = "Compaction beside a program that writes"
ROUNDS = 3
EVERY = 2.0  # seconds between two writes of the other program

_WRITER = """
import json, sys, time
import clawstate
taken = []
with clawstate.open(sys.argv[1]) as state:
    state.memory.add("the first")
    print("ready", flush=True)
    while not sys.stdin.closed and len(taken) < int(sys.argv[3]):
        started = time.perf_counter()
        state.memory.add(f"note {len(taken)} of {started}")
        taken.append(time.perf_counter() - started)
        time.sleep(float(sys.argv[2]))
print(json.dumps(taken))
"""


def measure(bench: Workbench) -> dict[str, Figures]:
    """Return the figures by size."""
    return {str(size): _measured(bench, size) for size in bench.sizes}


def lines(result: dict[str, Figures]) -> Iterator[str]:
    """Yield the table to print."""
    for size, found in result.items():
        yield (
            f"{size:>8}  {found['bytes'] / 1e6:.0f} MB in {found['seconds']:.1f} s "
            f"({found['cpu_s']:.2f} s of processor time); one add of the other took "
            f"{found['p50_ms']:.1f} ms p50, at most {found['longest_ms']:.0f} ms; "
            f"complete {found['complete']} of {ROUNDS}"
        )


def _measured(bench: Workbench, size: int) -> Figures:
    root = bench.scratch / f"compacted-{size}"
    shutil.copytree(bench.state(size).root, root)
    waits: list[float] = []
    seconds, used, complete = [], [], 0
    with clawstate.open(root) as state:
        for _ in range(ROUNDS):
            gone = [each.id for each in state.memory.records(limit=100)]
            state.memory.delete_many(gone)
            command = [sys.executable, "-c", _WRITER, str(root), str(EVERY), "8"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
                assert writer.stdout is not None
                writer.stdout.readline()
                started, processor = time.perf_counter(), time.process_time()
                done = state.memory.compact(patience=10.0)
                seconds.append(time.perf_counter() - started)
                used.append(time.process_time() - processor)
                waits += json.loads(writer.stdout.read())
            complete += done.complete
    return {
        "bytes": done.after,
        "seconds": statistics.median(seconds),
        "cpu_s": statistics.median(used),
        "p50_ms": statistics.median(waits) * 1e3,
        "longest_ms": max(waits) * 1e3,
        "complete": complete,
    }
