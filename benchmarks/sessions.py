"""Sessions: what a look, an update and a new session cost as their number grows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, cycle
from pathlib import Path
from typing import Any

import clawstate
from clawstate.stores.sessions import Sessions
from timing import Figures
from turns import Arm, ratio, table, told, turns
from workbench import Workbench

TITLE = "Sessions, as their number grows"
ROUNDS, CALLS, READS = 60, 2, 20
FILES = (100, 1_000, 5_000)
TARGET = 1.5
UPDATE, CREATE, GET, LIST = "update", "resolve a new key", "get", "entries"
MEMBERS: dict[str, Any] = {
    "chatType": "direct",
    "channel": "telegram",
    "lastChannel": "telegram",
    "lastTo": "42",
    "deliveryContext": {"channel": "telegram", "to": "42"},
    "model": "a-model-of-today",
    "modelProvider": "somebody",
    "inputTokens": 1_234,
    "outputTokens": 567,
    "totalTokens": 1_801,
    "skillsSnapshot": {"prompt": "what the agent can do " * 10},
}


def measure(bench: Workbench) -> Figures:
    """Return the times of calls on both engines, by how many sessions there are."""
    least, most = min(bench.sizes), max(bench.sizes)
    sqlite = _taken(bench.scratch / "sqlite", "sqlite", (least, most))
    return {
        "sqlite": sqlite,
        "growth": {
            call: ratio({"ours": sqlite[most][call], "rival": sqlite[least][call]}, "ours", "rival")
            for call in (UPDATE, CREATE, GET)
        },
        "file": _taken(bench.scratch / "file", "file", FILES),
    }


def lines(result: Figures) -> Iterator[str]:
    """Yield the tables to print."""
    for engine in ("sqlite", "file"):
        for size, figures in result[engine].items():
            yield f"{engine}, {int(size):,} sessions"
            yield from table(figures)
    sizes = " / ".join(f"{int(size):,}" for size in reversed(result["sqlite"]))
    for call, each in result["growth"].items():
        yield told(each, f"{call}, {sizes} sessions on SQLite", TARGET if call == UPDATE else None)


def _taken(root: Path, store: str, sizes: tuple[int, ...]) -> dict[int, dict[str, Figures]]:
    states = {size: clawstate.open(root / str(size), store=store) for size in sizes}
    for size, state in states.items():
        _fill(state.sessions, size)
    arms: dict[str, Arm] = {}
    reads: dict[str, Arm] = {}
    lists: dict[str, Arm] = {}
    for size, state in states.items():
        update, create, get, entries = _calls(state.sessions, size)
        arms[f"{UPDATE} {size}"], arms[f"{CREATE} {size}"] = update, create
        reads[f"{GET} {size}"], lists[f"{LIST} {size}"] = get, entries
    figures = {
        **turns(arms, range(CALLS), rounds=ROUNDS),
        **turns(reads, range(READS), rounds=ROUNDS),
        **turns(lists, range(1), rounds=5),
    }
    for state in states.values():
        state.close()
    names = (UPDATE, CREATE, GET, LIST)
    return {size: {name: figures[f"{name} {size}"] for name in names} for size in sizes}


def _fill(sessions: Sessions, size: int) -> None:
    made = {
        f"agent:main:telegram:direct:{number}": {"sessionId": f"s-{number}", **MEMBERS}
        for number in range(size)
    }
    sessions.change_all(lambda _: (made, None))


def _calls(sessions: Sessions, size: int) -> tuple[Arm, ...]:
    # Far apart, so that a large index does not profit from a few pages that are at hand.
    keys = [
        f"agent:main:telegram:direct:{number * 7919 % size}" for number in range(min(size, 500))
    ]
    names, numbers = cycle(keys), count()
    return (
        lambda _: sessions.update(next(names), {"totalTokens": next(numbers)}),
        lambda _: sessions.resolve(f"new:{next(numbers)}"),
        lambda _: sessions.get(next(names)),
        lambda _: sessions.entries(),
    )
