"""The picture of the part `sessions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bars import OURS, groups

Result = Mapping[str, Any]


def sessions(result: Result) -> Figure:
    """Draw the calls of both engines by the number of sessions."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13.5, 4.2), layout="constrained")
    least, most = result["sqlite"]
    groups(left, _calls(result["sqlite"]), OURS[:2], "{:.3g}")
    grown, times = result["growth"]["update"]["median"], int(most) // int(least)
    title = f"SQLite: {times} times the sessions, {grown:.2f} times the time of an update"
    left.set_title(title, fontsize=11)
    left.set_ylabel("ms, log scale (less is better)")
    groups(right, _calls(result["file"]), OURS, "{:.3g}")
    right.set_title("File: an update writes the whole index, and a profile", fontsize=11)
    right.set_ylabel("ms, log scale (less is better)")
    return figure


def _calls(sizes: Result) -> dict[str, dict[str, float]]:
    calls = next(iter(sizes.values()))
    return {
        call: {
            f"{int(size):,} sessions": found[call]["median"] / 1e3 for size, found in sizes.items()
        }
        for call in calls
    }
