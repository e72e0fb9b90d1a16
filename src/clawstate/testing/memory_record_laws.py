"""Laws of keeping, changing and forgetting records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clawstate.errors import (
    ClosedError,
    ConflictError,
    DimensionError,
    EmbeddingError,
)
from clawstate.memory.contract import Capability, Embedded, EmbedderIdentity, MemoryEngine
from clawstate.memory.filters import filter_from
from clawstate.memory.records import MemoryRecord, content_hash
from clawstate.memory.service import Memory
from clawstate.testing.forked import in_threads
from clawstate.testing.hooks import ManualTime, needs
from clawstate.testing.memory_hooks import HashEmbedder, MemoryHooks, texts_of

_OTHER = EmbedderIdentity("another", 4)


class RecordLaws(MemoryHooks):
    """What holds of the records of an engine."""

    def test_nothing_is_found_before_the_first_record(
        self, engine: MemoryEngine, memory: Memory
    ) -> None:
        """Every read of an empty memory finds nothing, and nothing can be forgotten."""
        assert (engine.get(["r"]), engine.embedder(), engine.waiting(9)) == ({}, None, [])
        assert (memory.records(), memory.search("tea")) == ([], [])
        assert (engine.delete(["r"]), engine.purge()) == (0, 0)
        assert (engine.stats()["records"], engine.check(deep=True)) == (0, [])
        assert not engine.needs_optimizing()

    def test_every_field_comes_back(self, memory: Memory, time: ManualTime) -> None:
        """A record is read as it was given, with times to the millisecond."""
        given = MemoryRecord(
            id="r",
            text="tea \N{LOBSTER} \u5bd2\u3044\n",
            title="Tea \u00e4 'n' \"scones\"",
            headings=("Kitchen", "Shelf 2"),
            names=("tea", "\u5bd2\u3044", "Kitchen"),
            source="/notes/a b.md",
            tags=("x", "y"),
            metadata={"a": [1, 2.5, None, {"b": "\u00e4"}], "n": 2**60, "t": True},
            importance=0.25,
            category="fact",
            namespace="work",
            thread="chat",
            position=-3,
            created_at=1_600_000_000.125,
            updated_at=time.now,
            expires_at=time.now + 5.5,
        )

        memory.add_many([given])

        assert memory.get("r") == given

    def test_metadata_is_a_copy(self, memory: Memory) -> None:
        """What a caller does to the metadata given or got changes nothing that is kept."""
        metadata = {"a": [1]}
        record_id = memory.add("tea", metadata=metadata)
        metadata["a"].append(2)
        memory.require(record_id).metadata["a"].append(3)

        assert memory.require(record_id).metadata == {"a": [1]}

    def test_an_id_is_replaced(self, memory: Memory, time: ManualTime) -> None:
        """The same id again replaces the record, keeps when it was made and counts once."""
        memory.add_many([{"id": "r", "text": "one", "tags": ["x"]}])
        made = time.now
        time.now += 1
        memory.add_many([{"id": "r", "text": "zero"}, {"id": "r", "text": "two", "tags": ["y"]}])

        record = memory.require("r")

        assert (record.text, record.tags) == ("two", ("y",))
        assert (record.created_at, record.updated_at) == (made, time.now)
        assert memory.stats()["records"] == memory.stats()["tags"] == 1
        assert memory.search("one", mode="words") == []

    def test_no_two_versions_have_the_same_time(self, memory: Memory) -> None:
        """Whatever the clock says, a replaced record is later than the one before."""
        seen = []
        for number in range(3):
            memory.add_many([{"id": "r", "text": f"tea {number % 2}"}])
            seen.append(memory.require("r").updated_at)

        assert seen == sorted(set(seen))

    def test_ids_are_unique_in_a_state(self, memory: Memory) -> None:
        """An id that lives in another namespace is refused, and the whole batch with it."""
        memory.add_many([{"id": "r", "text": "one", "namespace": "a"}])

        with pytest.raises(ConflictError):
            memory.add_many(
                [{"id": "s", "text": "two"}, {"id": "r", "text": "x", "namespace": "b"}]
            )

        assert memory.get("s") is None
        assert memory.require("r").text == "one"

    def test_a_batch_is_kept_whole_or_not_at_all(self, engine: MemoryEngine) -> None:
        """Vectors of another length or embedder are refused with everything beside them."""
        good = Embedded(MemoryRecord(id="a", text="tea"), np.ones(4, np.float32))
        bad = Embedded(MemoryRecord(id="b", text="tea"), np.ones(3, np.float32))
        with pytest.raises(DimensionError):
            engine.upsert([good, bad], embedder=_OTHER)
        with pytest.raises(EmbeddingError):
            engine.upsert([good], embedder=None)
        assert (engine.get(["a", "b"]), engine.embedder()) == ({}, None)

        engine.upsert([good], embedder=_OTHER)
        with pytest.raises(EmbeddingError):
            engine.upsert([good], embedder=replace(_OTHER, model="third"))

        assert engine.embedder() == _OTHER

    def test_a_change_is_made_to_what_was_read(self, engine: MemoryEngine, memory: Memory) -> None:
        """`swap` changes the very record that was read, and nothing if it is another by now."""
        record_id = memory.add("tea", tags=["x"])
        old = memory.require(record_id)
        memory.update(record_id, tags=["y"])

        assert engine.swap(old, Embedded(replace(old, text="late")), embedder=None) is None
        assert engine.swap(replace(old, id="no"), Embedded(old), embedder=None) is None
        assert memory.require(record_id).tags == ("y",)

    def test_a_change_of_other_fields_keeps_the_vector(self, memory: Memory) -> None:
        """A record whose text stays is found by its meaning as before."""
        record_id = memory.add("red kettle")
        before = memory.search("kettle", mode="vector")

        memory.update(record_id, tags=["x"], importance=1)

        (hit,) = memory.search("kettle", mode="vector")
        assert (hit.score, hit.record.tags) == (before[0].score, ("x",))
        assert memory.stats()["waiting"] == 0

    def test_a_change_of_names_is_a_new_key(self, engine: MemoryEngine, memory: Memory) -> None:
        """A record that is called otherwise has a new key, for indexes to see, and its vector."""
        record_id = memory.add("red kettle", title="Kitchen")
        text = memory.add("blue kettle")

        def key() -> dict[str, int]:
            with engine.reading() as reading:
                near = reading.nearest(vector, filter_from(), 9)
                records = reading.fetch(near.keys.tolist())
            return {record.id: key for record, key in zip(records, near.keys, strict=True)}

        vector = HashEmbedder().embed(["red kettle"])[0]
        before = key()
        memory.update(record_id, tags=["x"], title="Kitchen")
        assert key() == before
        for changes in ({"title": "Shelf"}, {"names": ["cup"]}, {"headings": ["A"]}):
            memory.update(record_id, **changes)
            after = key()
            assert (after[text], after[record_id] > before[record_id]) == (before[text], True)
            before = after

        record = memory.require(record_id)
        assert (record.title, record.names, record.headings) == ("Shelf", ("cup",), ("A",))
        assert memory.stats()["waiting"] == 0
        assert [hit.record.id for hit in memory.search("kettle red")] == [record_id, text]

    def test_what_has_expired_is_gone(self, memory: Memory, time: ManualTime) -> None:
        """From its last moment on a record is not read, listed, found or counted as forgotten."""
        memory.add_many([{"id": "r", "text": "tea", "ttl": 5}, {"id": "s", "text": "tea"}])
        time.now += 5

        assert memory.get("r") is None
        assert texts_of(memory) == {"tea"}
        assert [hit.record.id for hit in memory.search("tea")] == ["s"]
        assert memory.stats()["expired"] == 1
        assert memory.delete_many(["r", "s"]) == 1
        assert memory.stats()["records"] == 0

    def test_an_expired_id_begins_anew(self, memory: Memory, time: ManualTime) -> None:
        """An id whose record has expired may be given again, in another namespace too."""
        memory.add_many([{"id": "r", "text": "tea", "ttl": 5}])
        time.now += 5
        memory.add_many([{"id": "r", "text": "tea", "namespace": "work"}])

        record = memory.require("r")

        assert (record.namespace, record.created_at, record.expires_at) == ("work", time.now, None)

    def test_purging_removes_what_has_expired(
        self, engine: MemoryEngine, memory: Memory, time: ManualTime
    ) -> None:
        """`purge` removes the expired records, tells how many, and nothing else."""
        memory.add_many({"text": str(number), "ttl": number + 1} for number in range(4))
        time.now += 2

        assert engine.purge() == 2
        assert (engine.purge(), engine.stats()["records"]) == (0, 2)

    def test_records_wait_for_vectors(self, engine: MemoryEngine, memory: Memory) -> None:
        """What was kept without a vector waits, the oldest first, until `fill` gives it one."""
        plain = Memory(engine, by_meaning=False)
        plain.add_many({"id": each, "text": f"tea {each}"} for each in ("b", "a"))
        waiting = engine.waiting(9)
        plain.update("a", text="changed")
        embedder = HashEmbedder()
        vectors = embedder.embed([each.text for each in waiting])

        filled = [Embedded(*pair) for pair in zip(waiting, vectors, strict=True)]
        count = engine.fill(filled, embedder=embedder.identity)

        assert [each.id for each in waiting] == ["b", "a"]
        assert (count, [each.id for each in engine.waiting(9)]) == (1, ["a"])
        assert [hit.record.id for hit in memory.search("tea", mode="vector")] == ["b"]
        memory.optimize()
        assert (engine.waiting(9), engine.stats()["waiting"]) == ([], 0)

    def test_vectors_outlive_their_records(self, engine: MemoryEngine, memory: Memory) -> None:
        """The vector of a text is known while it is kept and after it was forgotten."""
        record_id = memory.add("red kettle")
        digest = content_hash("red kettle")
        before = engine.embeddings.find([digest, content_hash("other")])
        memory.delete(record_id)

        after = engine.embeddings.find([digest])

        assert before.keys() == after.keys() == {digest}
        assert np.array_equal(before[digest][0], after[digest][0])
        assert np.allclose(after[digest][0], HashEmbedder().embed(["red kettle"])[0], atol=1e-3)
        assert engine.stats()["cached_vectors"] == 1

    def test_every_change_moves_the_version(
        self, engine: MemoryEngine, memory: Memory, time: ManualTime
    ) -> None:
        """Adding, changing, embedding, forgetting, purging: each gives a version of its own."""

        def version() -> object:
            with engine.reading() as reading:
                return reading.version

        seen = [version()]
        record_id = memory.add("tea", ttl=5)
        seen.append(version())
        memory.update(record_id, tags=["x"])
        seen.append(version())
        Memory(engine, clock=time, by_meaning=False).add("more", ttl=9)
        seen.append(version())
        memory.optimize()
        seen.append(version())
        memory.delete(record_id)
        seen.append(version())
        time.now += 9
        engine.purge()
        seen.append(version())

        assert len(set(seen)) == len(seen)
        assert seen[-1] == version()

    def test_rebuilding_changes_no_answer(self, engine: MemoryEngine, memory: Memory) -> None:
        """Indexes that are made anew find what they found before."""
        memory.add_many({"text": f"red kettle {number}", "thread": "t"} for number in range(9))
        before = memory.search("kettle 3")

        engine.rebuild()
        engine.optimize()

        assert memory.search("kettle 3") == before
        assert engine.check(deep=True) == []

    def test_threads_may_write_at_once(self, memory: Memory) -> None:
        """Records that several threads add are all there, found by words and by meaning."""

        def work() -> None:
            for _ in range(5):
                memory.add("red kettle", thread="t")

        in_threads(4, work)

        positions = [record.position for record in memory.records(limit=99)]
        assert sorted(positions, key=str) == sorted(range(20), key=str)
        assert len(memory.search("kettle", k=99)) == 20

    def test_a_closed_engine_says_so(self, engine: MemoryEngine) -> None:
        """After `close` every call raises `ClosedError`."""
        engine.close()

        with pytest.raises(ClosedError):
            engine.get(["r"])
        with pytest.raises(ClosedError):
            engine.upsert([Embedded(MemoryRecord(id="r", text="tea"))], embedder=None)
        with pytest.raises(ClosedError), engine.reading():
            pass

    @needs(Capability.DURABLE)
    def test_records_outlive_their_engine(
        self, engine: MemoryEngine, memory: Memory, tmp_path: Path, time: ManualTime
    ) -> None:
        """What was kept is read by the next engine over the same state, and around it."""
        memory.add_many([{"id": "r", "text": "red kettle"}, {"id": "s", "text": "tea"}])
        memory.delete("s")
        hits = memory.search("kettle")
        engine.close()

        again = self.make(tmp_path, time)

        assert Memory(again, embedder=HashEmbedder(), clock=time).search("kettle") == hits
        again.close()
        assert self.raw_texts(tmp_path) == {"r": "red kettle"}

    @needs(Capability.SHARED)
    def test_engines_of_one_state_see_each_other(
        self, engine: MemoryEngine, memory: Memory, tmp_path: Path, time: ManualTime
    ) -> None:
        """What one engine adds or forgets, another over the same state finds or misses at once."""
        other = self.make(tmp_path, time)
        beside = Memory(other, embedder=HashEmbedder(), clock=time)
        record_id = memory.add("red kettle")

        assert [hit.record.id for hit in beside.search("kettle")] == [record_id]
        beside.delete(record_id)
        assert memory.search("kettle") == []
        assert engine.get([record_id]) == {}
        other.close()
