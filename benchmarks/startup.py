"""Start-up: the processor time (user and system) of whole processes, which load disturbs least."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from timing import Figures
from workbench import Workbench

TITLE = "Start-up (processor time of a whole process)"
TIMES = 9
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
RECORDS = 10_000
TARGETS = {"import clawstate": 80, "clawstate --help": 150, "memory search": 700}


def measure(bench: Workbench) -> Figures:
    """Return the median and least milliseconds of each process, run in turns."""
    kept = bench.state(min(RECORDS, max(bench.sizes)))
    python, program = [sys.executable, "-c"], [sys.executable, "-m", "clawstate"]
    inside = [*program, "--state-dir", str(kept.root), "memory"]
    new = [*program, "--state-dir", str(bench.scratch / "started"), "memory", "add"]
    question = bench.rounds()[0][0]
    commands = {
        "bare Python": [*python, "pass"],
        "import clawstate": [*python, "import clawstate"],
        "clawstate --help": [*program, "--help"],
        "memory search": [*inside, "search", question],
        "memory search --mode words": [*inside, "search", "--mode", "words", question],
        "memory add": [*new, "The keys hang behind the kitchen door."],
        "import numpy": [*python, "import numpy"],
        "import wordllama": [*python, "import wordllama"],
        "import sqlite_vec": [*python, "import apsw, sqlite_vec"],
    }
    environment = _with_bytecode(bench.scratch / "bytecode")
    processes = _in_turns(commands, environment)
    return {"records": kept.size, "processes": processes, "targets": TARGETS}


def lines(result: Figures) -> Iterator[str]:
    """Yield the table to print."""
    yield f"{'process':<28}{'median ms':>10}{'least ms':>10}{'target':>8}   of bare Python"
    bare = result["processes"]["bare Python"]["median_ms"]
    for name, figures in result["processes"].items():
        target = result["targets"].get(name, "")
        median, least = figures["median_ms"], figures["least_ms"]
        yield f"{name:<28}{median:10.0f}{least:10.0f}{target:>8}   {median / bare:.1f}"
    yield f"(searches: {result['records']} records, the state not open before)"


def _with_bytecode(folder: Path) -> dict[str, str]:
    """Return an environment in which every module, ours and others', is compiled but once."""
    kept = {name: value for name, value in os.environ.items() if name != _NO_BYTECODE}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder)}


def _in_turns(commands: Mapping[str, Sequence[str]], environment: dict[str, str]) -> Figures:
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(TIMES + 1):
        for name, command in commands.items():
            spent = _processor_ms(command, environment)
            if turn:  # the first turn fills the page cache and writes bytecode
                taken[name].append(spent)
    return {
        name: {"median_ms": round(statistics.median(each), 1), "least_ms": round(min(each), 1)}
        for name, each in taken.items()
    }


def _processor_ms(command: Sequence[str], environment: dict[str, str]) -> float:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return (usage.ru_utime + usage.ru_stime) * 1e3
