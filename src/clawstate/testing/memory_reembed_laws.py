"""Laws of embedding all records anew: what searches find before, meanwhile and afterwards."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from clawstate.errors import (
    ConflictError,
    DimensionError,
    EmbeddingError,
    FallbackWarning,
    InvalidError,
)
from clawstate.memory.backends.inmemory import InMemoryMemory
from clawstate.memory.contract import Capability, MemoryEngine
from clawstate.memory.questions import MODES, Mode
from clawstate.memory.records import content_hash
from clawstate.memory.service import Memory
from clawstate.testing.hooks import ManualTime, needs
from clawstate.testing.memory_hooks import HashEmbedder, MemoryHooks, WatchedEmbedder, texts

_CLOSE = 1e-4
_QUESTIONS = ("the lobster sleeps", "green tea 7", "kettle", "number 3")


class ReembedLaws(MemoryHooks):
    """What holds of an engine whose vectors are replaced by those of another embedder."""

    @pytest.mark.parametrize("dimensions", [16, 24])
    def test_afterwards_it_answers_as_a_fresh_memory(
        self, engine: MemoryEngine, memory: Memory, time: ManualTime, dimensions: int
    ) -> None:
        """Every hit and score is that of a memory that had the new embedder from the start."""
        _fill(memory)
        embedder = _another(dimensions)
        fresh = _fresh(memory, embedder, time)

        done = memory.reembed(embedder)

        assert (done.complete, done.done, done.records) == (True, 100, 100)
        assert (done.before, done.embedder) == ("hash-16", embedder.identity.model)
        assert (engine.embedder(), engine.check(deep=True)) == (embedder.identity, [])
        _require_same_answers(memory, fresh)
        assert memory.stats()["reembedding"] is None

    def test_meanwhile_it_answers_as_before(self, engine: MemoryEngine, time: ManualTime) -> None:
        """While the new vectors are made every search finds what it found, with the same scores."""
        memory = Memory(engine, embedder=HashEmbedder(), clock=time)
        _fill(memory)
        wanted = _answers(memory)
        found = []
        embedder = WatchedEmbedder(24, lambda _: found.append(_answers(memory)))

        memory.reembed(embedder)

        assert len(found) > 1
        assert all(each == wanted for each in found)

    def test_what_changes_meanwhile_is_as_it_was_left(
        self, engine: MemoryEngine, memory: Memory, time: ManualTime
    ) -> None:
        """Records added, edited and forgotten while it goes on are found, or not, by meaning."""
        _fill(memory)

        def meddle(batch: int) -> None:
            first = [each.id for each in memory.records(limit=3)]
            memory.add(f"a crab of batch {batch}")
            memory.update(first[0], text=f"a whale of batch {batch}")
            memory.update(first[1], title=f"named {batch}")
            memory.delete(first[2])

        memory.reembed(WatchedEmbedder(24, meddle))

        assert memory.stats()["waiting"] == 0
        assert texts(memory, "a crab of batch 0", mode="vector", k=1) == ["a crab of batch 0"]
        _require_same_answers(memory, _fresh(memory, HashEmbedder(24), time))
        assert engine.check(deep=True) == []

    def test_others_may_add_faster_than_it_embeds(
        self, engine: MemoryEngine, memory: Memory
    ) -> None:
        """It ends though every batch that it embeds is followed by another text."""
        _fill(memory)
        added: list[str] = []

        def add(*_: int) -> None:
            if len(added) < 500:
                added.append(memory.add(f"a crab number {len(added)}"))

        done = memory.reembed(HashEmbedder(24), progress=add)

        assert done.complete
        assert len(added) < 100
        assert memory.stats()["waiting"] == 0
        assert engine.check(deep=True) == []

    def test_cancelled_it_goes_on_where_it_was(self, memory: Memory) -> None:
        """The next call embeds what the one before did not come to, and nothing twice."""
        _fill(memory)
        first, second = WatchedEmbedder(24), WatchedEmbedder(24)

        cut = memory.reembed(first, cancelled=lambda: bool(first.seen))
        told = memory.stats()
        done = memory.reembed(second)

        assert (cut.complete, done.complete) == (False, True)
        assert 0 < cut.done < cut.records
        assert (told["reembedding"], told["reembedded"]) == ("hash-24", cut.done)
        assert set(first.seen) & set(second.seen) == set()
        assert len(first.seen) + len(second.seen) == 100

    def test_a_failing_embedder_changes_nothing(self, engine: MemoryEngine, memory: Memory) -> None:
        """What it raises is told; searches go on, and so does the next call."""
        _fill(memory)
        wanted = _answers(memory)

        def fail(batch: int) -> None:
            if batch:
                raise ValueError("the server of the model is gone")

        with pytest.raises(EmbeddingError, match="ValueError"):
            memory.reembed(WatchedEmbedder(24, fail))

        assert (_answers(memory), engine.check(deep=True)) == (wanted, [])
        begun = engine.replacement.begun()
        assert begun is not None
        assert begun.done > 0
        assert memory.reembed(HashEmbedder(24)).complete

    def test_equal_texts_are_embedded_once(self, memory: Memory) -> None:
        """However many records share a text, the embedder sees it once."""
        memory.add_many([{"text": f"tea {number % 5}"} for number in range(200)])
        embedder = WatchedEmbedder(24)

        planned = memory.reembed(embedder, dry_run=True)
        embedder.seen.clear()
        done = memory.reembed(embedder)

        assert sorted(embedder.seen) == [f"tea {number}" for number in range(5)]
        assert planned.texts == done.texts == 5
        assert planned.characters == done.characters == 25

    def test_records_without_a_vector_get_one(self, engine: MemoryEngine, memory: Memory) -> None:
        """What waits for a vector, as where the old embedder is not installed, waits no more."""
        memory.add("green tea")
        Memory(engine, by_meaning=False).add("the lobster sleeps")

        memory.reembed(HashEmbedder(24))

        assert memory.stats()["waiting"] == 0
        assert texts(memory, "lobster", mode="vector", k=1) == ["the lobster sleeps"]

    def test_a_preview_writes_nothing(self, engine: MemoryEngine, memory: Memory) -> None:
        """It says how much is to be done, and begins nothing."""
        _fill(memory)

        told = memory.reembed(HashEmbedder(24), dry_run=True)

        assert (told.records, told.done, told.texts, told.complete) == (100, 0, 100, False)
        assert (told.dimensions, told.local) == (24, None)
        assert told.seconds > 0
        assert told.bytes >= 100 * 2 * 24
        assert engine.replacement.begun() is None

    def test_with_the_same_embedder_there_is_nothing_to_do(
        self, engine: MemoryEngine, memory: Memory
    ) -> None:
        """The embedder is not asked, and nothing is begun."""
        _fill(memory)
        embedder = WatchedEmbedder(16)

        told = [memory.reembed(embedder, dry_run=each) for each in (True, False)]

        assert [(each.complete, each.done) for each in told] == [(True, 100)] * 2
        assert embedder.seen == []
        assert engine.replacement.begun() is None

    def test_what_was_begun_can_be_dropped(self, memory: Memory) -> None:
        """Dropped, nothing of it is left, and another embedder may begin; until then it may not."""
        _fill(memory)
        wanted = _answers(memory)
        calls = iter([False, True])
        memory.reembed(HashEmbedder(24), cancelled=lambda: next(calls))

        with pytest.raises(InvalidError, match="hash-24"):
            memory.reembed(HashEmbedder(32))
        dropped = [memory.discard_reembedding() for _ in range(2)]

        assert dropped == [True, False]
        assert _answers(memory) == wanted
        assert memory.stats()["reembedded"] == 0
        assert memory.reembed(HashEmbedder(32)).complete

    def test_vectors_of_another_length_are_refused(self, memory: Memory) -> None:
        """An embedder that does not keep to its own identity replaces nothing."""
        _fill(memory)
        liar = HashEmbedder(24)
        liar.pool = lambda subwords: np.ones((len(subwords), 25), np.float32)  # type: ignore[method-assign]

        with pytest.raises(DimensionError):
            memory.reembed(liar)

        assert texts(memory, "number 3", mode="vector", k=1) == ["green tea number 3"]

    def test_whoever_dropped_it_is_not_overruled(self, engine: MemoryEngine) -> None:
        """Vectors for a replacement that somebody dropped, or began anew, are refused."""
        first, second = HashEmbedder(24), HashEmbedder(32)
        engine.replacement.begin(first.identity)
        engine.replacement.discard()
        engine.replacement.begin(second.identity)

        for call in (
            lambda: engine.replacement.put({}, first.identity),
            lambda: engine.replacement.switch(first.identity, waiting=0),
            lambda: engine.replacement.begin(first.identity),
        ):
            with pytest.raises(ConflictError):
                call()

    def test_what_was_left_out_is_done_as_well(self, engine: MemoryEngine, memory: Memory) -> None:
        """Where only some of the later texts have a new vector, all others get one."""
        _fill(memory)
        embedder = HashEmbedder(24)
        engine.replacement.begin(embedder.identity)
        later = engine.replacement.texts(100, 10**6)[80:]
        vectors = embedder.embed([each.text for each in later])
        subwords = embedder.subwords([each.text for each in later])
        made = zip(vectors, subwords, strict=True)
        engine.replacement.put(
            {each.key: known for each, known in zip(later, made, strict=True)}, embedder.identity
        )

        done = memory.reembed(embedder)

        assert (done.complete, done.done) == (True, 100)
        assert memory.stats()["waiting"] == 0

    def test_a_memory_that_is_open_notices(self, engine: MemoryEngine, time: ManualTime) -> None:
        """One that has the new embedder uses it; one that has not goes on by words, and says so."""
        old, new = (Memory(engine, embedder=HashEmbedder(n), clock=time) for n in (16, 24))
        _fill(old)
        with pytest.warns(FallbackWarning, match="hash-16"):
            assert new.search("green tea")
        assert old.search("green tea")[0].vector_score

        Memory(engine, clock=time).reembed(HashEmbedder(24))

        assert new.search("green tea")[0].vector_score
        with pytest.warns(FallbackWarning, match="hash-24"):
            assert old.search("green tea")[0].vector_score is None
        assert texts(new, new.require(new.add("the crab")).text, k=1) == ["the crab"]
        waits = old.add("the whale walks")
        assert [each.id for each in engine.waiting(9)] == [waits]
        assert new.search("whale", mode="words")[0].record.id == waits

    def test_a_write_that_was_embedded_before_the_switch_is_embedded_anew(
        self, engine: MemoryEngine, time: ManualTime
    ) -> None:
        """A batch whose vectors were made before the switch is kept with those of the new one."""
        memory = Memory(engine, clock=time, embedder=HashEmbedder(16))
        _fill(memory)
        late = Memory(engine, clock=time, embedder=WatchedEmbedder(16, lambda _: _replace(engine)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FallbackWarning)  # it does not have the new one

            ids = late.add_many([{"text": "a crab"}, {"text": "a whale"}])

        assert {each.id for each in engine.waiting(9)} == set(ids)
        assert engine.embedder() == HashEmbedder(24).identity
        assert engine.check(deep=True) == []

    def test_a_text_that_was_forgotten_comes_back_with_a_new_vector(
        self, engine: MemoryEngine, memory: Memory
    ) -> None:
        """Vectors that outlive their records do not outlive the switch."""
        _fill(memory)
        memory.delete(memory.add("the crab walks"))
        memory.reembed(HashEmbedder(24))

        found = engine.embeddings.find([content_hash("the crab walks")])

        assert found == {}
        memory.add("the crab walks")
        assert texts(memory, "the crab walks", mode="vector", k=1) == ["the crab walks"]

    def test_and_back_again(self, engine: MemoryEngine, memory: Memory, time: ManualTime) -> None:
        """A reader that knows vectors of before meets those that were made after a way back."""
        _fill(memory)
        reader = Memory(engine, clock=time, embedder=HashEmbedder(16))
        assert reader.search("green tea")
        memory.reembed(HashEmbedder(24))
        Memory(engine, by_meaning=False).add("the crab walks")

        memory.reembed(HashEmbedder(16))

        assert texts(reader, "the crab walks", mode="vector", k=1) == ["the crab walks"]

    @needs(Capability.DURABLE)
    def test_opened_again_it_goes_on(
        self, engine: MemoryEngine, memory: Memory, tmp_path: Path, time: ManualTime
    ) -> None:
        """What was begun is there when the state is opened again."""
        _fill(memory)
        calls = iter([False, True])
        cut = memory.reembed(HashEmbedder(24), cancelled=lambda: next(calls))
        engine.close()

        other = self.make(tmp_path, time)
        embedder = WatchedEmbedder(24)
        done = Memory(other, clock=time).reembed(embedder)

        assert done.complete
        assert len(embedder.seen) == 100 - cut.done
        other.close()

    @needs(Capability.SHARED)
    def test_another_that_has_the_same_state_open_notices(
        self, memory: Memory, tmp_path: Path, time: ManualTime
    ) -> None:
        """An engine of its own over the same state answers by the new vectors after the switch."""
        _fill(memory)
        other = self.make(tmp_path, time)
        reader = Memory(other, clock=time, embedder=HashEmbedder(16))
        assert reader.search("green tea")[0].vector_score

        memory.reembed(HashEmbedder(24))

        with pytest.warns(FallbackWarning, match="hash-24"):
            assert reader.search("green tea")[0].vector_score is None
        reader.reembed(HashEmbedder(16))
        _require_same_answers(reader, _fresh(reader, HashEmbedder(16), time))
        other.close()


def _another(dimensions: int) -> HashEmbedder:
    """Return an embedder of other vectors than those of the memory, also where they are as long."""
    embedder = HashEmbedder(dimensions)
    if dimensions == HashEmbedder().identity.dimensions:
        embedder = HashEmbedder(dimensions, seed=7)
    return embedder


def _fill(memory: Memory) -> None:
    memory.add_many([{"text": f"green tea number {number}"} for number in range(60)])
    memory.add_many(
        [
            {"text": f"the lobster sleeps {number}", "thread": "night", "tags": ["sea"]}
            for number in range(40)
        ]
    )


def _replace(engine: MemoryEngine) -> None:
    if engine.embedder() != HashEmbedder(24).identity:
        Memory(engine).reembed(HashEmbedder(24))


def _fresh(memory: Memory, embedder: HashEmbedder, time: ManualTime) -> Memory:
    fresh = Memory(InMemoryMemory(clock=time), embedder=embedder, clock=time)
    fresh.add_many(memory.records(limit=1000))
    return fresh


def _answers(memory: Memory) -> list[list[tuple[str, float]]]:
    return [
        [(hit.record.id, round(hit.score, 4)) for hit in memory.search(each, mode=mode, k=5)]
        for each in _QUESTIONS
        for mode in MODES
    ]


def _require_same_answers(memory: Memory, other: Memory) -> None:
    for query in _QUESTIONS:
        for mode in MODES:
            found, wanted = (_scores(each, query, mode) for each in (memory, other))
            # What is near to nothing may be just above nothing in one, by the order of sums.
            assert {key for key in found if found[key] > _CLOSE} <= wanted.keys()
            assert {key for key in wanted if wanted[key] > _CLOSE} <= found.keys()
            for key in found.keys() & wanted.keys():
                assert abs(found[key] - wanted[key]) < _CLOSE


def _scores(memory: Memory, query: str, mode: Mode) -> dict[str, float]:
    return {hit.record.id: hit.score for hit in memory.search(query, mode=mode, k=200)}
