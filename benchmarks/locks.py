"""Locks: four processes that count in one file as fast as they can, against one alone."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import openclaw_counting
from counting import COUNTER, EMPTY, NAMES
from devices import SECTION, SHAPE
from timing import Figures, percentile
from workbench import Workbench

TITLE = "Four processes count in one file"
MANY = 4
ROUNDS = 5
ALONE_S, TOGETHER_S = 0.7, 2.0
LEAST_SHARE, MOST_SHARES = 0.8, 10
_PERCENTILES = {"p50": 0.5, "p99": 0.99, "max": 1.0}


@dataclass(frozen=True)
class Count:
    """What some processes did in *seconds* at the same time; waits for the lock in ms."""

    seconds: float
    waits: list[float]
    counted: int
    failed: int = 0

    @property
    def per_second(self) -> float:
        return len(self.waits) / self.seconds

    @property
    def lost(self) -> int:
        """How many increments were acknowledged and are not in the file."""
        return len(self.waits) - self.counted


Contender = Callable[[Path, int], Count]
"""Lets so many processes count in a new file in a folder."""


def measure(bench: Workbench) -> Figures:
    """Return rates, waits and lost updates of each contender; the contenders take turns."""
    contenders: dict[str, Contender] = {name: partial(_programs, name) for name in NAMES}
    with ExitStack() as stack:
        home = bench.scratch / "openclaw"
        home.mkdir()
        try:
            node = stack.enter_context(openclaw_counting.openclaw(home, MANY))
            contenders[openclaw_counting.NAME] = partial(_node, node)
            left_out = ""
        except openclaw_counting.AbsentError as absent:
            left_out = str(absent)
        return {"contenders": _rounds(contenders, bench.scratch), "left_out": left_out}


def lines(result: Figures) -> Iterator[str]:
    """Yield the table to print."""
    yield f"{'':<34}{'alone':>9}{'four':>9}{'ratio':>7}   wait for one lock, ms{'in shares':>24}"
    columns = "".join(f"{name:>10}" for name in ("p50", "p99", "max", "p99", "max"))
    yield f"{'':<34}{'a second':>18}{'':>7}{columns}{'lost':>7}{'failed':>8}{'of':>7}"
    for name, each in result["contenders"].items():
        waits = [*each["wait_ms"].values(), each["p99_shares"], each["max_shares"]]
        yield (
            f"{name:<34}{each['alone']:9.0f}{each['together']:9.0f}{each['ratio']['median']:7.2f}"
            + "".join(f"{wait:10.2f}" for wait in waits)
            + f"{each['lost']:7}{each['failed']:8}{each['acknowledged']:7}"
        )
    yield f"targets: ratio at least {LEAST_SHARE}, p99 at most {MOST_SHARES} shares, nothing lost"
    yield "ratio: the rate of four processes to that of one; share: the mean time of four updates"
    if result["left_out"]:
        yield f"OpenClaw is left out: {result['left_out']}"


def _rounds(contenders: dict[str, Contender], scratch: Path) -> Figures:
    alone: dict[str, list[Count]] = {name: [] for name in contenders}
    together: dict[str, list[Count]] = {name: [] for name in contenders}
    for number in range(ROUNDS):
        for name, count in contenders.items():
            folder = scratch / f"{name}-{number}"
            alone[name].append(count(folder / "alone", 1))
            together[name].append(count(folder / "together", MANY))
    return {name: _figures(alone[name], together[name]) for name in contenders}


def _programs(name: str, folder: Path, processes: int) -> Count:
    path = _path(folder)
    path.write_text(json.dumps(EMPTY, indent=2))
    program = [sys.executable, str(Path(__file__).with_name("counting.py")), name, str(path)]
    with ExitStack() as stack:
        started = [stack.enter_context(_piped(program)) for _ in range(processes)]
        told = _told(started, ALONE_S if processes == 1 else TOGETHER_S)
    waits = [wait for each in told for wait in each["waits"]]
    return Count(max(each["seconds"] for each in told), waits, _value(path))


def _piped(program: Sequence[str]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(program, text=True, stdin=pipe, stdout=pipe)


def _told(started: Sequence[subprocess.Popen[str]], seconds: float) -> list[Figures]:
    for each in started:
        assert each.stdout is not None
        assert each.stdout.readline() == "READY\n"
    for each in started:
        assert each.stdin is not None
        each.stdin.write(f"{seconds}\n")
        each.stdin.flush()
    return [json.loads(each.communicate()[0]) for each in started]


def _node(count: openclaw_counting.Counting, folder: Path, processes: int) -> Count:
    return Count(**count(_path(folder), processes))


def _path(folder: Path) -> Path:
    path = folder / SHAPE.path
    path.parent.mkdir(parents=True, mode=0o700)
    return path


def _value(path: Path) -> int:
    return int(json.loads(path.read_bytes())[SECTION][COUNTER]["uses"])


def _figures(alone: Sequence[Count], together: Sequence[Count]) -> Figures:
    rate = statistics.median(each.per_second for each in together)
    share = MANY / rate * 1e3
    waits = [wait for each in together for wait in each.waits]
    found = {name: round(percentile(waits, part), 3) for name, part in _PERCENTILES.items()}
    ratios = [many.per_second / one.per_second for many, one in zip(together, alone, strict=True)]
    both = (*alone, *together)
    return {
        "alone": round(statistics.median(each.per_second for each in alone), 1),
        "together": round(rate, 1),
        "ratio": {
            "median": round(statistics.median(ratios), 3),
            "rounds": [round(each, 3) for each in ratios],
        },
        "share_ms": round(share, 3),
        "wait_ms": found,
        "p99_shares": round(found["p99"] / share, 2),
        "max_shares": round(found["max"] / share, 2),
        "acknowledged": sum(len(each.waits) for each in both),
        "lost": sum(each.lost for each in both),
        "failed": sum(each.failed for each in both),
    }
