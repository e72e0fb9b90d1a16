"""Single records on the engine for LanceDB, against LanceDB's own `add` of a row."""

from __future__ import annotations

import contextlib
import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import clawstate
from timing import Figures, latencies, ratios
from workbench import Workbench, own_embedder

TITLE = "Single records in LanceDB"
OURS, BARE = "Memory.add, durable", "LanceDB add of a row"
BLOCK = 100  # records of one arm in a row
MOST = 10_000
QUESTIONS = 10  # a round: with a file for each row one takes seconds
AFTER, COMPACTED = "search after single adds", "search, compacted"
BARE_AFTER, BARE_COMPACTED = "LanceDB search after single adds", "LanceDB search, compacted"
PAIRS = ((AFTER, COMPACTED), (BARE_AFTER, BARE_COMPACTED))

_Search = Callable[[str], object]


def measure(bench: Workbench) -> Figures:
    """Return the whole times of as many single adds as the largest size, and searches after."""
    if importlib.util.find_spec("lancedb") is None:
        return {}
    texts = bench.texts(min(MOST, max(bench.sizes)))
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(_opened(bench.scratch / "singles"))
        compacted = stack.enter_context(_opened(bench.scratch / "compacted"))
        bare = _Bare(bench.scratch / "bare")
        taken, blocks = _taken({OURS: ours.memory.add, BARE: bare.add}, texts)
        compacted.memory.add_many({"text": text} for text in texts)
        compacted.memory.optimize()
        searches: dict[str, _Search] = {
            AFTER: ours.memory.search,
            COMPACTED: compacted.memory.search,
        }
        found = latencies(searches, bench.rounds())
        few = [each[:QUESTIONS] for each in bench.rounds()]
        found |= latencies({BARE_AFTER: bare.search}, few)
        bare.compact()
        found |= latencies({BARE_COMPACTED: bare.search}, few)
        waiting = ours.memory.stats()["unwritten"]
        started = time.perf_counter()
    return {
        "records": len(texts),
        "seconds": {name: round(each, 1) for name, each in taken.items()},
        "blocks": blocks,
        "times_faster": round(taken[BARE] / taken[OURS], 1),
        "waiting": waiting,
        "close_s": round(time.perf_counter() - started, 1),
        "fragments": _fragments(bench.scratch / "singles"),
        "latency": found,
        "ratios": {one: ratios(found, other, one) for one, other in PAIRS},
    }


def lines(result: Figures) -> Iterator[str]:
    """Yield the table to print."""
    if not result:
        yield "SKIPPED: lancedb is not installed"
        return
    for name, seconds in result["seconds"].items():
        each = seconds / result["records"] * 1e3
        last = result["blocks"][name][-1]
        yield f"{name:<34}{seconds:9.1f} s{each:9.2f} ms each, {last:.2f} of the last {BLOCK}"
    yield f"all {result['records']:,}: {result['times_faster']} times as fast"
    yield (
        f"{result['waiting']:,} waited for the table then; closing both took "
        f"{result['close_s']} s; the table has {result['fragments']} fragments"
    )
    for name, figures in result["latency"].items():
        yield f"{name:<34}{figures['p50_ms']:9.2f} ms p50{figures['p95_ms']:9.2f} ms p95"
    for name, ratio in result["ratios"].items():
        yield f"{name}: {ratio['times_faster']} times as long as compacted"


def _taken(
    arms: dict[str, Callable[[str], object]], texts: Sequence[str]
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Return the seconds of each arm with all *texts*, and the ms of one in each block."""
    blocks: dict[str, list[float]] = {name: [] for name in arms}
    total = dict.fromkeys(arms, 0.0)
    for start in range(0, len(texts), BLOCK):
        chosen = texts[start : start + BLOCK]
        # In turns, so that other load of the machine meets both.
        for name, arm in arms.items():
            started = time.perf_counter()
            for text in chosen:
                arm(text)
            seconds = time.perf_counter() - started
            total[name] += seconds
            blocks[name].append(round(seconds / len(chosen) * 1e3, 2))
    return total, blocks


@contextlib.contextmanager
def _opened(root: Path) -> Iterator[clawstate.State]:
    with clawstate.open(root) as state:
        state.config.set("memory.store.type", "lancedb")
    with clawstate.open(root) as state:
        state.memory.add("the first loads what is loaded once")
        yield state


class _Bare:
    """A table of the same columns as OpenClaw's plugin makes, and the same vectors as ours."""

    def __init__(self, folder: Path) -> None:
        import lancedb  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415 - if installed

        self._embedder = own_embedder()
        self._count = 0
        self._table: Any = lancedb.connect(str(folder)).create_table("t", [self._row("first")])

    def add(self, text: str) -> None:
        """Add a row."""
        self._table.add([self._row(text)])

    def search(self, text: str) -> object:
        """Return the ten nearest."""
        vector = self._embedder.embed([text])[0]
        return self._table.search(vector).limit(10).to_list()

    def compact(self) -> None:
        """Merge the files."""
        self._table.optimize()

    def _row(self, text: str) -> dict[str, Any]:
        self._count += 1
        vector = self._embedder.embed([text])[0]
        row = {"id": f"r{self._count}", "text": text, "vector": vector, "importance": 0.7}
        return {**row, "category": "other", "createdAt": time.time() * 1e3}


def _fragments(root: Path) -> int:
    return sum(1 for _ in (root / "memory" / "lancedb" / "memories.lance" / "data").iterdir())
