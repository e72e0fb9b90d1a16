"""A memory that stays open while others change it, against one that is opened anew each time."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest

import clawstate
from clawstate.errors import EmbeddingError, FallbackWarning
from clawstate.importers.sync import import_paths
from clawstate.memory.backends.sqlite import rows, vector_blocks, word_index, writing
from clawstate.memory.contract import Embedded, EmbedderIdentity
from clawstate.memory.records import MemoryRecord
from clawstate.memory.vector_index import nearest, table
from clawstate.memory.vector_index.codes import quantise
from manual_clock import ManualClock
from seeds import seed
from soundness import damage_of

SIZE = 64
QUESTIONS = ({}, {"tags": ["a"]}, {"where": {"n": 1}}, {"namespace": "work"}, {"namespace": None})


class Numbered:
    """Gives each text a vector by its last number, and one of zeros to every ninth."""

    identity = EmbedderIdentity("numbered", SIZE)
    is_out = False

    def embed(self, texts):
        if self.is_out:
            raise EmbeddingError("memory", "is out", "later")
        return np.array([self._row(int(text.split()[-1])) for text in texts], np.float32)

    def _row(self, number):
        if number % 9 == 0:
            return np.zeros(SIZE)
        row = np.random.default_rng(number).standard_normal(SIZE)
        return row / np.linalg.norm(row)


class Cut(Exception):
    """Cuts a transaction off."""


class Writer:
    """Changes a memory at random, as any program may."""

    def __init__(self, root, notes, clock, chance):
        self.embedder = Numbered()
        self.state = clawstate.open(root, embedder=self.embedder, clock=clock)
        self.memory = self.state.memory
        self.clock, self.chance = clock, chance
        self.notes = notes
        notes.mkdir()

    def step(self):
        changes = (self.add, self.add_one, self.edit, self.tag, self.delete, self.forget)
        rarely = (self.rebuild, self.optimize, self.fold, self.expire, self.wait_for_vectors)
        odd = (self.cut_off, self.bring_from_files, self.forget_files, self.compact)
        chosen = self.chance.choice((*changes, *changes, *rarely, *odd))
        chosen()
        return chosen.__name__

    def values(self, count):
        chance = self.chance
        return [
            {
                "text": f"lobster {chance.choice(['red', 'blue'])} {chance.randrange(5000)}",
                "tags": chance.sample("abc", chance.randrange(3)),
                "metadata": {"n": chance.randrange(3)},
                "namespace": chance.choice(["default", "default", "work"]),
                "ttl": chance.choice([None, None, None, 20]),
            }
            for _ in range(count)
        ]

    def ids(self, count):
        kept = [each.id for each in self.memory.records(namespace=None, limit=5000)]
        return self.chance.sample(kept, min(count, len(kept)))

    def add(self):
        self.memory.add_many(self.values(self.chance.randrange(1, 60)))

    def add_one(self):
        self.memory.add_many(self.values(1))

    def edit(self):
        for each in self.ids(self.chance.randrange(1, 8)):
            self.memory.update(each, text=f"parrot {self.chance.randrange(5000)}")

    def tag(self):
        for each in self.ids(3):
            tags = self.chance.sample("abc", 1)
            self.memory.update(each, tags=tags, metadata={"n": self.chance.randrange(3)})

    def delete(self):
        self.memory.delete_many(self.ids(self.chance.randrange(1, 50)))

    def forget(self):
        self.memory.forget(self.ids(2), compact=self.chance.random() < 0.3)

    def rebuild(self):
        self.memory.rebuild()

    def optimize(self):
        self.memory.optimize()

    def fold(self):
        self.memory._engine._fold_words()

    def compact(self):
        self.memory.compact(patience=0.0)

    def expire(self):
        self.clock.advance(self.chance.choice([1, 15]))

    def wait_for_vectors(self):
        self.embedder.is_out = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FallbackWarning)
            self.memory.add_many(self.values(5))
        self.embedder.is_out = False

    def cut_off(self):
        """Write and take it back, so that the numbers of its records are given out again."""
        engine = self.memory._engine
        given = self.embedder.embed([f"n {5000 + number}" for number in range(30)])
        made = [
            Embedded(MemoryRecord(text=f"lobster cut {number}"), row)
            for number, row in enumerate(given)
        ]
        gone = self.ids(9)

        def change():
            with engine._database.writing() as connection:
                writing.upsert(connection, made, embedder=self.embedder.identity)
                writing.forget(connection, gone, now_ms=engine._now())
                raise Cut

        with pytest.raises(Cut):
            change()

    def bring_from_files(self):
        for _ in range(self.chance.randrange(1, 3)):
            passages = [f"crab {self.chance.randrange(5000)}" for _ in range(4)]
            path = self.notes / f"{self.chance.randrange(3)}.md"
            path.write_text("# Crabs\n\n" + "\n\n".join(passages))
        import_paths(self.memory, [self.notes])

    def forget_files(self):
        self.memory.forget_source(str(self.notes / f"{self.chance.randrange(3)}.md"))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def root(tmp_path):
    return tmp_path / "state"


def answers(memory):
    """Return what searches of all kinds find."""
    return [
        memory.search("a lobster 7", mode=mode, k=30, **settings)
        for mode in ("vector", "words", "hybrid")
        for settings in QUESTIONS
    ]


def assert_alike(found, wanted, done):
    """Compare answer by answer; sums of floats may differ in their last digits."""
    for one, other in zip(found, wanted, strict=True):
        assert [hit.record for hit in one] == [hit.record for hit in other], done
        for name in ("score", "vector_score", "words_score"):
            scores = [[getattr(hit, name) or 0 for hit in each] for each in (one, other)]
            np.testing.assert_allclose(*scores, atol=1e-6, rtol=1e-6, err_msg=str((name, done)))


def assert_table_is_that_of_the_records(memory):
    """Compare what searches keep in memory with the vectors, row by row."""
    if memory._engine._nearest is None:
        return
    search = memory._engine._nearest[1]
    with memory._engine._database.reading() as connection:
        source = vector_blocks.IndexedVectors(connection)
        view, _ = search._current(source)
        batches = list(source.batches(0))
    if not batches:
        return
    keys = [key for each in batches for key in each.keys.tolist()]
    places = np.flatnonzero(np.ones(view.count, bool) if view.dead is None else ~view.dead)
    assert view.keys[places].tolist() == keys
    assert view.arrays.scopes[places].tolist() == [
        scope for each in batches for scope in each.scopes.tolist()
    ]
    vectors = np.vstack([each.vectors for each in batches])
    assert np.array_equal(view.arrays.empty[places], ~vectors.any(axis=1))
    if view.arrays.coded >= view.count:
        bits = view.arrays.columns[:, places].T
        full = vectors.any(axis=1)
        # Rows of int16 may have given the bits: those near to the edge may differ.
        differing = np.bitwise_count(bits[full] ^ view.codes.bits(vectors[full])).sum(axis=1)
        assert differing.max(initial=0) <= 2
    scales = view.arrays.scales[places]
    loaded = np.flatnonzero(scales)
    wanted, exact = quantise(vectors[loaded])
    assert np.array_equal(view.arrays.rows[places[loaded]], wanted)
    assert np.array_equal(scales[loaded], exact)


@pytest.mark.parametrize("round_", range(2))
def test_who_stays_open_finds_what_who_opens_finds(
    root, tmp_path, clock, monkeypatch, round_
) -> None:
    """After any change, also one that is taken back, both find the same with the same scores."""
    monkeypatch.setattr(rows, "VECTOR_BLOCK", 50)
    monkeypatch.setattr(word_index, "FOLD_AT", 40)
    chance = random.Random(seed() + round_)
    writer = Writer(root, tmp_path / "notes", clock, chance)
    writer.add()
    done = []
    with writer.state, clawstate.open(root, embedder=Numbered(), clock=clock) as reader:
        for _ in range(25):
            done.append(writer.step())
            if chance.random() < 0.3:
                continue  # several changes between two searches
            with clawstate.open(root, embedder=Numbered(), clock=clock) as other:
                wanted = answers(other.memory)
                for name, memory in (("reader", reader.memory), ("writer", writer.memory)):
                    assert_alike(answers(memory), wanted, [name, *done])
        assert damage_of(reader.memory) == []


@pytest.mark.parametrize("round_", range(2))
def test_what_is_kept_in_memory_is_that_of_the_records(
    root, tmp_path, clock, monkeypatch, round_
) -> None:
    """Bits and rows of who stays open are those of the vectors, whatever others change."""
    monkeypatch.setattr(rows, "VECTOR_BLOCK", 50)
    monkeypatch.setattr(table, "EXACT", 60)
    monkeypatch.setattr(nearest, "_LOADED", 40)
    chance = random.Random(seed() + round_)
    writer = Writer(root, tmp_path / "notes", clock, chance)
    writer.add()
    done = []
    with writer.state, clawstate.open(root, embedder=Numbered(), clock=clock) as reader:
        for _ in range(60):
            done.append(writer.step())
            reader.memory.search(f"a lobster {chance.randrange(5000)}", mode="vector")
            if writer.memory.records(namespace=None):
                assert_table_is_that_of_the_records(reader.memory)
