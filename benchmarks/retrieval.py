"""
Retrieval quality on sets of questions with known answers.

A question is searched within its own group, which becomes a namespace; `meta.session` (or
`meta.thread`), where there is one, becomes the thread. The rivals are built on the very same
legs: FTS5 alone, the mean vector alone, and both put together by reciprocal rank fusion, which is
what most memories do, or by a fixed mix of scores. README.md describes the layout of a set.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import numpy as np

import clawstate
from clawstate.errors import EmbeddingError
from clawstate.memory.contract import Embedder
from clawstate.memory.embedders.transformer import TransformerEmbedder
from timing import Figures
from workbench import Workbench, own_embedder, telling_words

TITLE = "Retrieval quality"
ARMS = (
    "clawstate words",
    "clawstate vector",
    "clawstate hybrid",
    "FTS5",
    "mean vector",
    "rank fusion",
    "fixed mix",
)
MEASURES = ("R@1", "R@5", "R@10", "MRR@20", "nDCG@10")
DEPTH = 20
OUTSIDE_TOTAL = "adversarial"  # a category of questions without an answer, told apart

_SKIPPED = """\
SKIPPED: no sets were given. Name folders with --sets DIR [DIR ...]; each holds
  corpus.jsonl   {"group": "g", "id": "d1", "text": "...", "meta": {"session": 1}}
  queries.jsonl  {"group": "g", "qid": "q1", "text": "...", "category": "..."}
  qrels.tsv      group, qid, id, grade, divided by tabs
