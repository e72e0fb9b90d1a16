"""Laws of the lists and pages of records."""

from __future__ import annotations

import pytest

from clawstate.errors import InvalidError
from clawstate.memory.contract import MemoryEngine
from clawstate.memory.filters import filter_from
from clawstate.memory.service import Memory
from clawstate.testing.memory_hooks import MemoryHooks, texts_of


class ListingLaws(MemoryHooks):
    """What holds of the order and the choice in which an engine lists records."""

    def test_pages_are_in_the_order_of_ids(self, memory: Memory) -> None:
        """Pages behind the last id give every record of the filter once, in the order of ids."""
        ids = ["b", "B", "a", "\u00e4", "c", "\N{LOBSTER}"]
        memory.add_many({"id": each, "text": "tea", "tags": ["x"]} for each in ids)
        memory.add_many([{"id": "aa", "text": "tea"}, {"id": "w", "text": "t", "namespace": "w"}])
        seen: list[str] = []
        after = None
        while page := memory.records(tags=["x"], after=after, limit=2):
            seen += [record.id for record in page]
            after = seen[-1]

        assert seen == sorted(ids)
        assert {record.id for record in memory.records(namespace=None)} == {*ids, "aa", "w"}

    def test_the_newest_come_first(self, memory: Memory) -> None:
        """Pages give every record of the filter once, the one made last first, equals by id."""
        times = {"a": 5.0, "B": 7.5, "c": 7.5, "d": 1.001, "e": 0.5, "\u00e4": 7.5, "gone": 6.0}
        memory.add_many(
            {"id": each, "text": f"tea {each}", "created_at": at, "tags": ["x"]}
            for each, at in times.items()
        )
        memory.add_many([{"id": "w", "text": "t", "namespace": "w", "created_at": 5.0}])
        memory.add_many([{"id": "f", "text": "t", "created_at": 9.0}])

        for limit in (1, 2, 3, 50):
            page = memory.page(limit, tags=["x"])
            seen = [*page]
            if limit == 1:
                memory.add_many([{"id": "new", "text": "t", "created_at": 99.0, "tags": ["x"]}])
                memory.delete("gone")
            while page.after is not None:
                page = memory.page(limit, page.after, tags=["x"])
                seen += page
            ids = [each.id for each in seen]
            assert ids == [*(["new"] if limit > 1 else []), "B", "c", "\u00e4", "a", "d", "e"]
        every = memory.page(50, namespace=None)
        assert [each.id for each in every] == ["new", "f", "B", "c", "\u00e4", "a", "w", "d", "e"]
        assert memory.page(5, namespace="none").items == ()
        with pytest.raises(InvalidError):
            memory.page(0)
        with pytest.raises(InvalidError):
            memory.page(5, "a")

    def test_the_newest_in_a_thread_is_last(self, memory: Memory) -> None:
        """Records of a thread get the next place, a given place counts, a kept one stays."""
        memory.add_many({"id": each, "text": each, "thread": "t"} for each in ("a", "b"))
        memory.add_many([{"id": "c", "text": "c", "thread": "t", "position": 7}])
        memory.add_many([{"id": "d", "text": "d", "thread": "t"}, {"id": "a", "text": "new"}])
        memory.add_many([{"id": "b", "text": "new", "thread": "t"}])
        memory.add_many([{"id": "e", "text": "e", "thread": "t", "namespace": "other"}])

        places = {each: memory.require(each).position for each in "abcde"}

        assert places == {"a": None, "b": 1, "c": 7, "d": 8, "e": 0}

    def test_filters_choose_what_is_listed(self, engine: MemoryEngine, memory: Memory) -> None:
        """Demands on metadata and fields, and what is put together of them, mean what they say."""
        memory.add("one", metadata={"a": 1, "b": ["x"]}, tags=["t"], source="s")
        memory.add("two", metadata={"a": "1"}, importance=0.2, thread="chat")
        memory.add("three", category="fact")

        assert texts_of(memory, where={"a": 1}) == {"one"}
        assert texts_of(memory, where={"a": {"ne": 1}}) == {"two", "three"}
        assert texts_of(memory, where={"a": None}) == {"three"}
        assert texts_of(memory, where={"b": {"contains": "x"}}) == {"one"}
        assert texts_of(memory, where={"$or": [{"a": "1"}, {"$tags": "t"}]}) == {"one", "two"}
        assert texts_of(memory, where={"$not": {"$importance": {"lt": 0.5}}}) == {"one", "three"}
        assert texts_of(memory, where={"$thread": None, "$source": None}) == {"three"}
        assert texts_of(memory, where={"$category": ["fact", "idea"]}) == {"three"}
        assert engine.page(filter_from(namespace="none"), None, 9) == []
