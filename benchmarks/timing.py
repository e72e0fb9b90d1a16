"""
Speeds that hold on a busy machine: rivals take turns, and what counts is the ratio between them.

Each round gives every arm the same inputs, in blocks that alternate (A B C A B C ...), so that a
burst of other load hits all of them. An input is used once, so that no cache answers it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

BLOCK = 10
"""Calls of one arm in a row; a single one would find the processor's caches full of its rival."""

Figures = dict[str, Any]


def latencies(
    arms: Mapping[str, Callable[[Any], object]], rounds: Sequence[Sequence[Any]]
) -> dict[str, Figures]:
    """
    Return p50 and p95 (ms) of each arm over its calls with the inputs of *rounds*.

    And those of the processor's time, which other programs disturb less.
    """
    taken: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in arms}
    for name, arm in arms.items():
        arm(rounds[0][0])  # what loads itself at the first call is measured elsewhere
        taken[name] = [[] for _ in rounds]
    for number, inputs in enumerate(rounds):
        for start in range(0, len(inputs), BLOCK):
            for name, arm in arms.items():
                for each in inputs[start : start + BLOCK]:
                    taken[name][number].append(_seconds(arm, each))
    return {name: _summary(each) for name, each in taken.items()}


def ratios(figures: Mapping[str, Figures], ours: str, rival: str) -> Figures:
    """Return how many times faster *ours* is than *rival*: the median round, and the worst."""
    found = {
        key: sorted(
            theirs / own
            for theirs, own in zip(figures[rival][key], figures[ours][key], strict=True)
        )
        for key in ("p50_rounds", "cpu_p50_rounds")
    }
    return {
        "times_faster": round(statistics.median(found["p50_rounds"]), 2),
        "worst_round": round(found["p50_rounds"][0], 2),
        "cpu_times_faster": round(statistics.median(found["cpu_p50_rounds"]), 2),
    }


def rates(arms: Mapping[str, Callable[[], int]], *, rounds: int = 3) -> dict[str, Figures]:
    """Return how many a second each arm did, in rounds that alternate; an arm returns its count."""
    taken: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, arm in arms.items():
            started = time.perf_counter()
            count = arm()
            taken[name].append(count / (time.perf_counter() - started))
    return {
        name: {"per_second": round(statistics.median(each)), "rounds": [round(one) for one in each]}
        for name, each in taken.items()
    }


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which *share* of *values* lies."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _seconds(arm: Callable[[Any], object], given: Any) -> tuple[float, float]:
    """Return the time that passed, and that of the processor, of all threads of this process."""
    started, used = time.perf_counter(), time.process_time()
    arm(given)
    return time.perf_counter() - started, time.process_time() - used


def _summary(rounds: list[list[tuple[float, float]]]) -> Figures:
    middles = [percentile([wall for wall, _ in each], 0.5) * 1e3 for each in rounds]
    tails = [percentile([wall for wall, _ in each], 0.95) * 1e3 for each in rounds]
    used = [percentile([cpu for _, cpu in each], 0.5) * 1e3 for each in rounds]
    most = [percentile([cpu for _, cpu in each], 0.95) * 1e3 for each in rounds]
    return {
        "p50_ms": round(statistics.median(middles), 3),
        "p95_ms": round(statistics.median(tails), 3),
        "cpu_p50_ms": round(statistics.median(used), 3),
        "cpu_p95_ms": round(statistics.median(most), 3),
        "p50_rounds": [round(each, 4) for each in middles],
        "cpu_p50_rounds": [round(each, 4) for each in used],
    }
