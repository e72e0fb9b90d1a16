"""Rivals that take turns of a few calls: how long a call takes, and the ratios with quartiles."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from timing import Figures

Arm = Callable[[Any], object]


def turns(arms: Mapping[str, Arm], inputs: Sequence[Any], *, rounds: int) -> dict[str, Figures]:
    """
    Return the microseconds of a call of each arm, the median and quartiles of *rounds*.

    In each round every arm is called with all *inputs* in a row. Who comes first moves on, and the
    order turns round, so that nobody always follows the same rival. The processor's part of the
    median is told as well.
    """
    names = list(arms)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for number in range(-1, rounds):  # what happens only at the first call is measured elsewhere
        first = number % len(names)
        for name in (*names[first:], *names[:first])[:: 1 if number % 2 else -1]:
            seconds = _seconds(arms[name], inputs)
            if number >= 0:
                taken[name].append(seconds)
    return {name: _figures(each) for name, each in taken.items()}


def ratio(figures: Mapping[str, Figures], ours: str, rival: str) -> Figures:
    """Return how many times as long *ours* takes as *rival*, round by round."""
    pairs = zip(figures[ours]["rounds"], figures[rival]["rounds"], strict=True)
    return quartiles([own / theirs for own, theirs in pairs])


def quartiles(values: Sequence[float]) -> Figures:
    """Return the median and the quartiles of *values*."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": round(middle, 3), "low": round(low, 3), "high": round(high, 3)}


def table(figures: Mapping[str, Figures]) -> Iterator[str]:
    """Yield a line for each arm, in microseconds."""
    yield f"  {'':<44}{'median us':>13}{'quartiles':>26}{'processor':>12}"
    for name, each in figures.items():
        spread = f"{each['low']:,.2f} to {each['high']:,.2f}"
        middle, processor = each["median"], each["processor"]
        yield f"  {name:<44}{middle:>13,.2f}{spread:>26}{processor:>12,.2f}"


def told(ratio: Figures, what: str, target: float | None = None) -> str:
    """Return a line that tells a ratio, and what it shall not exceed."""
    spread = f"{ratio['low']:.2f} to {ratio['high']:.2f}"
    limit = "" if target is None else f", target at most {target:g}"
    return f"  {what}: {ratio['median']:.2f} (quartiles {spread}{limit})"


def _seconds(arm: Arm, inputs: Sequence[Any]) -> tuple[float, float]:
    processor, started = time.process_time(), time.perf_counter()
    for each in inputs:
        arm(each)
    ended = time.perf_counter()
    calls = len(inputs)
    return (ended - started) / calls, (time.process_time() - processor) / calls


def _figures(taken: Sequence[tuple[float, float]]) -> Figures:
    rounds = [round(seconds * 1e6, 3) for seconds, _ in taken]
    processor = statistics.median(spent for _, spent in taken) * 1e6
    return {**quartiles(rounds), "processor": round(processor, 3), "rounds": rounds}
