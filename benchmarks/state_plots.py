"""The pictures of the parts `files`, `locks`, `records` and `caches`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bars import OURS, RIVALS, bars, bars_with_quartiles, groups, marks

Result = Mapping[str, Any]
_LESS = "less is better"


def files(result: Result) -> Figure:
    """Draw an update and its bare calls, and writes by size."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13.5, 4), layout="constrained")
    update = result["update"]
    colours = (*OURS[:2], *RIVALS[:2], OURS[2], RIVALS[2])
    bars_with_quartiles(left, update["arms"], colours, 1e3, "{:.2f}")
    times = update["ratios"]["Collection.update / bare system calls + json"]["median"]
    _title(left, f"A durable update takes {times:.2f} times its bare calls and JSON")
    left.set_xlabel(f"ms, file of {_bytes(update['bytes'])} ({_LESS}; line: quartiles)")
    sizes = result["sizes"]
    written = {_bytes(int(size)): _ms(found["arms"]) for size, found in sizes.items()}
    groups(right, written, (OURS[0], RIVALS[0], RIVALS[3]), "{:.2f}")
    bare = [found["ratios"]["bare system calls"]["median"] for found in sizes.values()]
    _title(right, f"write_atomic takes {min(bare):.2f} to {max(bare):.2f} times the bare calls")
    right.set_ylabel(f"ms, log scale ({_LESS})")
    return figure


def locks(result: Result) -> Figure:
    """Draw the rates of four processes, and how long one of them waits."""
    contenders = result["contenders"]
    height = 1 + 0.6 * len(contenders)
    figure, (left, right) = plt.subplots(1, 2, figsize=(14, height), layout="constrained")
    colours = (*OURS[:2], *RIVALS)
    names = [
        f"{name}\n{each['lost']:,} of {each['acknowledged']:,} updates lost"
        for name, each in contenders.items()
    ]
    figures = list(contenders.values())
    bars(left, names, [each["together"] for each in figures], colours, "{:.0f}")
    marks(left, [each["alone"] for each in figures])
    share = figures[0]["ratio"]["median"]
    _title(left, f"Four processes of ours do {share:.2f} times what one does alone")
    left.set_xlabel("updates a second by four processes (line: by one alone; more is better)")
    waits = [each["max_shares"] for each in figures]
    bars(right, [""] * len(names), waits, colours, "{:.0f}")
    marks(right, [each["p99_shares"] for each in figures])
    ours, others = max(waits[:2]), max(waits[2:])
    _title(right, f"Longest wait: ours {ours:.0f} fair shares, others up to {others:.0f}")
    right.set_xlabel(f"a fair share is the time of four updates ({_LESS}; line: p99)")
    return figure


def records(result: Result) -> Figure:
    """Draw the calls of both engines by the number of records."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13.5, 4.2), layout="constrained")
    sqlite = result["sqlite"]
    least, most = sqlite["sizes"]
    groups(left, _calls(sqlite), (OURS[1], OURS[0], RIVALS[0]), "{:.3g}")
    grown, times = sqlite["growth"]["update"]["median"], int(most) // int(least)
    _title(left, f"SQLite: {times} times the records, {grown:.2f} times the time of an update")
    left.set_ylabel(f"ms, log scale ({_LESS})")
    by_size = {
        f"{int(size):,} records\n{_bytes(each['bytes'])}": _ms(each["arms"])
        for size, each in result["json"].items()
    }
    groups(right, by_size, (OURS[0], OURS[2], RIVALS[0]), "{:.3g}")
    _title(right, "JSON: every update writes the whole file, as OpenClaw's format asks")
    right.set_ylabel(f"ms, log scale ({_LESS})")
    return figure


def caches(result: Result) -> Figure:
    """Draw a record that is read again, and the two caches."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13.5, 3.6), layout="constrained")
    record = result["record"]
    bars_with_quartiles(left, record["arms"], (*OURS[:2], *RIVALS[:2]), 1, "{:.1f}")
    _title(left, f"Read again: {1 / record['ratio']['median']:.0f} times as fast as json.load")
    left.set_xlabel(f"us, with the look for an outside change ({_LESS}; line: quartiles)")
    verbs = {
        verb: {name: arm["median"] for name, arm in result[verb]["arms"].items()}
        for verb in ("get", "put")
    }
    groups(right, verbs, (OURS[0], *RIVALS[:2]), "{:.2f}", log=False)
    got, put = (result[verb]["bare"]["median"] for verb in ("get", "put"))
    _title(right, f"TTLCache takes {got:.1f} (get) and {put:.1f} (put) times bare cachetools")
    right.set_ylabel(f"us ({_LESS})")
    return figure


def config(result: Result) -> Figure:
    """Draw looks at the configuration against their targets, and what takes milliseconds."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13.5, 3.2), layout="constrained")
    arms = dict(result["arms"].items())
    quick = {name: arm for name, arm in arms.items() if arm["median"] < 100}
    slow = {name: arm for name, arm in arms.items() if name not in quick}
    bars_with_quartiles(left, quick, OURS, 1, "{:.1f}")
    _title(left, "A look at the configuration takes microseconds")
    left.set_xlabel(f"us ({_LESS}; line: quartiles)")
    bars_with_quartiles(right, slow, (*OURS[:1], RIVALS[0], *OURS[1:]), 1e3, "{:.1f}")
    crowd = result["crowd"]
    _title(
        right, f"{result['keys']} keys; of 800 edits by 16 processes {crowd['present']} are kept"
    )
    right.set_xlabel(f"ms ({_LESS}; line: quartiles)")
    return figure


def _calls(sqlite: Result) -> dict[str, dict[str, float]]:
    sizes = sqlite["sizes"]
    found = {
        call: {f"{int(size):,} records": sizes[size][call]["median"] / 1e3 for size in sizes}
        for call in sqlite["growth"]
    }
    most = list(sizes)[-1]
    for pair in sqlite["bare"]:
        call, rival = pair.split(" / ")
        found[call][f"bare SQLite, {int(most):,} records"] = sizes[most][rival]["median"] / 1e3
    return found


def _ms(arms: Result) -> dict[str, float]:
    return {name: arm["median"] / 1e3 for name, arm in arms.items()}


def _bytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _title(ax: Axes, text: str) -> None:
    ax.set_title(text, fontsize=11)
