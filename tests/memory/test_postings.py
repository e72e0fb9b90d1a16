"""Packed postings find what an independent scorer finds, whatever was written, folded or undone."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random

import apsw
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from clawstate.memory.backends.documents import Words, mark_of_scope, mark_of_tag
from clawstate.memory.backends.sqlite import SqliteMemory, postings, word_index
from clawstate.memory.backends.sqlite.schema import SUBWORDS_BESIDE_TAIL
from clawstate.memory.backends.sqlite.word_index import WordCaches
from clawstate.memory.postings import holders, snapshot
from clawstate.memory.postings.checking import check
from clawstate.memory.postings.folding import arrays, fold
from clawstate.memory.postings.store import BLOCK
from clawstate.memory.postings.term_blocks import TermCache
from clawstate.memory.reading import WordQuery
from clawstate.memory.service import Memory
from clawstate.memory.word_search import PHRASE_WEIGHT
from soundness import damage_of

TABLES = """
CREATE TABLE memories (
    docno INTEGER PRIMARY KEY, id TEXT, scope INTEGER, content TEXT, fields TEXT DEFAULT '{}'
);
CREATE TABLE tags (memory_id TEXT, tag TEXT);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
VOCABULARY = [f"w{letter}" for letter in "abcdefghij"]


class Index:
    """Postings on a database in memory, and what an independent scorer says of the same texts."""

    def __init__(self) -> None:
        self.connection = apsw.Connection(":memory:")
        self.connection.execute(TABLES + postings.TABLES + SUBWORDS_BESIDE_TAIL)
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
        marks = [] if tag is None else [[mark_of_tag(tag)]]
        allowed = self.caches.allowed_docs(self.store, "one", marks=marks, docs=None)
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


def zipf(random: Random, words: int) -> str:
    """Return a text in which few words are common and most are rare."""
    return " ".join(f"w{int(random.paretovariate(0.6)) % 3000}x" for _ in range(words))


@pytest.mark.parametrize("seed", [1, 2])
def test_the_best_are_those_of_fts5(seed: int) -> None:
    """Over common words, kept by document, and rare ones the best ten score as FTS5 scores them."""
    random, index = Random(seed), Index()
    texts = [zipf(random, random.randint(3, 40)) for _ in range(3000)]
    index.add(texts[:2500])
    index.fold()
    index.add(texts[2500:])
    index.remove(random.sample(range(1, 3000), 200))
    words = apsw.Connection(":memory:")
    # A token beside the text, by which each is one longer.
    words.execute("CREATE VIRTUAL TABLE f USING fts5 (one, t, tokenize = 'porter unicode61')")
    rows = ((docno, text) for docno, text in index.texts.items())
    words.executemany("INSERT INTO f (rowid, one, t) VALUES (?, 'o', ?)", rows)
    sql = "SELECT rowid, -bm25(f, 0.0, 1.0) AS s FROM f WHERE f MATCH ? ORDER BY s DESC LIMIT 10"

    for _ in range(40):
        terms = list(dict.fromkeys(zipf(random, 6).split()))
        match = "t : (" + " OR ".join(terms) + ")"
        wanted = dict(words.execute(sql, (match,)))
        found = index.found(WordQuery(tuple(terms)), 10)
        assert sorted(found.values()) == pytest.approx(sorted(wanted.values()), rel=1e-6)


def test_a_list_that_is_common_lifts_nobody_unseen() -> None:
    """With blocks full of common words the best are those of adding everything up."""
    random, index = Random(3), Index()
    for _ in range(4):
        index.add([zipf(random, 20) for _ in range(700)], at=index.next + (1 << BLOCK) - 700)
        index.fold()

    for _ in range(20):
        terms = tuple(dict.fromkeys(zipf(random, 5).split()))
        assert_same(index.found(WordQuery(terms), 5), index.scores(WordQuery(terms)), 5)


@pytest.mark.parametrize("few", [0, 12_000])
def test_phrases_of_common_words_are_those_of_all_texts(monkeypatch, few: int) -> None:
    """A phrase is counted alike whether its words are rare or common, in one block or in many."""
    monkeypatch.setattr(holders, "_FEW", few)
    random, index = Random(4), Index()
    for _ in range(6):
        words = [random.choices(VOCABULARY, k=random.randint(1, 30)) for _ in range(200)]
        index.add([" ".join(each) for each in words], at=index.next + (1 << BLOCK) - 300)
        index.fold()
    index.remove(random.sample(sorted(index.texts), 60))

    for _ in range(15):
        terms = tuple(random.sample(VOCABULARY, 3))
        query = WordQuery(terms[:1], (*pairwise(terms), terms))
        assert_same(index.found(query, 1000), index.scores(query), 1000)


def test_a_list_that_was_kept_is_read_anew_when_it_is_another() -> None:
    """A search sees the blocks of its own epoch, with places though none were asked for before."""
    index = Index()
    index.add(["wa wb", "wb wa", "wc"])
    index.fold()
    plain, placed = WordQuery(("wa", "wb")), WordQuery(("wa", "wb"), (("wa", "wb"),))

    for _ in range(3):
        for query in (plain, placed):
            assert_same(index.found(query, 9), index.scores(query), 9)
        index.add(["wa wb wb", "wb"])
        index.remove([min(index.texts)])
        index.fold()


