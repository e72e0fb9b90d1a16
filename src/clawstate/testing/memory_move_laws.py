"""Laws of what happened to records, of a list as of a moment, and of making one what it was."""

from __future__ import annotations

import pytest

from clawstate.errors import InvalidError, NotFoundError
from clawstate.memory.contract import MemoryEngine
from clawstate.memory.moves import MemorySpan
from clawstate.memory.service import Memory
from clawstate.testing.hooks import ManualTime
from clawstate.testing.memory_hooks import MemoryHooks
from clawstate.testing.memory_pasts import require_listed_pasts

_DAY = 86_400.0


class MoveLaws(MemoryHooks):
    """What was known at one moment, and what happened since, is what was known later."""

    def test_changes_tell_what_happened_last_first(self, memory: Memory, time: ManualTime) -> None:
        """Each with the record before and after it; of what was forgotten only how much."""
        begun = time.now
        time.now += 1
        kept = memory.add("tea")
        gone = memory.add("a secret")
        time.now += 1
        memory.update(kept, text="green tea")
        time.now += 1
        new = memory.supersede(kept, "black tea")
        time.now += 1
        memory.archive([new.id])
        time.now += 1
        memory.delete(gone)

        told = memory.changes(begun).items

        assert [(each.at - begun, each.kind) for each in told] == [
            (5, "forgotten"),
            (4, "archived"),
            (3, "added"),
            (3, "superseded"),
            (2, "updated"),
            (1, "added"),
        ]
        texts = [
            (each.before and each.before.text, each.after and each.after.text) for each in told
        ]
        assert texts[1:] == [
            ("black tea", None),
            (None, "black tea"),
            ("green tea", None),
            ("tea", "green tea"),
            (None, "tea"),
        ]
        assert (told[0].record_id, told[0].count, told[3].successors) == (None, 1, (new.id,))
        assert "secret" not in repr(told)

    def test_changes_are_those_behind_since_up_to_until(
        self, memory: Memory, time: ManualTime
    ) -> None:
        """A change at *since* is known then already, one at *until* is told."""
        for number in range(3):
            memory.add(f"tea {number}")
            time.now += 10
        first = time.now - 30

        told = memory.changes(first, first + 10)

        assert [each.after and each.after.text for each in told] == ["tea 1"]
        with pytest.raises(InvalidError):
            memory.changes(first, first - 1)

    def test_changes_come_in_pages(self, memory: Memory, time: ManualTime) -> None:
        """All of them, each once, however many are of one moment."""
        begun = time.now
        time.now += 1
        ids = memory.add_many([{"text": f"tea {number}"} for number in range(9)])
        time.now += 1
        for each in ids[:4]:
            memory.update(each, text="kettle")

        found, after = [], None
        while True:
            page = memory.changes(begun, limit=3, after=after)
            found += [(each.kind, each.record_id) for each in page]
            after = page.after
            if after is None:
                break

        assert sorted(found) == sorted(
            [("added", each) for each in ids] + [("updated", each) for each in ids[:4]]
        )
        with pytest.raises(InvalidError):
            memory.changes(begun, after=memory.page(1).after or "x")

    def test_activity_counts_by_span(self, memory: Memory, time: ManualTime) -> None:
        """Each change in its span, and all from before the first apart; sizes are of texts."""
        memory.add("before")
        time.now += 10
        begun = time.now
        time.now += _DAY / 2
        record_id = memory.add("t\u00e9")
        time.now += _DAY
        memory.update(record_id, importance=0.1)
        memory.delete(memory.add("gone"))

        first, second = memory.activity(begun, begun + 2 * _DAY)

        assert first == MemorySpan(added=1, records=2, bytes=9)
        assert second == MemorySpan(updated=1, forgotten=1, records=2, bytes=9)
        with pytest.raises(InvalidError):
            memory.activity(begun, begun + 2 * _DAY, step=1)

    def test_what_is_forgotten_leaves_only_that(self, memory: Memory, time: ManualTime) -> None:
        """Its additions and changes are told no more, nor is it listed in the past."""
        begun = time.now
        time.now += 1
        record_id = memory.add("one")
        time.now += 1
        memory.update(record_id, text="two")
        moment = time.now
        time.now += 1
        memory.forget([record_id])

        assert [each.kind for each in memory.changes(begun)] == ["forgotten"]
        assert memory.page(as_of=moment).items == ()
        assert memory.get(record_id, as_of=moment) is None
        with pytest.raises(NotFoundError):
            memory.put_back(record_id, moment)

    def test_a_record_is_made_what_it_was(self, memory: Memory, time: ManualTime) -> None:
        """With all its fields, as a change that can be taken back in the same way."""
        record_id = memory.add("tea", tags=["a"], metadata={"n": 1}, title="Drinks", thread="t")
        first = memory.require(record_id)
        time.now += 10
        second = memory.update(record_id, text="coffee", tags=["b"], metadata={}, title=None)
        time.now += 10

        again = memory.put_back(record_id, first.updated_at)

        same = {"tags": ("a",), "metadata": {"n": 1}, "title": "Drinks", "text": "tea"}
        assert {name: getattr(again, name) for name in same} == same
        assert (again.created_at, again.updated_at) == (first.created_at, time.now)
        assert [each.record.text for each in memory.history(record_id)] == ["tea", "coffee", "tea"]
        time.now += 10
        assert memory.put_back(record_id, second.updated_at).text == "coffee"
        assert memory.put_back(record_id, time.now).updated_at == time.now

    def test_a_record_comes_back_from_the_archive_and_from_behind_others(
        self, memory: Memory, time: ManualTime
    ) -> None:
        """It is kept again as it was then; what took its place stays."""
        archived, superseded = memory.add("tea"), memory.add("kettle")
        moment = time.now
        time.now += 10
        memory.archive([archived])
        memory.supersede(superseded, "new kettle")
        between = time.now
        time.now += 10

        for each, text in ((archived, "tea"), (superseded, "kettle")):
            assert memory.put_back(each, moment).text == text

        texts = {each.text for each in memory.page()}
        assert texts == {"tea", "kettle", "new kettle"}
        assert memory.get(superseded, as_of=between) is None
        with pytest.raises(NotFoundError):
            memory.put_back(superseded, between)

    def test_lists_of_random_pasts_are_as_then(
        self, engine: MemoryEngine, time: ManualTime
    ) -> None:
        """Each moment lists what was kept then, and changes lead from one moment to another."""
        require_listed_pasts(engine, time, changes=60, moments=40)
