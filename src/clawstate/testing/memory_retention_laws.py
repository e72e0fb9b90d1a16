"""Laws of the archive, of what leaves by a policy, and of what contradicts itself."""

from __future__ import annotations

import pytest

from clawstate.errors import InvalidError, NotFoundError
from clawstate.memory.contract import MemoryEngine
from clawstate.memory.questions import Mode
from clawstate.memory.retention import RetentionPolicy, RetentionRule
from clawstate.memory.service import Memory
from clawstate.testing.hooks import ManualTime
from clawstate.testing.memory_hooks import MemoryHooks, texts, texts_of

_DAY = 86_400.0


class RetentionLaws(MemoryHooks):
    """What is archived comes back whole; a policy takes away what it says, and no more."""

    def test_what_is_archived_is_found_no_more_and_kept(self, memory: Memory) -> None:
        """It leaves searches, lists and pages, and is listed in the archive."""
        record_id = memory.add("red kettle", tags=["a"], thread="t")
        before = memory.require(record_id)

        assert memory.archive([record_id, "nobody"]) == 1

        assert texts(memory, "kettle") == [] == texts(memory, "kettle", mode="vector")
        assert (texts_of(memory), memory.get(record_id)) == (set(), None)
        (kept,) = memory.archived()
        assert (kept.record, kept.ending) == (before, "archived")
        assert memory.archived(after=record_id) == []
        assert memory.archive([record_id]) == 0

    @pytest.mark.parametrize("mode", ["words", "vector", "hybrid"])
    def test_what_is_restored_is_as_it_was(self, memory: Memory, mode: Mode) -> None:
        """With its vector, its place and its history, and found as before."""
        record_id = memory.add("red kettle", thread="t", metadata={"n": 1})
        memory.update(record_id, text="blue kettle")
        before, hits = memory.require(record_id), memory.search("blue kettle", mode=mode)
        memory.archive([record_id])

        assert memory.restore([record_id, "nobody"]) == 1

        assert memory.require(record_id) == before
        assert memory.search("blue kettle", mode=mode) == hits
        assert (memory.archived(), memory.stats()["waiting"]) == ([], 0)
        assert [each.record.text for each in memory.history(record_id)] == [
            "red kettle",
            "blue kettle",
        ]
        assert memory.restore([record_id]) == 0

    def test_what_is_kept_anew_is_not_overwritten(self, memory: Memory) -> None:
        """An archived record stays archived while another has its id."""
        memory.add_many([{"id": "r", "text": "old"}])
        memory.archive(["r"])
        memory.add_many([{"id": "r", "text": "new"}])

        assert memory.restore(["r"]) == 0

        assert texts_of(memory) == {"new"}

    def test_the_archive_can_be_forgotten(self, memory: Memory) -> None:
        """An archived record is forgotten by its id, with all that it was."""
        record_id = memory.add("red kettle")
        memory.update(record_id, text="blue kettle")
        memory.archive([record_id])

        receipt = memory.forget([record_id])

        assert [(each.id, each.versions) for each in receipt.records] == [(record_id, 2)]
        assert memory.archived() == []
        with pytest.raises(NotFoundError):
            memory.history(record_id)

    def test_the_archive_is_known_to_the_past(self, memory: Memory, time: ManualTime) -> None:
        """A search as of a moment before finds what was archived since."""
        record_id = memory.add("red kettle")
        moment = time.now
        time.now += 10
        memory.archive([record_id])

        assert texts(memory, "kettle", as_of=moment) == ["red kettle"]
        assert texts(memory, "kettle", as_of=time.now) == []

    def test_a_policy_does_what_it_says(self, memory: Memory, time: ManualTime) -> None:
        """By age, importance, category, source and tag; the first rule that is met counts."""
        memory.add("old chat", tags=["chat"])
        memory.add("old secret", tags=["chat", "secret"])
        memory.add("old note", source="/notes/a.md", importance=0.9)
        memory.add("old trifle", importance=0.1)
        memory.add("short", ttl=5)
        time.now += 10 * _DAY
        memory.add("new chat", tags=["chat"])
        policy = RetentionPolicy(
            rules=(
                RetentionRule(action="forget", tag="secret"),
                RetentionRule(tag="chat", older_than=7 * _DAY),
                RetentionRule(importance_below=0.5, older_than=7 * _DAY, namespace="default"),
                RetentionRule(source="/elsewhere", category="other"),
            )
        )
        before = texts_of(memory)

        told = memory.retain(policy, dry_run=True)
        assert (texts_of(memory), told.is_dry, told.expired) == (before, True, 1)
        done = memory.retain(policy)

        assert texts_of(memory) == {"old note", "new chat"}
        assert [each.record.text for each in memory.archived()] == ["old chat", "old trifle"]
        assert (done.archived, done.forgotten) == (told.archived, told.forgotten)
        assert (len(done.archived), len(done.forgotten), done.expired) == (2, 1, 1)
        assert memory.retain(policy).archived == ()

    def test_the_archive_itself_ends(self, memory: Memory, time: ManualTime) -> None:
        """What was in it for as long as the policy says is forgotten."""
        record_id = memory.add("red kettle")
        memory.archive([record_id])
        policy = RetentionPolicy(archive_for=30 * _DAY)
        time.now += 29 * _DAY
        assert memory.retain(policy).forgotten == ()
        time.now += _DAY + 0.001  # a change is a millisecond later than the one before it

        assert memory.retain(policy).forgotten == (record_id,)

        assert memory.archived() == []

    def test_a_policy_that_names_nothing_is_refused(self, memory: Memory) -> None:
        """A rule for all records is a slip: nothing is done, by no rule."""
        memory.add("red kettle", tags=["a"])
        good = RetentionRule(action="forget", tag="a")

        for bad in (RetentionRule(), RetentionRule(older_than=-1), RetentionRule(action="burn")):  # type: ignore[arg-type]
            with pytest.raises(InvalidError):
                memory.retain(RetentionPolicy(rules=(good, bad)))

        assert texts_of(memory) == {"red kettle"}

    def test_what_matches_is_forgotten(self, memory: Memory, time: ManualTime) -> None:
        """By tag, time and metadata; a dry run only counts, and all at once is refused."""
        memory.add("one", tags=["a"])
        memory.add("two", metadata={"k": 1})
        time.now += 10
        memory.add("three", tags=["a"])

        assert memory.forget_matching(tags=["a"], dry_run=True) == 2
        assert memory.forget_matching(tags=["a"], until=time.now) == 1
        assert memory.forget_matching(where={"k": 1}) == 1
        with pytest.raises(InvalidError):
            memory.forget_matching()

        assert texts_of(memory) == {"three"}

    def test_a_source_is_forgotten_with_all_that_it_gave(self, memory: Memory) -> None:
        """Also what was archived, superseded or edited since, and nothing of other sources."""
        gone, old, edited = (memory.add(f"text {n}", source="/a.md") for n in range(3))
        memory.archive([gone])
        memory.supersede(old, "newer", source="/b.md")
        memory.update(edited, source="/b.md", text="edited")

        assert memory.forget_source("/a.md") == 2

        assert memory.archived() == []
        assert texts_of(memory) == {"newer", "edited"}
        assert [each.record.text for each in memory.history(edited)] == ["edited"]
        assert memory.forget_source("/a.md") == 0

    def test_two_successors_are_a_conflict(self, memory: Memory) -> None:
        """Until one of them is gone."""
        old = memory.add("tea at nine")
        first, second = (memory.supersede(old, text).id for text in ("at ten", "at noon"))

        (found,) = memory.conflicts()
        assert (found.kind, found.about) == ("successors", old)
        assert set(found.records) == {first, second}
        assert memory.conflicts(namespace="work") == []
        memory.supersede(first, second)

        assert memory.conflicts() == []

    def test_two_records_at_one_place_are_a_conflict(
        self, engine: MemoryEngine, memory: Memory
    ) -> None:
        """In the same thread of the same namespace."""
        first = memory.add("one", thread="t", position=1)
        second = memory.add("two", thread="t", position=1)
        memory.add("three", thread="t", position=1, namespace="work")
        memory.add("four", thread="u", position=1)

        (found,) = engine.versions.conflicts(None)

        assert (found.kind, found.about, set(found.records)) == ("position", "t", {first, second})
        assert "position" in found.advice
