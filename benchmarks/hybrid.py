"""`memory.search` in its three modes and with filters, by size, against FTS5 and LanceDB."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from typing import Any

import apsw

import clawstate
from timing import Figures, latencies, ratios
from workbench import Workbench, own_embedder, record, telling_words

TITLE = "Whole searches (top 10 records)"
NAMESPACES = 20
ALL_WORDS, TELLING_WORDS = "FTS5, all words", "FTS5, no stop words"
HYBRID, WORDS, VECTOR = "hybrid", "words", "vector"
TAGGED, DATED, OF_ONE = "hybrid, tag 10 %", "hybrid, metadata 10 %", "hybrid, 1 of 20 namespaces"
LANCEDB = "LanceDB, hybrid"
COMPARED = 100_000  # records up to which the rivals are filled as well
WARMED = 600  # searches, by which the rows of a million vectors are in memory
FTS5_TAGGED, FTS5_OF_ONE = "FTS5, tag 10 %", "FTS5, 1 of 20 namespaces"
AGAINST = {
    HYBRID: (TELLING_WORDS, ALL_WORDS, LANCEDB),
    WORDS: (TELLING_WORDS, ALL_WORDS),
    TAGGED: (FTS5_TAGGED,),
    OF_ONE: (FTS5_OF_ONE,),
}


def measure(bench: Workbench) -> dict[str, Figures]:
    """Return the figures by size."""
    return {str(size): _measured(bench, size) for size in bench.sizes}


def lines(result: dict[str, Figures]) -> Iterator[str]:
    """Yield the table to print."""
    yield f"{'records':>8}  {'arm':<28}{'p50 ms':>9}{'p95 ms':>9}{'CPU ms':>9}   rival / ours (CPU)"
    for size, found in result.items():
        for arm, figures in found["latency"].items():
            against = ", ".join(
                f"{ratio['times_faster']:.2f} ({ratio['cpu_times_faster']:.2f}) {rival}"
                for rival, ratio in found["ratios"].get(arm, {}).items()
            )
            times = (figures["p50_ms"], figures["p95_ms"], figures["cpu_p50_ms"])
            shown = "".join(f"{each:9.2f}" for each in times)
            yield f"{size:>8}  {arm:<28}{shown}   {against}".rstrip()
        if LANCEDB not in found["latency"]:
            yield f"{size:>8}  SKIPPED: {LANCEDB}, not installed, or more than {COMPARED:,} records"


def _measured(bench: Workbench, size: int) -> Figures:
    with clawstate.open(bench.state(size).root) as state:
        search = state.memory.search
        arms: dict[str, Callable[[str], object]] = {
            HYBRID: search,
            WORDS: lambda text: search(text, mode="words"),
            VECTOR: lambda text: search(text, mode="vector"),
            TAGGED: lambda text: search(text, tags=["work"]),
            DATED: lambda text: search(text, where={"year": {"gte": 2028}}),
        }
        for number in range(WARMED if size > COMPARED else WARMED // 6):
            search(f"{bench.rounds()[0][number % 100]} {number}", mode="vector")
        if size > COMPARED:
            figures = latencies(arms, bench.rounds())
        else:
            figures = _beside_rivals(bench, size, arms)
    compared = {
        ours: {rival: ratios(figures, ours, rival) for rival in rivals if rival in figures}
        for ours, rivals in AGAINST.items()
        if ours in figures
    }
    return {"latency": figures, "ratios": compared}


def _beside_rivals(
    bench: Workbench, size: int, arms: dict[str, Callable[[str], object]]
) -> dict[str, Figures]:
    fts5 = _Fts5(bench, size)
    with clawstate.open(bench.state(size, namespaces=NAMESPACES).root) as shared:
        arms = {
            **arms,
            TELLING_WORDS: lambda text: fts5.search(telling_words(text)),
            ALL_WORDS: lambda text: fts5.search(_words(text)),
            FTS5_TAGGED: lambda text: fts5.search(telling_words(text), "d.tag = 'work'"),
            OF_ONE: lambda text: shared.memory.search(text, namespace="n7"),
            FTS5_OF_ONE: lambda text: fts5.search(telling_words(text), "d.namespace = 'n7'"),
        }
        if importlib.util.find_spec("lancedb") is not None:
            arms[LANCEDB] = _lancedb(bench, size)
        figures = latencies(arms, bench.rounds())
    fts5.connection.close()
    return figures


def _lancedb(bench: Workbench, size: int) -> Callable[[str], object]:
    """Return the hybrid search of LanceDB, by its documentation: an index each, ranks fused."""
    import lancedb  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415 - if installed
    from lancedb.index import (  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415
        FTS,
        HnswSq,
    )
    from lancedb.rerankers import (  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415
        RRFReranker,
    )

    embedder, texts = own_embedder(), bench.texts(size)
    rows = [
        {"text": text, "vector": vector}
        for text, vector in zip(texts, embedder.embed(texts), strict=True)
    ]
    table: Any = lancedb.connect(str(bench.scratch / f"lancedb-{size}")).create_table("t", rows)
    table.create_index("text", config=FTS(stem=True, remove_stop_words=True))
    table.create_index("vector", config=HnswSq(distance_type="cosine"))
    table.optimize()
    ranks = RRFReranker()

    def search(text: str) -> object:
        query = table.search(query_type="hybrid").vector(embedder.embed([text])[0]).text(text)
        return query.rerank(ranks).limit(10).to_list()

    return search


class _Fts5:
    """What a careful user of FTS5 alone would write: porter stems, `ORDER BY rank`."""

    def __init__(self, bench: Workbench, size: int) -> None:
        self.connection = apsw.Connection(str(bench.scratch / f"fts5-{size}.db"))
        self.connection.execute(
            """
            PRAGMA cache_size = -500000;
            CREATE VIRTUAL TABLE f USING fts5 (text, tokenize = 'porter unicode61');
            CREATE TABLE d (id INTEGER PRIMARY KEY, tag TEXT, namespace TEXT);
            """
        )
        with self.connection:
            for number, text in enumerate(bench.texts(size)):
                made = record(number, text, NAMESPACES)
                self.connection.execute("INSERT INTO f (rowid, text) VALUES (?, ?)", (number, text))
                row = (number, made["tags"][0], made["namespace"])
                self.connection.execute("INSERT INTO d VALUES (?, ?, ?)", row)
        self.connection.execute("INSERT INTO f (f) VALUES ('optimize')")

    def search(self, words: tuple[str, ...], condition: str = "") -> list[tuple[int, str]]:
        """Return the best ten that hold any of *words*."""
        match = " OR ".join(f'"{word}"' for word in words)
        joined = f"JOIN d ON d.id = f.rowid AND {condition}" if condition else ""
        sql = f"SELECT f.rowid, f.text FROM f {joined} WHERE f MATCH ? ORDER BY rank LIMIT 10"
        return list(self.connection.execute(sql, (match,)))


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(re.findall(r"\w+", text.lower())))
