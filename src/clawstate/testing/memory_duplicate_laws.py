"""What near-duplicates ask of an engine: all that say the same are found, and no other."""

from __future__ import annotations

from clawstate.memory.contract import MemoryEngine
from clawstate.memory.duplicates.values import DuplicateGroup
from clawstate.memory.service import Memory
from clawstate.testing.memory_hooks import MemoryHooks

_TEA = "ada prefers green tea in the morning and never after noon"


class DuplicateLaws(MemoryHooks):
    """The near-duplicates of a memory in the engine under test."""

    def test_duplicates_are_those_that_say_nearly_the_same(self, memory: Memory) -> None:
        """A group is the oldest record and those like it; what expired or is elsewhere is none."""
        made = {
            "first": _TEA,
            "same": f"  {_TEA.upper()} ",
            "near": f"{_TEA} again",
            "other": "bob rides a red bicycle to work",
        }
        memory.add_many({"id": name, "text": text} for name, text in made.items())
        memory.add_many([{"id": "elsewhere", "text": _TEA, "namespace": "work"}])

        (found,) = memory.duplicates(min_similarity=0.9)

        assert found.records == ("first", "same", "near")
        assert found.similarities[:2] == (1, 1)
        assert 0.9 <= found.similarities[2] < 1
        assert list(memory.duplicates(namespace="work")) == []

    def test_duplicates_follow_changes(self, memory: Memory) -> None:
        """What was forgotten or changed is in no group any more, and what came is."""
        memory.add_many({"id": name, "text": _TEA} for name in ("a", "b", "c"))
        before = memory.duplicates().items[0].records

        memory.delete("a")
        memory.update("b", text="bob rides a red bicycle to work")
        memory.add_many([{"id": "d", "text": _TEA}])

        assert before == ("a", "b", "c")
        assert [set(each.records) for each in memory.duplicates()] == [{"c", "d"}]

    def test_duplicates_without_vectors_have_equal_texts(self, engine: MemoryEngine) -> None:
        """Records without a vector are compared by their texts alone."""
        plain = Memory(engine, by_meaning=False)
        plain.add_many({"text": text} for text in (_TEA, _TEA, f"{_TEA} again"))

        assert [len(each.records) for each in plain.duplicates(min_similarity=0.8)] == [2]

    def test_pages_of_duplicates_have_each_group_once(self, memory: Memory) -> None:
        """The pages together are all groups in their order, the most alike first."""
        subjects = [f"{word} {word}s many {word}ed" for word in ("tea", "bike", "star", "sun")]
        memory.add_many({"text": text} for text in subjects for _ in range(2))
        every = memory.duplicates().items

        paged: list[DuplicateGroup] = []
        after: str | None = None
        while True:
            page = memory.duplicates(1, after)
            paged += page.items
            if (after := page.after) is None:
                break

        assert tuple(paged) == every
        assert len(every) == len(subjects)