benchmarks/README.md says where such sets are published."""

Entry = dict[str, Any]
Key = tuple[str, str]
"""A group and the number of a question in it."""
Ranked = list[str]


@dataclass(frozen=True)
class TestSet:
    """The texts, the questions, and which texts answer a question."""

    corpus: list[Entry]
    queries: list[Entry]
    relevant: dict[Key, set[str]]


def measure(bench: Workbench) -> dict[str, Figures]:
    """Return the measures of every arm by set and category (`all` first)."""
    return {
        folder.name: _measured(read_set(folder), bench.scratch / f"retrieval-{number}")
        for number, folder in enumerate(bench.sets)
    }


def lines(result: dict[str, Figures]) -> Iterator[str]:
    """Yield the tables to print."""
    if not result:
        yield _SKIPPED
    for name, arms in result.items():
        for category in arms[ARMS[0]]:
            yield f"{name}, {category} (n = {arms[ARMS[0]][category]['n']})"
            yield f"  {'arm':<18}" + "".join(f"{measure:>9}" for measure in MEASURES)
            for arm, figures in arms.items():
                values = (figures[category][measure] for measure in MEASURES)
                yield f"  {arm:<18}" + "".join(f"{value:9.3f}" for value in values)


def read_set(folder: Path) -> TestSet:
    """Return the set in *folder*; texts of blanks only are left out."""
    relevant: dict[Key, set[str]] = defaultdict(set)
    for line in (folder / "qrels.tsv").read_text().splitlines():
        group, qid, name, grade = line.split("\t")
        if float(grade) > 0:
            relevant[group, qid].add(name)
    corpus = [each for each in _json_lines(folder / "corpus.jsonl") if each["text"].strip()]
    queries = [
        each
        for each in _json_lines(folder / "queries.jsonl")
        if (each["group"], each["qid"]) in relevant
    ]
    return TestSet(corpus, queries, relevant)


def _json_lines(path: Path) -> list[Entry]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def _measured(test: TestSet, root: Path) -> Figures:
    found = {**_ours(test, root), **_rivals(test), **_with_transformer(test, root)}
    return {arm: _by_category(test, each) for arm, each in found.items()}


def _by_category(test: TestSet, found: dict[Key, Ranked]) -> Figures:
    rows: dict[str, list[list[float]]] = {"all": []}
    for query in test.queries:
        key = (query["group"], query["qid"])
        category = query.get("category", "all")
        scores = _judged(found[key], test.relevant[key])
        if category != OUTSIDE_TOTAL:
            rows["all"].append(scores)
        if category != "all":
            rows.setdefault(category, []).append(scores)
    if len(rows) == 2:
        rows = {"all": rows["all"]}  # one category in all says nothing more
    return {
        category: {
            "n": len(each),
            **dict(zip(MEASURES, np.mean(each, axis=0).round(4).tolist(), strict=True)),
        }
        for category, each in rows.items()
    }


def _judged(found: Ranked, relevant: set[str]) -> list[float]:
    hits = [name in relevant for name in found]
    first = next((rank for rank, hit in enumerate(hits[:20], start=1) if hit), None)
    gain = sum(1 / math.log2(rank + 1) for rank, hit in enumerate(hits[:10], start=1) if hit)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(relevant), 10) + 1))
    recalls = [sum(hits[:depth]) / len(relevant) for depth in (1, 5, 10)]
    return [*recalls, 1 / first if first else 0.0, gain / ideal]


def _with_transformer(test: TestSet, root: Path) -> dict[str, dict[Key, Ranked]]:
    try:
        embedder = TransformerEmbedder()
    except EmbeddingError as error:
        print(f"left out: the transformer: {error}")
        return {}
    found = _ours(test, root.with_name(f"{root.name}-transformer"), embedder)
    return {f"transformer {mode}": found[f"clawstate {mode}"] for mode in ("vector", "hybrid")}


def _ours(
    test: TestSet, root: Path, embedder: Embedder | None = None
) -> dict[str, dict[Key, Ranked]]:
    with clawstate.open(root, embedder=embedder) as state:
        state.memory.add_many(map(_record, test.corpus))
        state.memory.optimize()

        def found(query: Entry, mode: Any) -> Ranked:
            hits = state.memory.search(query["text"], k=DEPTH, mode=mode, namespace=query["group"])
            return [hit.record.metadata["name"] for hit in hits]

        return {
            f"clawstate {mode}": {
                (query["group"], query["qid"]): found(query, mode) for query in test.queries
            }
            for mode in ("words", "vector", "hybrid")
        }


def _record(entry: Entry) -> dict[str, Any]:
    meta = entry.get("meta") or {}
    thread = meta.get("session", meta.get("thread"))
    return {
        "text": entry["text"],
        "namespace": entry["group"],
        "metadata": {"name": entry["id"]},
        "thread": None if thread is None else str(thread),
    }


def _rivals(test: TestSet) -> dict[str, dict[Key, Ranked]]:
    arms: dict[str, dict[Key, Ranked]] = {name: {} for name in ARMS[3:]}
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in test.corpus:
        groups[entry["group"]].append(entry)
    for group, entries in groups.items():
        words, vectors = _plain_fts5(entries), _mean_vectors(entries)
        for query in (each for each in test.queries if each["group"] == group):
            by_words, by_vector = words(query["text"]), vectors(query["text"])
            both = (by_words, by_vector)
            orders = (_order(by_words), _order(by_vector), _rank_fusion(both), _fixed_mix(*both))
            for name, order in zip(ARMS[3:], orders, strict=True):
                arms[name][group, query["qid"]] = order[:DEPTH]
    return arms


Leg = Callable[[str], dict[str, float]]
"""The best hundred texts of a question with their scores."""


def _plain_fts5(entries: Sequence[Entry]) -> Leg:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE VIRTUAL TABLE f USING fts5 (t, tokenize = 'porter unicode61')")
    connection.executemany(
        "INSERT INTO f (rowid, t) VALUES (?, ?)", ((i, e["text"]) for i, e in enumerate(entries))
    )

    def search(text: str) -> dict[str, float]:
        match = " OR ".join(f'"{word}"' for word in telling_words(text))
        sql = "SELECT rowid, -rank FROM f WHERE f MATCH ? ORDER BY rank LIMIT 100"
        return {entries[row]["id"]: score for row, score in connection.execute(sql, (match,))}

    return search


def _mean_vectors(entries: Sequence[Entry]) -> Leg:
    embedder = own_embedder()
    matrix = embedder.embed([entry["text"] for entry in entries])

    def search(text: str) -> dict[str, float]:
        cosines = matrix @ embedder.embed([text])[0]
        best = np.argsort(-cosines, kind="stable")[:100]
        return {entries[place]["id"]: float(cosines[place]) for place in best}

    return search


def _order(scores: dict[str, float]) -> Ranked:
    return sorted(scores, key=lambda name: -scores[name])


def _rank_fusion(legs: Iterable[dict[str, float]], constant: int = 60) -> Ranked:
    scores: dict[str, float] = defaultdict(float)
    for leg in legs:
        for rank, name in enumerate(_order(leg), start=1):
            scores[name] += 1 / (constant + rank)
    return _order(scores)


def _fixed_mix(words: dict[str, float], vectors: dict[str, float], share: float = 0.3) -> Ranked:
    """Mix both legs, scaled to 0..1 between their worst and best, *share* by vectors."""
    scores: dict[str, float] = defaultdict(float)
    for leg, weight in ((words, 1 - share), (vectors, share)):
        least, most = min(leg.values(), default=0.0), max(leg.values(), default=0.0)
        for name, score in leg.items():
            scores[name] += weight * (score - least) / ((most - least) or 1.0)
    return _order(scores)