def test_the_lists_that_are_kept_are_bounded() -> None:
    """Lists stay decoded up to a number of bytes; those least recently used leave first."""
    index = Index()
    index.add([f"{' '.join(VOCABULARY)} wx{number}" for number in range(50)])
    index.fold()
    numbers = sorted(index.store.numbers(VOCABULARY).values())
    lengths = {each.block: arrays(each) for each in index.store.lengths()}
    asked: list[int] = []

    class Counted(postings.SqlitePostings):
        def blocks(self, terms, placed):
            asked.extend(terms)
            return super().blocks(terms, placed)

    store = Counted(index.connection)
    held = TermCache().find(store, lengths, numbers[:1])[numbers[0]].held
    cache, none = TermCache(budget=8 * held), TermCache(budget=7 * held)

    asked.clear()
    for number in [*numbers, numbers[-1], numbers[-8], numbers[0]]:
        assert cache.find(store, lengths, [number])[number].size == 50
    assert asked == [*numbers, numbers[0]]
    for _ in range(2):  # an eighth at most for one
        none.find(store, lengths, numbers[:1])
    assert asked[-2:] == [numbers[0], numbers[0]]


def test_more_lists_are_kept_of_a_larger_memory(monkeypatch) -> None:
    """What stays decoded grows with the number of records, above what a small memory has."""
    monkeypatch.setattr(snapshot, "BUDGET", 0)
    monkeypatch.setattr(snapshot, "BUDGET_EACH", 0)
    index = Index()
    index.add([f"{' '.join(VOCABULARY)} wx{number}" for number in range(50)])
    index.fold()
    (number,) = index.store.numbers(VOCABULARY[:1]).values()

    def is_kept() -> bool:
        kept = snapshot.SnapshotCache().snapshot(index.store, "one")
        first, second = (
            kept.terms.find(index.store, kept.lengths, [number])[number] for _ in range(2)
        )
        return first is second

    assert not is_kept()
    monkeypatch.setattr(snapshot, "BUDGET_EACH", 1 << 10)
    assert is_kept()


CHILD = """
import sys
from pathlib import Path

from clawstate.memory.backends.sqlite import SqliteMemory, word_index
from clawstate.memory.service import Memory

word_index.FOLD_AT = 15
folder, name = Path(sys.argv[1]), sys.argv[2]
memory = Memory(SqliteMemory(folder / "memory.db", vectors=folder / "v"), by_meaning=False)
for number in range(60):
    mark = f"mark{name}{number}"
    ids = memory.add_many([{"text": f"{mark} lobster sea", "id": mark}])
    assert [hit.record.id for hit in memory.search(mark, mode="words")] == ids, mark
    if number % 5 == 4:
        memory.delete(f"mark{name}{number - 2}")
    print(mark, flush=True)
"""


def test_processes_add_and_fold_at_once(tmp_path: Path) -> None:
    """Each finds its own at once; what was acknowledged stays, also of one that was killed."""
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    children = [
        subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "abc"
    ]
    told: dict[str, list[str]] = {}
    killed = children[2]
    assert killed.stdout is not None
    told["c"] = [killed.stdout.readline().strip() for _ in range(33)]
    killed.kill()
    for name, child in zip("abc", children, strict=True):
        said = child.communicate()[0].split()
        told[name] = told.get(name, []) + said
    assert [child.returncode for child in children] == [0, 0, -9]

    memory = Memory(SqliteMemory(tmp_path / "memory.db", vectors=tmp_path / "v"), by_meaning=False)
    found = {hit.record.id for hit in memory.search("lobster", mode="words", k=1000)}
    for marks in told.values():
        for number, mark in enumerate(marks):
            is_deleted = number % 5 == 2 and number + 2 < len(marks)
            assert (mark in found) != is_deleted, mark
    assert damage_of(memory) == []
    memory.close()


def test_a_fold_that_was_overtaken_is_dropped() -> None:
    """Of two folds worked out at once the second finds another epoch, and writes nothing."""
    index = Index()
    index.add(["wa wb", "wb"])
    slow = fold(index.store)
    index.fold()
    index.add(["wc"])

    assert slow is not None
    assert not index.store.publish(slow)
    assert_same(index.found(WordQuery(("wb", "wc")), 9), index.scores(WordQuery(("wb", "wc"))), 9)


def test_what_was_forgotten_is_in_no_term() -> None:
    """After a fold no table of the index holds a word that only removed documents had."""
    index = Index()
    index.add(["secret wa", "wa"], tags={"hidden"})
    index.add(["wb"])
    index.fold()
    index.remove([1, 2])
    index.fold()

    terms = {row[0] for row in index.connection.execute("SELECT token FROM word_terms")}
    assert terms == {"wb", mark_of_scope(1)}
