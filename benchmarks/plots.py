"""The figures of a run as pictures (PNG)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import session_plots
import state_plots
import transcript_plots
from bars import OURS, RIVALS, bars

mpl.use("Agg")

Result = Mapping[str, Any]


def draw(part: str, result: Result, out: Path) -> Iterator[Path]:
    """Draw the figures of *part* and yield the files written."""
    if not result or part not in _PICTURES:
        return
    figure = _PICTURES[part](result)
    path = out / f"{part}.png"
    figure.savefig(path, dpi=130)
    plt.close(figure)
    yield path


def _retrieval(result: Result) -> Figure:
    figure, axes = plt.subplots(
        1, len(result), figsize=(1.5 + 4.6 * len(result), 4.2), layout="constrained", squeeze=False
    )
    for ax, (name, arms) in zip(axes[0], result.items(), strict=True):
        values = [figures["all"]["nDCG@10"] for figures in arms.values()]
        ours = sum(arm.startswith("clawstate") for arm in arms)
        colours = [*OURS[::-1][3 - ours :], *RIVALS]
        bars(ax, list(arms), values, colours, "{:.3f}")
        ax.set_title(f"{name}: {arms['FTS5']['all']['n']} questions")
        ax.set_xlabel("nDCG@10 (more is better)")
    return figure


def _vectors(result: Result) -> Figure:
    result = result["sizes"]
    arms = next(iter(result.values()))["latency"]
    colours = dict(zip(arms, (*OURS, RIVALS[0], RIVALS[2]), strict=True))
    figure, ax = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
    for arm, colour in colours.items():
        _line(ax, result, arm, colour)
    largest = max(result, key=int)
    recall = result[largest]["recall"]
    shown = ", ".join(f"{arm.split()[-1]} {value:.3f}" for arm, value in recall.items())
    ax.set_title("Vector search, 256 dimensions, top 10")
    _log_axes(ax, result)
    note = f"recall@10 with {int(largest):,} records: {shown}"
    ax.set_xlabel(f"records\n{note}", fontsize=9)
    return figure


def _hybrid(result: Result) -> Figure:
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained", sharey=True)
    plain = {
        "hybrid": OURS[0],
        "words": OURS[1],
        "vector": OURS[2],
        "FTS5, all words": RIVALS[0],
        "FTS5, no stop words": RIVALS[1],
        "LanceDB, hybrid": RIVALS[2],
    }
    filtered = {
        "hybrid, tag 10 %": OURS[0],
        "hybrid, metadata 10 %": OURS[1],
        "hybrid, 1 of 20 namespaces": OURS[2],
        "FTS5, tag 10 %": RIVALS[0],
        "FTS5, 1 of 20 namespaces": RIVALS[1],
    }
    for ax, colours, title in ((left, plain, "all records"), (right, filtered, "filtered")):
        for arm, colour in colours.items():
            _line(ax, result, arm, colour, time="cpu_")
        ax.set_title(f"Whole searches, {title}")
        _log_axes(ax, result)
        ax.set_ylabel("ms of processor time: line p50, dash p95")
    return figure


def _ingest(result: Result) -> Figure:
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 2.9), layout="constrained")
    rates = result["bulk"]["rates"]
    colours = [RIVALS[0], OURS[0], RIVALS[1]]
    bars(left, list(rates), [each["per_second"] for each in rates.values()], colours, "{:,.0f}")
    left.set_xlabel("texts a second (more is better)")
    left.set_title(f"{result['records']:,} short texts at once")
    latency = result["single"]["latency"]
    values = [each["p50_ms"] for each in latency.values()]
    bars(right, list(latency), values, [OURS[0], RIVALS[0]], "{:.2f}")
    right.set_xlabel("p50 in ms (less is better)")
    right.set_title("one by one, each on disk at once")
    return figure


def _startup(result: Result) -> Figure:
    processes, targets = result["processes"], result["targets"]
    figure, ax = plt.subplots(figsize=(8, 4.4), layout="constrained")
    colours = [
        RIVALS[0] if name.startswith(("bare", "import ")) and "clawstate" not in name else OURS[0]
        for name in processes
    ]
    values = [each["median_ms"] for each in processes.values()]
    names = [f"{name} (at most {targets[name]})" if name in targets else name for name in processes]
    bars(ax, names, values, colours, "{:.0f}")
    ax.set_xlabel("processor time in ms, median (less is better)")
    ax.set_title("Whole processes, from nothing")
    return figure


def _line(ax: Axes, result: Result, arm: str, colour: str, *, time: str = "") -> None:
    measured = {int(size): found["latency"].get(arm) for size, found in result.items()}
    sizes = [size for size, figures in measured.items() if figures]  # rivals may be left out
    if not sizes:
        return
    middles = [measured[size][f"{time}p50_ms"] for size in sizes]
    style = "--" if colour in RIVALS else "-"
    tails = [measured[size][f"{time}p95_ms"] for size in sizes]
    ax.plot(sizes, middles, style, marker="o", color=colour, label=arm, lw=2)
    ax.plot(sizes, tails, ls="", marker="_", ms=12, mew=2, color=colour, alpha=0.6)


def _log_axes(ax: Axes, result: Result) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    sizes = [int(size) for size in result]
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes], minor=False)
    ax.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    ax.set_xlim(sizes[0] / 1.4, sizes[-1] * 1.4)
    ax.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_xlabel("records")
    ax.set_ylabel("ms: line p50, dash p95")
    ax.grid(visible=True, which="major", alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=9)


_PICTURES: dict[str, Callable[[Result], Figure]] = {
    "retrieval": _retrieval,
    "vectors": _vectors,
    "hybrid": _hybrid,
    "ingest": _ingest,
    "startup": _startup,
    "files": state_plots.files,
    "locks": state_plots.locks,
    "records": state_plots.records,
    "caches": state_plots.caches,
    "config": state_plots.config,
    "sessions": session_plots.sessions,
    "transcripts": transcript_plots.transcripts,
}
