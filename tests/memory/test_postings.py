"""Packed postings find what an independent scorer finds, whatever was written, folded or undone."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import apsw
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from clawstate.memory.backends.sqlite import postings, word_index
from clawstate.memory.backends.sqlite.word_index import WordCaches, Words
from clawstate.memory.contract import WordQuery
from clawstate.memory.postings.checking import check
from clawstate.memory.postings.folding import fold
from clawstate.memory.postings.store import BLOCK
from clawstate.memory.word_search import PHRASE_WEIGHT

TABLES = """
CREATE TABLE memories (
    docno INTEGER PRIMARY KEY, id TEXT, scope INTEGER, content TEXT, fields TEXT DEFAULT '{}'
);
CREATE TABLE tags (memory_id TEXT, tag TEXT);
"""
VOCABULARY = [f"w{letter}" for letter in "abcdefghij"]


class Index:
    """Postings on a database in memory, and what an independent scorer says of the same texts."""

    def __init__(self) -> None:
        self.connection = apsw.Connection(":memory:")
        self.connection.execute(TABLES + postings.TABLES)
        self.store = postings.SqlitePostings(self.connection)
        self.caches = WordCaches()
        self.texts: dict[int, str] = {}
        self.tags: dict[int, set[str]] = {}
        self.next = 1

    def add(self, texts: list[str], tags: set[str] = frozenset(), *, at: int | None = None) -> None:
        first = self.next if at is None else at
        rows = []
        for docno, text in enumerate(texts, start=first):
            values = (docno, str(docno), 1, text)
            self.connection.execute(
                "INSERT INTO memories (docno, id, scope, content) VALUES (?, ?, ?, ?)", values
            )
            for tag in tags:
                self.connection.execute("INSERT INTO tags VALUES (?, ?)", (str(docno), tag))
            rows.append(Words(docno, 1, (text,), sorted(tags)))
            self.texts[docno], self.tags[docno] = text, set(tags)
        self.next = first + len(texts)
        word_index.add(self.connection, rows)

    def remove(self, docnos: list[int]) -> None:
        word_index.remove(self.connection, docnos)
        for docno in docnos:
            self.connection.execute("DELETE FROM memories WHERE docno = ?", (docno,))
            self.connection.execute("DELETE FROM tags WHERE memory_id = ?", (str(docno),))
            del self.texts[docno], self.tags[docno]

    def retag(self, docno: int, tags: set[str]) -> None:
        word_index.retag(self.connection, docno, self.tags[docno], tags)
        self.connection.execute("DELETE FROM tags WHERE memory_id = ?", (str(docno),))
        for tag in tags:
            self.connection.execute("INSERT INTO tags VALUES (?, ?)", (str(docno), tag))
        self.tags[docno] = set(tags)

    def fold(self) -> None:
        merged = fold(self.store)
        if merged is not None:
            assert self.store.publish(merged)

    def found(self, query: WordQuery, limit: int, tag: str | None = None) -> dict[int, float]:
        search = self.caches.search(self.store, "one", query)
        marks = [] if tag is None else [[word_index.mark_of_tag(tag)]]
        allowed = self.caches.allowed(self.store, "one", marks=marks, docs=None)
        return search.best(allowed, limit)[0]

    def scores(self, query: WordQuery) -> dict[int, float]:
        """Return BM25 by its formula, in float64 and from the texts alone."""
        words = {docno: text.split() for docno, text in self.texts.items()}
        mean = sum(len(each) + 1 for each in words.values()) / max(len(words), 1)
        total: Counter[int] = Counter()
        alternatives = [((term,), 1.0) for term in query.terms]
        alternatives += [(phrase, PHRASE_WEIGHT) for phrase in query.phrases]
        for phrase, weight in alternatives:
            width = len(phrase)
            counts = {
                docno: sum(tuple(each[at : at + width]) == phrase for at in range(len(each)))
                for docno, each in words.items()
            }
            counts = {docno: min(count, 255) for docno, count in counts.items() if count}
            idf = math.log((len(words) - len(counts) + 0.5) / (len(counts) + 0.5))
            for docno, count in counts.items():
                norm = 1.2 * (0.25 + 0.75 * (len(words[docno]) + 1) / mean)
                total[docno] += weight * max(idf, 1e-6) * 2.2 * count / (count + norm)
        return dict(total)


def assert_same(found: dict[int, float], every: dict[int, float], limit: int) -> None:
    """Compare the best: the scores are those of *every*, and none that is better is missing."""
    best = sorted(every.values(), reverse=True)[:limit]
    assert sorted(found.values(), reverse=True) == pytest.approx(best, rel=1e-5)
    assert {docno: every[docno] for docno in found} == pytest.approx(found, rel=1e-5)


TEXTS = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=12).map(" ".join)
QUERIES = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=4, unique=True)
TAGS = st.sets(st.sampled_from("xyz"), max_size=2)


class Postings(RuleBasedStateMachine):
    """Any run of writes, folds and transactions that are taken back."""

    def __init__(self) -> None:
        super().__init__()
        self.index = Index()

    @rule(texts=st.lists(TEXTS, min_size=1, max_size=20), tags=TAGS)
    def add(self, texts, tags):
        self.index.add(texts, tags)

    @rule(texts=st.lists(TEXTS, min_size=1, max_size=3), gap=st.sampled_from([1, 70, 1 << BLOCK]))
    def add_further_on(self, texts, gap):
        self.index.add(texts, at=self.index.next + gap)

    @rule(data=st.data(), count=st.integers(1, 6))
    def remove(self, data, count):
        if self.index.texts:
            docnos = st.sampled_from(sorted(self.index.texts))
            chosen = data.draw(st.sets(docnos, min_size=1, max_size=count))
            self.index.remove(sorted(chosen))

    @rule(data=st.data(), tags=TAGS)
    def retag(self, data, tags):
        if self.index.texts:
            self.index.retag(data.draw(st.sampled_from(sorted(self.index.texts))), tags)

    @rule()
    def fold(self):
        self.index.fold()

    @rule(texts=st.lists(TEXTS, min_size=1, max_size=3))
    def take_back(self, texts):
        """Add a word in a transaction that is taken back: its number must not be kept."""
        self.index.connection.execute("SAVEPOINT s")
        word_index.add(
            self.index.connection,
            [Words(self.index.next, 1, (f"{texts[0]} new{self.index.next}",), ())],
        )
        self.index.connection.execute("ROLLBACK TO s; RELEASE s")

    @rule()
    def rebuild(self):
        word_index.rebuild(self.index.connection)

    @rule(terms=QUERIES, limit=st.sampled_from([1, 3, 1000]))
    def search(self, terms, limit):
        query = WordQuery(tuple(terms), tuple(pairwise(terms)))
        assert_same(self.index.found(query, limit), self.index.scores(query), limit)

    @rule(terms=QUERIES, tag=st.sampled_from("xyz"))
    def search_by_tag(self, terms, tag):
        query = WordQuery(tuple(terms))
        every = self.index.scores(query)
        tagged = {docno: each for docno, each in every.items() if tag in self.index.tags[docno]}
        assert_same(self.index.found(query, 1000, tag), tagged, 1000)

    @invariant()
    def nothing_is_wrong(self):
        found, present = check(self.index.store, self.index.store.every())
        assert (found, present) == ([], set(self.index.texts))


TestPostings = Postings.TestCase
TestPostings.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
