"""Word search by size: the index alone and a whole search, against FTS5, tantivy and bm25s."""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import apsw

from clawstate.memory.analysis import analyse
from clawstate.memory.backends.documents import Words
from clawstate.memory.backends.sqlite import SqliteMemory, word_index
from clawstate.memory.backends.sqlite.postings import SqlitePostings
from clawstate.memory.query_words import word_query
from clawstate.memory.reading import WordQuery
from clawstate.memory.service import Memory
from timing import Figures, latencies, ratios
from workbench import Workbench, telling_words

TITLE = "Word search (top 10)"
K = 10
SEARCH, INDEX, FTS5, TANTIVY, BM25S = (
    "clawstate search",
    "clawstate index",
    "FTS5, no stop words",
    "tantivy",
    "bm25s",
)
RIVALS = (FTS5, TANTIVY, BM25S)
CHECKED = 100  # questions whose best ten are compared with those of FTS5
ADDED = 300


def measure(bench: Workbench) -> dict[str, Figures]:
    """Return the figures by size."""
    return {str(size): _measured(bench, size) for size in bench.sizes}


def lines(result: dict[str, Figures]) -> Iterator[str]:
    """Yield the table to print."""
    for size, found in result.items():
        for arm, figures in found["latency"].items():
            yield f"{size:>8}  {arm:<22}{figures['p50_ms']:9.3f} p50{figures['p95_ms']:9.3f} p95 ms"
        for name, ratio in found["ratios"].items():
            yield f"{size:>8}  {name} / {INDEX}: {ratio['times_faster']:.2f}"
        yield (
            f"{size:>8}  built {found['rows_per_second']} rows a second, first query "
            f"{found['first_ms']:.1f} ms, one add without its commit {found['add_ms']:.3f} ms p50, "
            f"{found['bytes'] / 1e6:.1f} MB, top 10 as FTS5 scores them {found['overlap']:.4f}"
        )
        if found["missing"]:
            yield f"{size:>8}  SKIPPED, not installed: {', '.join(found['missing'])}"


def _measured(bench: Workbench, size: int) -> Figures:
    texts = bench.texts(size)
    folder = bench.scratch / f"words-{size}"
    memory = Memory(SqliteMemory(folder / "memory.db", vectors=folder / "v"), by_meaning=False)
    started = time.perf_counter()
    memory.add_many({"text": text} for text in texts)
    memory.optimize()
    built = time.perf_counter() - started
    memory.close()
    memory = Memory(SqliteMemory(folder / "memory.db", vectors=folder / "v"), by_meaning=False)
    engine: Any = memory._engine  # noqa: SLF001 - the leg alone
    started = time.perf_counter()
    memory.search("the first question of all", mode="words")
    first = time.perf_counter() - started
    words = _fts5(texts)
    with engine._database.reading() as connection:  # noqa: SLF001
        store = SqlitePostings(connection)
        caches = word_index.WordCaches()

        def best(query: WordQuery) -> dict[int, float]:
            search = caches.search(store, None, query)
            return search.best(caches.allowed_docs(store, None, marks=[], docs=None), K)[0]

        arms: dict[str, Callable[[str], object]] = {
            SEARCH: lambda text: memory.search(text, mode="words"),
            INDEX: lambda text: best(word_query(text)),
            FTS5: lambda text: words(word_query(text).terms),
        }
        if importlib.util.find_spec("tantivy") is not None:
            arms[TANTIVY] = _tantivy(texts)
        if importlib.util.find_spec("bm25s") is not None:
            arms[BM25S] = _bm25s(texts)
        figures = latencies(arms, bench.rounds())
        questions = [text for texts in bench.rounds() for text in texts][:CHECKED]
        overlap = statistics.mean(_overlap(best, words, text) for text in questions)
        sizes = "SELECT sum(length(ids) + length(counts) + length(places) + 20) FROM word_blocks"
        held = connection.execute(sizes).get
    taken = _adds(engine, bench)
    memory.close()
    return {
        "latency": figures,
        "ratios": {name: ratios(figures, INDEX, name) for name in RIVALS if name in figures},
        "missing": [name for name in RIVALS if name not in figures],
        "rows_per_second": round(len(texts) / built),
        "first_ms": first * 1e3,
        "add_ms": taken * 1e3,
        "bytes": held,
        "overlap": overlap,
    }


def _overlap(
    best: Callable[[WordQuery], dict[int, float]],
    words: Callable[[tuple[str, ...]], list[tuple[int, float]]],
    text: str,
) -> float:
    """Return which share of our best ten reaches the tenth score of FTS5 (1: all of them)."""
    terms = word_query(text).terms
    wanted = words(terms)
    found = sorted(best(WordQuery(terms)).values(), reverse=True)
    if not wanted:
        return 1.0
    edge = wanted[-1][1]
    return sum(score >= edge * (1 - 1e-5) for score in found[: len(wanted)]) / len(wanted)


def _fts5(texts: list[str]) -> Callable[[tuple[str, ...]], list[tuple[int, float]]]:
    connection = apsw.Connection(":memory:")
    # One token beside each text, as long as ours count; and the very stems, so that scores agree.
    connection.execute("CREATE VIRTUAL TABLE f USING fts5 (one, t, tokenize = 'unicode61')")
    rows = ((number, " ".join(analyse(text)[0])) for number, text in enumerate(texts, start=1))
    connection.executemany("INSERT INTO f (rowid, one, t) VALUES (?, 'o', ?)", rows)
    sql = "SELECT rowid, -bm25(f, 0.0, 1.0) AS s FROM f WHERE f MATCH ? ORDER BY s DESC LIMIT 10"

    def search(words: tuple[str, ...]) -> list[tuple[int, float]]:
        match = "t : (" + " OR ".join(f'"{word}"' for word in words) + ")"
        return list(connection.execute(sql, (match,)))

    return search


def _tantivy(texts: list[str]) -> Callable[[str], object]:
    import tantivy  # type: ignore[import-not-found] # noqa: PLC0415 - if installed

    schema = tantivy.SchemaBuilder().add_text_field("t", tokenizer_name="en_stem").build()
    index = tantivy.Index(schema)
    writer = index.writer()
    for text in texts:
        writer.add_document(tantivy.Document(t=text))
    writer.commit()
    index.reload()
    searcher = index.searcher()
    return lambda text: (
        searcher.search(index.parse_query(" ".join(telling_words(text)), ["t"]), limit=K).hits
    )


def _bm25s(texts: list[str]) -> Callable[[str], object]:
    import bm25s  # type: ignore[import-not-found] # noqa: PLC0415 - if installed

    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index([analyse(text)[0] for text in texts], show_progress=False)
    return lambda text: index.retrieve([list(word_query(text).terms)], k=K, show_progress=False)


def _adds(engine: Any, bench: Workbench) -> float:
    """Return how long the words of one more record take, without the commit (median)."""
    taken: list[float] = []
    with engine._database.writing() as connection:  # noqa: SLF001
        last = connection.execute("SELECT max(docno) FROM memories").get
        for number, text in enumerate(bench.texts(ADDED), start=1):
            started = time.perf_counter()
            word_index.add(connection, [Words(last + number, 1, (text,), ())])
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)
