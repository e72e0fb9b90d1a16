"""`memory.search` in its three modes and with filters, by size, against plain FTS5."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import apsw

import clawstate
from timing import Figures, latencies, ratios
from workbench import Workbench, record, telling_words

TITLE = "Whole searches (top 10 records)"
NAMESPACES = 20
ALL_WORDS, TELLING_WORDS = "FTS5, all words", "FTS5, no stop words"
HYBRID, WORDS, VECTOR = "hybrid", "words", "vector"
TAGGED, DATED, OF_ONE = "hybrid, tag 10 %", "hybrid, metadata 10 %", "hybrid, 1 of 20 namespaces"
FTS5_TAGGED, FTS5_OF_ONE = "FTS5, tag 10 %", "FTS5, 1 of 20 namespaces"
AGAINST = {
    HYBRID: (TELLING_WORDS, ALL_WORDS),
    WORDS: (TELLING_WORDS, ALL_WORDS),
    TAGGED: (FTS5_TAGGED,),
    OF_ONE: (FTS5_OF_ONE,),
}


def measure(bench: Workbench) -> dict[str, Figures]:
    """Return the figures by size."""
    return {str(size): _measured(bench, size) for size in bench.sizes}


def lines(result: dict[str, Figures]) -> Iterator[str]:
    """Yield the table to print."""
    yield f"{'records':>8}  {'arm':<28}{'p50 ms':>9}{'p95 ms':>9}   rival / ours"
    for size, found in result.items():
        for arm, figures in found["latency"].items():
            against = ", ".join(
                f"{ratio['times_faster']:.2f} ({rival})"
                for rival, ratio in found["ratios"].get(arm, {}).items()
            )
            middle, tail = figures["p50_ms"], figures["p95_ms"]
            yield f"{size:>8}  {arm:<28}{middle:9.2f}{tail:9.2f}   {against}".rstrip()


def _measured(bench: Workbench, size: int) -> Figures:
    one, many = bench.state(size).root, bench.state(size, namespaces=NAMESPACES).root
    fts5 = _Fts5(bench, size)
    with clawstate.open(one) as state, clawstate.open(many) as shared:
        search = state.memory.search
        arms: dict[str, Callable[[str], object]] = {
            HYBRID: search,
            TELLING_WORDS: lambda text: fts5.search(telling_words(text)),
            ALL_WORDS: lambda text: fts5.search(_words(text)),
            WORDS: lambda text: search(text, mode="words"),
            VECTOR: lambda text: search(text, mode="vector"),
            TAGGED: lambda text: search(text, tags=["work"]),
            FTS5_TAGGED: lambda text: fts5.search(telling_words(text), "d.tag = 'work'"),
            DATED: lambda text: search(text, where={"year": {"gte": 2028}}),
            OF_ONE: lambda text: shared.memory.search(text, namespace="n7"),
            FTS5_OF_ONE: lambda text: fts5.search(telling_words(text), "d.namespace = 'n7'"),
        }
        figures = latencies(arms, bench.rounds())
    fts5.connection.close()
    compared = {
        ours: {rival: ratios(figures, ours, rival) for rival in rivals}
        for ours, rivals in AGAINST.items()
    }
    return {"latency": figures, "ratios": compared}


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
