"""Laws of what records were, and of records that others took the place of."""

from __future__ import annotations

import pytest

from clawstate.errors import ConflictError, InvalidError, NotFoundError
from clawstate.memory.contract import Embedded, MemoryEngine
from clawstate.memory.records import MemoryRecord
from clawstate.memory.service import Memory
from clawstate.memory.versions import MOST_VERSIONS
from clawstate.testing.hooks import ManualTime
from clawstate.testing.memory_hooks import HashEmbedder, MemoryHooks, texts, texts_of

_MODES = ("words", "vector", "hybrid")


class VersionLaws(MemoryHooks):
    """Earlier versions are out of the way, told in order, and forgotten with their record."""

    @pytest.mark.parametrize("mode", _MODES)
    def test_a_superseded_record_is_found_no_more(self, memory: Memory, mode: str) -> None:
        """The record in its place is found at once, alone, with the same fields."""
        old = memory.add("standup is at nine", tags=["work"], thread="t", metadata={"a": 1})
        assert texts(memory, "standup", mode=mode) == ["standup is at nine"]

        new = memory.supersede(old, "standup is at ten")

        assert texts(memory, "standup", mode=mode) == ["standup is at ten"]
        assert texts_of(memory) == {"standup is at ten"}
        assert [each.id for each in memory.page().items] == [new.id]
        assert (new.tags, new.thread, new.position) == (("work",), "t", 0)
        assert (memory.get(old), memory.get(new.id)) == (None, new)
        assert memory.stats()["records"] == 1

    def test_a_record_that_is_kept_takes_the_place(self, memory: Memory) -> None:
        """By its id, a record becomes the successor as it is."""
        old, new = memory.add("red kettle"), memory.add("blue kettle", importance=0.2)
        before = memory.require(new)

        assert memory.supersede(old, new) == before

        assert texts_of(memory) == {"blue kettle"}
        assert [each.successors for each in memory.history(old)] == [(new,), ()]

    def test_a_history_tells_what_changed_and_when(self, memory: Memory, time: ManualTime) -> None:
        """Updates and successors stand in it by time, whichever of the records is asked for."""
        begun = time.now
        old = memory.add("tea", tags=["a"])
        time.now += 10
        memory.update(old, text="green tea", tags=["b"])
        time.now += 10
        new = memory.supersede(old, "black tea")

        told = memory.history(new.id)

        assert [each.record.text for each in told] == ["tea", "green tea", "black tea"]
        assert [each.since - begun for each in told] == [0, 10, 20]
        assert [each.until and each.until - begun for each in told] == [10, 20, None]
        assert [each.ending for each in told] == ["updated", "superseded", None]
        assert [each.successors for each in told] == [(), (new.id,), ()]
        assert [each.changed for each in told] == [(), ("text", "tags"), ("text",)]
        assert told == memory.history(old)

    def test_a_change_of_one_field_is_a_version(self, memory: Memory, time: ManualTime) -> None:
        """What keeps its text is a version as well; what changes nothing is none."""
        record_id = memory.add("tea", metadata={"a": 1})
        for changes in ({"metadata": {"a": 2}}, {"importance": 0.1}, {"title": "Drinks"}):
            time.now += 1
            memory.update(record_id, **changes)
        time.now += 1
        memory.add_many([memory.require(record_id)])

        told = memory.history(record_id)

        changed = [each.changed for each in told]
        assert changed == [(), ("metadata",), ("importance",), ("title",)]
        assert [each.record.metadata["a"] for each in told] == [1, 2, 2, 2]

    def test_only_so_many_versions_are_kept(self, memory: Memory, time: ManualTime) -> None:
        """The oldest go first."""
        record_id = memory.add("tea 0")
        for number in range(1, MOST_VERSIONS + 4):
            time.now += 1
            memory.update(record_id, text=f"tea {number}")

        told = [each.record.text for each in memory.history(record_id)]

        assert told == [f"tea {number}" for number in range(3, MOST_VERSIONS + 4)]

    def test_forgetting_forgets_all_that_it_was(self, memory: Memory) -> None:
        """With a record go its versions, and the records whose place it took."""
        old = memory.add("first number")
        memory.update(old, text="second number")
        new = memory.supersede(old, "third number")
        memory.update(new.id, text="fourth number")

        receipt = memory.forget([new.id])

        assert [(each.id, each.versions) for each in receipt.records] == [(new.id, 3)]
        assert receipt.places["versions"] == 3
        for each in (old, new.id):
            with pytest.raises(NotFoundError):
                memory.history(each)

    def test_a_superseded_record_can_be_forgotten(self, memory: Memory) -> None:
        """By its own id; what took its place stays."""
        old = memory.add("first number")
        memory.update(old, text="second number")
        new = memory.supersede(old, "third number")

        assert memory.delete(old)

        assert not memory.delete(old)
        assert [each.record for each in memory.history(new.id)] == [new]
        assert memory.imports.were_forgotten([(old, b"")]) == {old}

    def test_a_receipt_tells_of_a_superseded_record(self, memory: Memory) -> None:
        """It has the digest of its text, and how many versions went."""
        old = memory.add("first number", tags=["a"])
        memory.update(old, text="second number")
        memory.supersede(old, "third number")

        receipt = memory.forget([old, "nobody"])

        (record,) = receipt.records
        assert (record.id, record.tags, record.versions) == (old, 1, 2)
        assert (receipt.missing, receipt.gone) == (("nobody",), True)

    def test_a_history_can_be_cleared(self, memory: Memory) -> None:
        """What a record was goes, and the record stays."""
        old = memory.add("first number")
        new = memory.supersede(old, "second number")
        memory.update(new.id, text="third number")

        assert memory.forget_history(new.id) == 2

        assert [each.record.text for each in memory.history(new.id)] == ["third number"]
        assert texts_of(memory) == {"third number"}
        assert memory.forget_history(new.id) == 0

    def test_a_compaction_forgets_what_updates_replaced(self, memory: Memory) -> None:
        """What stood in a record before an update goes with `compact`; the superseded stay."""
        old = memory.add("first number")
        new = memory.supersede(old, "second number")
        memory.update(new.id, text="third number")
        memory.compact(keep_updates=True)
        before = [each.record.text for each in memory.history(new.id)]

        memory.compact()

        assert before == ["first number", "second number", "third number"]
        assert [each.record.text for each in memory.history(new.id)] == [
            "first number",
            "third number",
        ]
        assert texts_of(memory) == {"third number"}

    def test_what_a_file_gave_has_the_versions_of_edits(self, memory: Memory) -> None:
        """An import that says the same otherwise leaves none; an edit does."""
        memory.imports.begin("a.md")
        memory.imports.note("a.md", ["r"])
        memory.add_many([{"id": "r", "text": "tea", "metadata": {"line": 1}}])
        memory.imports.finish("a.md", fingerprint="1")

        memory.add_many([{"id": "r", "text": "tea", "metadata": {"line": 2}}])
        assert len(memory.history("r")) == 1
        memory.update("r", text="green tea")

        assert [each.record.text for each in memory.history("r")] == ["tea", "green tea"]

    @pytest.mark.parametrize("step", [0.08, 0.0, -500.0])
    def test_a_successor_begins_where_the_old_one_ends(
        self, memory: Memory, time: ManualTime, step: float
    ) -> None:
        """At one moment, however long the embedding takes, also if the clock was set back."""
        old = memory.add("tea")
        time.now += step
        ticking = memory._clock  # noqa: SLF001 - each look costs time, as on a busy machine

        def later() -> float:
            time.now += 0.04
            return ticking()

        memory._clock = later  # noqa: SLF001
        new = memory.supersede(old, "green tea")

        before, after = memory.history(old)
        assert before.until == after.since == new.created_at
        assert before.since < before.until

    def test_an_error_names_what_became_of_a_record(self, memory: Memory) -> None:
        """Who asks for a record that is no longer kept is told what is, or how to get it back."""
        old = memory.add("tea")
        second = memory.supersede(old, "green tea")
        third = memory.supersede(second.id, "black tea")
        fourth = memory.supersede(old, "white tea")

        for ask in (memory.require, lambda each: memory.update(each, text="x")):
            with pytest.raises(NotFoundError, match=f"{third.id} took its place") as told:
                ask(second.id)
            assert fourth.id not in str(told.value)
        with pytest.raises(NotFoundError) as both:
            memory.require(old)
        assert {third.id, fourth.id} == {
            each for each in (third.id, fourth.id, second.id) if each in str(both.value)
        }
        memory.archive([third.id])
        with pytest.raises(NotFoundError, match="archived"):
            memory.require(third.id)
        with pytest.raises(NotFoundError, match="which is gone"):
            memory.require(second.id)
        memory.delete(third.id)
        with pytest.raises(NotFoundError, match="memory list"):
            memory.require(third.id)

    def test_ids_are_found_by_their_beginnings(self, memory: Memory) -> None:
        """Those of what is kept, archived or superseded, in order and in every namespace."""
        given = [("ab-1", "a"), ("ab-2", "b"), ("ab-3", "a"), ("ac-4", "a")]
        memory.add_many([{"id": key, "text": key, "namespace": name} for key, name in given])
        memory.archive(["ab-1"])
        memory.supersede("ab-3", "ac-4")

        assert memory.find_ids("ab") == ["ab-1", "ab-2", "ab-3"]
        assert memory.find_ids("ab", limit=2) == ["ab-1", "ab-2"]
        assert memory.find_ids("ab-2") == ["ab-2"]
        assert memory.find_ids("") == ["ab-1", "ab-2", "ab-3", "ac-4"]
        assert memory.find_ids("b") == memory.find_ids("ab-22") == memory.find_ids("\ud800") == []
        assert memory.find_ids("a", among="kept") == ["ab-2", "ac-4"]
        assert memory.find_ids("a", among="archived") == ["ab-1"]
        assert memory.find_ids("a", among="superseded") == ["ab-3"]
        memory.add_many([{"id": "ab-1", "text": "anew", "namespace": "a"}])
        assert memory.find_ids("ab-1", among="archived") == []
        with pytest.raises(InvalidError):
            memory.find_ids("a", among="nowhere")  # type: ignore[arg-type]

    def test_versions_end_with_their_time(self, memory: Memory, time: ManualTime) -> None:
        """What has expired is in no history, and optimizing removes it."""
        old = memory.add("tea", ttl=10)
        new = memory.supersede(old, "green tea", ttl=100)
        time.now += 50

        assert [each.record.text for each in memory.history(new.id)] == ["green tea"]
        memory.optimize()

        with pytest.raises(NotFoundError):
            memory.history(old)

    def test_a_record_has_several_successors(self, memory: Memory) -> None:
        """What was superseded can be so once more; the history has both."""
        old = memory.add("tea at nine")
        first = memory.supersede(old, "tea at ten")
        second = memory.supersede(old, "tea at noon")

        told = memory.history(first.id)

        assert told[0].successors == tuple(sorted((first.id, second.id)))
        assert {each.record.text for each in told} == {"tea at nine", "tea at ten", "tea at noon"}

    def test_only_what_was_read_is_superseded(self, engine: MemoryEngine, memory: Memory) -> None:
        """Neither a record that somebody changed meanwhile, nor by one that is not kept."""
        record_id = memory.add("tea")
        old = memory.require(record_id)
        memory.update(record_id, tags=["late"])
        new = Embedded(MemoryRecord(id="n", text="black tea"))

        assert not engine.versions.supersede(old, new, embedder=None)
        assert not engine.versions.supersede(memory.require(record_id), "no", embedder=None)

        assert (memory.get("n"), memory.require(record_id).tags) == (None, ("late",))
        assert len(memory.history(record_id)) == 2

    def test_what_cannot_be_superseded_is_refused(self, memory: Memory) -> None:
        """Nobody, a record by itself, or by one of another namespace: nothing is changed."""
        record_id, other = memory.add("tea"), memory.add("tea", namespace="work")

        with pytest.raises(NotFoundError):
            memory.supersede("nobody", "text")
        with pytest.raises(InvalidError):
            memory.supersede(record_id, record_id)
        with pytest.raises(InvalidError):
            memory.supersede(record_id, "  ")
        with pytest.raises(ConflictError):
            memory.supersede(record_id, other)

        assert len(memory.records(namespace=None)) == 2

    def test_new_vectors_leave_histories_whole(self, memory: Memory) -> None:
        """Replacing all vectors, or making all indexes anew, changes no history."""
        old = memory.add("red kettle")
        new = memory.supersede(old, "blue kettle")
        before = memory.history(old)

        memory.reembed(HashEmbedder(24))
        memory.rebuild()

        assert memory.history(new.id) == before
