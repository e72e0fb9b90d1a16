"""Bars of a picture: a name and a value each, in groups, with quartiles or marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

OURS = ("#0b6e4f", "#3fa77e", "#9fd8bf")
RIVALS = ("#c8553d", "#e59572", "#8d99ae", "#c9cfd8")


def bars(
    ax: Axes, names: Sequence[str], values: Sequence[float], colours: Sequence[str], shown: str
) -> None:
    """Draw lying bars, the first on top, each with its value as *shown*."""
    drawn = ax.barh(range(len(names)), values, color=list(colours)[: len(names)], height=0.7)
    ax.bar_label(drawn, labels=[shown.format(value) for value in values], padding=3)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlim(0, max(values) * 1.18)
    ax.spines[["top", "right"]].set_visible(False)


def bars_with_quartiles(
    ax: Axes, arms: Mapping[str, Any], colours: Sequence[str], unit: float, shown: str
) -> None:
    """Draw the medians of *arms*, divided by *unit*, and a line from quartile to quartile."""
    bars(ax, list(arms), [each["median"] / unit for each in arms.values()], colours, shown)
    for place, each in enumerate(arms.values()):
        ends = [each["low"] / unit, each["high"] / unit]
        ax.plot(ends, [place + 0.25] * 2, color="black", lw=1)
    ax.set_xlim(0, max(each["high"] for each in arms.values()) / unit * 1.1)


def marks(ax: Axes, values: Sequence[float]) -> None:
    """Draw a stroke across each lying bar, behind its value."""
    for text in ax.texts:
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.9})
    for place, value in enumerate(values):
        ax.plot([value] * 2, [place - 0.4, place + 0.4], color="black", lw=2)
    ax.set_xlim(0, max(ax.get_xlim()[1], max(values) * 1.05))


def groups(
    ax: Axes,
    values: Mapping[str, Mapping[str, float]],
    colours: Sequence[str],
    shown: str,
    *,
    log: bool = True,
) -> None:
    """Draw standing bars in groups; the first group has a bar of every name."""
    names = list(next(iter(values.values())))
    width = 0.8 / len(names)
    for number, (name, colour) in enumerate(zip(names, colours, strict=True)):
        shift = (number - (len(names) - 1) / 2) * width
        found = {
            place + shift: each[name] for place, each in enumerate(values.values()) if name in each
        }
        drawn = ax.bar(list(found), list(found.values()), width * 0.92, color=colour, label=name)
        labels = [shown.format(each) for each in found.values()]
        ax.bar_label(drawn, labels=labels, padding=2, fontsize=8)
    ax.set_xticks(range(len(values)), list(values))
    if log:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax.margins(y=0.15)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=9)
