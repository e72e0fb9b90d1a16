"""The feed: how soon a subscriber is told of a write of another process, and what looking costs."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import clawstate
from clawstate.state.feed import Changes
from clawstate.state.opened import State
from timing import Figures, percentile
from workbench import Workbench

TITLE = "What moved"
ENGINES = ("file", "sqlite")
WRITES, IDLE, LOOKS = 150, 5.0, 300
LEAST_MS, MOST_MS = 5, 60  # between two writes

# Says when each write was on disk: the clock is that of the machine, the same for all processes.
WRITER = """
import random, sys, time
import clawstate
root, engine, writes, least, most = sys.argv[1:]
chance = random.Random(1)
with clawstate.open(root, store=engine) as state:
    for number in range(int(writes)):
        time.sleep(chance.uniform(int(least), int(most)) / 1000)
        if number % 2:
            key = "s%d" % number
            state.sessions.resolve(key)
        else:
            key = state.memory.add("lobster %d" % number)
        print(key, time.monotonic_ns(), flush=True)
"""


def measure(bench: Workbench) -> Figures:
    """Return latencies, the cost of an idle subscription, and that of one look."""
    return {engine: _measured(bench.scratch / f"feed-{engine}", engine) for engine in ENGINES}


def lines(result: Figures) -> Iterator[str]:
    """Yield the table to print."""
    yield f"{'':8}  {'told after p50':>14}  {'p99':>9}  {'idle':>13}  {'changes(since)':>14}"
    for engine, each in result.items():
        yield (
            f"{engine:8}  {each['p50_ms']:11.1f} ms  {each['p99_ms']:6.1f} ms"
            f"  {each['idle_ms_per_s']:8.2f} ms/s  {each['look_us']:11.0f} us"
        )
    yield "of a write in another process to the callback; looks every 0.1 s, in ms of CPU a second"


def _measured(root: Path, engine: str) -> Figures:
    with clawstate.open(root, store=engine) as state:
        _fill(state)
        waits = _latencies(state, engine)
        return {
            "p50_ms": percentile(waits, 0.5),
            "p99_ms": percentile(waits, 0.99),
            "idle_ms_per_s": _idle(state),
            "look_us": _look(state),
        }


def _fill(state: State) -> None:
    """Make each part, for ten agents and ten namespaces."""
    chance = random.Random(2)
    for number in range(10):
        credential = {"type": "api_key", "provider": "openai", "key": f"sk-{chance.random()}"}
        state.auth("main" if not number else f"agent{number}").upsert("openai:a", credential)
        state.dedupe.check_and_record("k", namespace=f"channel{number}")
        state.sessions.resolve(f"first{number}")
    state.config.set("gateway.port", 18_790)
    state.memory.add("a blue lobster")
    state.transcripts.append("s", {"role": "user", "content": "hello"})


def _latencies(state: State, engine: str) -> list[float]:
    told: dict[str, int] = {}
    last = threading.Event()

    def note(changes: Changes) -> None:
        now = time.monotonic_ns()
        for item in changes.items:
            for key in item.keys or ():
                told.setdefault(key, now)
        if len(told) >= WRITES:
            last.set()

    arguments = [str(state.paths.root), engine, str(WRITES), str(LEAST_MS), str(MOST_MS)]
    with state.subscribe(note):
        done = subprocess.run(
            [sys.executable, "-c", WRITER, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        last.wait(1)
    written = (line.split() for line in done.stdout.splitlines())
    return [max(0.0, (told[key] - int(at)) / 1e6) for key, at in written]


def _idle(state: State) -> float:
    """Return the milliseconds of CPU that a subscription takes in a second without changes."""
    with state.subscribe(lambda _: None):
        time.sleep(1.0)  # until all stamps are past doubt
        before, started = time.process_time(), time.perf_counter()
        time.sleep(IDLE)
        return (time.process_time() - before) / (time.perf_counter() - started) * 1e3


def _look(state: State) -> float:
    """Return the microseconds of CPU of one look where nothing moved."""
    cursor = state.changes().cursor
    before = time.process_time()
    for _ in range(LOOKS):
        state.changes(cursor)
    return (time.process_time() - before) / LOOKS * 1e6
