"""The picture of the part `transcripts`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bars import OURS, RIVALS, bars_with_quartiles, groups

_LESS = "less is better"


def transcripts(result: Mapping[str, Any]) -> Figure:
    """Draw appends beside their rivals, and pages against reading a whole file."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13.5, 3.6), layout="constrained")
    least, most = result["least"], result["most"]
    appends = result["appends"]
    colours = (OURS[1], OURS[0], OURS[2], *RIVALS[:2])
    bars_with_quartiles(left, appends["arms"], colours, 1e3, "{:.2f}")
    left.set_title(
        f"{most // least} times the messages, {appends['growth']['median']:.2f} times the append"
    )
    left.set_xlabel(f"ms ({_LESS}; line: quartiles)")
    pages = {name: arm["median"] / 1e3 for name, arm in result["pages"]["arms"].items()}
    groups(right, {f"{most:,} messages": pages}, (*OURS, RIVALS[3], RIVALS[0]), "{:.3g}")
    times = 1 / result["pages"]["jsonl"]["median"]
    right.set_title(f"A page is read {times:,.0f} times as fast as by parsing the file")
    right.set_ylabel(f"ms, log scale ({_LESS})")
    return figure
