"""Durable writing: many records against the bare embedder, one record against a bare commit."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import wordllama

import clawstate
from timing import Figures, latencies, rates, ratios
from workbench import ROUNDS, Workbench, own_embedder

TITLE = "Durable ingest of short texts"
MANY = 20_000
SINGLES = 100  # a round
OURS, OWN, PACKAGE = "add_many, durable", "StaticEmbedder.embed", "WordLlama.embed"
ADD, COMMIT = "add, durable", "SQLite commit, FULL"


def measure(bench: Workbench) -> Figures:
    """Return the rates of bulk ingest, and the latency of single additions."""
    texts = bench.texts(min(MANY, max(bench.sizes)))
    return {
        "records": len(texts),
        "mean_characters": round(statistics.mean(map(len, texts))),
        "sync_ms": _disk(bench.scratch),
        "bulk": _bulk(bench, texts),
        "single": _single(bench, texts),
    }


def lines(result: Figures) -> Iterator[str]:
    """Yield the table to print."""
    yield f"{result['records']} texts of {result['mean_characters']} characters on average"
    bulk, single = result["bulk"], result["single"]
    for name, figures in bulk["rates"].items():
        yield f"  {name:<22}{figures['per_second']:>9} a second   {figures['rounds']}"
    for name, share in bulk["shares"].items():
        yield f"  add_many reaches {share:.2f} of {name}"
    yield f"one by one; a bare write and fsync takes {result['sync_ms']:.2f} ms here"
    for name, figures in single["latency"].items():
        yield f"  {name:<22}{figures['p50_ms']:9.3f} ms p50{figures['p95_ms']:9.3f} ms p95"
    yield f"  a commit takes {single['ratio']['times_faster']:.2f} of the time of an add"


def _bulk(bench: Workbench, texts: list[str]) -> Figures:
    own, package = own_embedder(), _wordllama()
    opened = iter(range(1_000))

    def add_many() -> int:
        with clawstate.open(bench.scratch / f"bulk-{next(opened)}", embedder=own) as state:
            return len(state.memory.add_many({"text": text} for text in texts))

    figures = rates(
        {
            OWN: lambda: len(own.embed(texts)),
            OURS: add_many,
            PACKAGE: lambda: len(package.embed(texts, norm=True)),
        },
        rounds=ROUNDS,
    )
    shares = {
        name: round(
            statistics.median(
                ours / theirs
                for ours, theirs in zip(
                    figures[OURS]["rounds"], figures[name]["rounds"], strict=True
                )
            ),
            3,
        )
        for name in (OWN, PACKAGE)
    }
    return {"rates": figures, "shares": shares}


def _wordllama() -> Any:
    folder = Path(str(wordllama.__file__)).parent
    model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    model.embed(["warm"])
    return model


def _single(bench: Workbench, texts: list[str]) -> Figures:
    connection = apsw.Connection(str(bench.scratch / "commits.db"))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", 2)
    connection.execute("CREATE TABLE r (id INTEGER PRIMARY KEY, text TEXT, vector BLOB)")
    vector = bytes(512)  # 256 dimensions of float16

    def commit(text: str) -> None:
        connection.execute("INSERT INTO r (text, vector) VALUES (?, ?)", (text, vector))

    rounds = [texts[i * SINGLES : (i + 1) * SINGLES] for i in range(ROUNDS)]
    with clawstate.open(bench.scratch / "single") as state:
        figures = latencies({ADD: state.memory.add, COMMIT: commit}, rounds)
    connection.close()
    return {"latency": figures, "ratio": ratios(figures, ADD, COMMIT)}


def _disk(folder: Path) -> float:
    """Return how long one small write and fsync takes here, in ms (median of 50)."""
    taken = []
    with (folder / "sync").open("wb") as file:
        for _ in range(50):
            started = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - started) * 1e3)
    return round(statistics.median(taken), 3)
