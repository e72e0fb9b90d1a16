"""Laws of searches in the past."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from clawstate.errors import InvalidError
from clawstate.memory.backends.inmemory import InMemoryMemory
from clawstate.memory.contract import MemoryEngine
from clawstate.memory.records import MemoryRecord
from clawstate.memory.search import Mode
from clawstate.memory.service import Memory
from clawstate.testing.hooks import ManualTime
from clawstate.testing.memory_hooks import HashEmbedder, MemoryHooks, texts
from clawstate.testing.memory_machine import require_alike

_WORDS = ("tea", "kettle", "running", "red", "blue", "harbour", "nine", "lobster")
_MODES = ("words", "vector", "hybrid")


class PastLaws(MemoryHooks):
    """A search as of a moment finds what a copy that was made then would find."""

    @pytest.mark.parametrize("mode", _MODES)
    def test_the_past_is_searched_as_it_was(
        self, memory: Memory, time: ManualTime, mode: str
    ) -> None:
        """Records in their version of then, those superseded since, and none that came later."""
        old = memory.add("standup is at nine")
        first = time.now
        time.now += 10
        memory.update(old, text="standup is at ten")
        second = time.now
        time.now += 10
        memory.supersede(old, "standup is at noon")
        memory.add("standup is fun")

        def then(moment: float) -> list[str]:
            return texts(memory, "standup", mode=mode, as_of=moment)

        assert (then(first - 1), then(first)) == ([], ["standup is at nine"])
        assert then(second - 0.001) == ["standup is at nine"]
        assert then(second) == then(time.now - 0.001) == ["standup is at ten"]
        assert set(then(time.now)) == {"standup is at noon", "standup is fun"}
        assert texts(memory, "standup", mode=mode) == then(time.now)

    def test_filters_look_at_the_version_of_then(self, memory: Memory, time: ManualTime) -> None:
        """Tags, sources and metadata are those of then."""
        record_id = memory.add("tea", tags=["a"], metadata={"n": 1}, source="one.md")
        before = time.now
        time.now += 10
        memory.update(record_id, tags=["b"], metadata={"n": 2}, source="two.md")

        for chosen in ({"tags": ["a"]}, {"where": {"n": 1}}, {"source": "one.md"}):
            assert texts(memory, "tea", as_of=before, **chosen) == ["tea"]
            assert texts(memory, "tea", **chosen) == []
        (hit,) = memory.search("tea", as_of=before)
        assert (hit.record.tags, hit.record.updated_at) == (("a",), before)

    def test_a_day_means_its_end(self, memory: Memory, time: ManualTime) -> None:
        """A date asks for all that was known on that day; a time for that moment."""
        noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
        time.now = noon.timestamp()
        memory.add("tea")
        time.now += 86_400

        for moment in ("2026-03-01", noon.date(), noon, "2026-03-01T12:00:00Z", noon.timestamp()):
            assert texts(memory, "tea", as_of=moment) == ["tea"]
        for moment in ("2026-02-28", "2026-03-01T11:59:59Z"):
            assert texts(memory, "tea", as_of=moment) == []
        with pytest.raises(InvalidError):
            memory.search("tea", as_of="some day")

    def test_what_is_forgotten_is_gone_for_good(self, memory: Memory, time: ManualTime) -> None:
        """Also from the past: with its versions, and what it took the place of."""
        old = memory.add("tea at nine")
        memory.update(old, text="tea at ten")
        new = memory.supersede(old, "tea at noon")
        moment = time.now
        time.now += 10
        assert len(memory.search("tea", as_of=moment)) == 1

        memory.delete(new.id)

        assert memory.search("tea", as_of=moment) == []

    def test_what_has_expired_is_gone_from_the_past(self, memory: Memory, time: ManualTime) -> None:
        """What was to be forgotten after some time is not found before that time either."""
        memory.add("tea", ttl=10)
        moment = time.now
        time.now += 5
        assert texts(memory, "tea", as_of=moment) == ["tea"]
        time.now += 5

        assert texts(memory, "tea", as_of=moment) == []

    def test_reasons_are_those_of_then(self, memory: Memory, time: ManualTime) -> None:
        """A search of the past can be explained as any other."""
        old = memory.add("red kettle")
        moment = time.now
        time.now += 10
        memory.supersede(old, "blue kettle")

        (hit,) = memory.search("kettle", explain=True, as_of=moment)
        (verdict,) = memory.explain("kettle", old, as_of=moment)

        assert hit.record.id == old
        assert hit.explanation is not None
        assert verdict.reason == "shown"

    def test_random_pasts_are_as_a_copy_of_then(
        self, engine: MemoryEngine, time: ManualTime
    ) -> None:
        """After many changes each moment has the hits and scores of a copy that was made then."""
        require_pasts(engine, time, changes=60, moments=40)


def require_pasts(engine: MemoryEngine, time: ManualTime, *, changes: int, moments: int) -> None:
    """Require so many random moments of a memory to equal a shadow copy of then."""
    chance = Random(8)  # noqa: S311 - no secret
    memory = Memory(engine, embedder=HashEmbedder(), clock=time)
    story = _Story(memory, time, chance)
    for _ in range(changes):
        story.change()
    modes: tuple[Mode, ...] = ("words", "vector", "hybrid")
    for _ in range(moments):
        moment, kept = chance.choice(story.told)
        shadow = Memory(InMemoryMemory(clock=time), embedder=HashEmbedder(), clock=time)
        shadow.add_many(list(kept.values()))
        query, mode = " ".join(chance.choices(_WORDS, k=3)), chance.choice(modes)
        found = memory.search(query, mode=mode, k=50, as_of=moment)
        require_alike(found, shadow.search(query, mode=mode, k=50))


class _Story:
    """Changes of a memory, and what was known after each, as far as it is not forgotten since."""

    def __init__(self, memory: Memory, time: ManualTime, chance: Random) -> None:
        self._memory = memory
        self._time = time
        self._chance = chance
        self._versions: dict[str, int] = {}
        self._before: dict[str, list[str]] = {}
        self._kept: dict[str, MemoryRecord] = {}
        self.told: list[tuple[float, dict[str, MemoryRecord]]] = []

    def change(self) -> None:
        """Change something, some seconds after the last change."""
        self._time.now += self._chance.choice([1, 5, 100])
        call = self._chance.choice([self._add, self._add, self._update, self._replace])
        call = self._chance.choice([call, call, self._supersede, self._delete])
        call()
        self.told.append((self._time.now, dict(self._kept)))

    def _text(self) -> str:
        return " ".join(self._chance.choices(_WORDS, k=self._chance.randint(1, 6)))

    def _values(self) -> dict[str, Any]:
        choices: tuple[dict[str, Any], ...] = (
            {},
            {"tags": ["a"]},
            {"title": "red tea"},
            {"thread": f"t{len(self._versions)}"},
        )
        return self._chance.choice(choices)

    def _some(self) -> Iterator[str]:
        few = [each for each in self._kept if self._versions.get(each, 0) < 8]
        if few:
            yield self._chance.choice(few)

    def _note(self, record_id: str) -> None:
        self._versions[record_id] = self._versions.get(record_id, 0) + 1
        self._kept[record_id] = self._memory.require(record_id)

    def _add(self) -> None:
        self._note(self._memory.add(self._text(), **self._values()))

    def _update(self) -> None:
        for each in self._some():
            choices: list[dict[str, Any]] = [{"text": self._text()}, {"tags": ["b"]}]
            changes = self._chance.choice(choices)
            self._memory.update(each, **changes)
            self._note(each)

    def _replace(self) -> None:
        for each in self._some():
            self._memory.add_many([{"id": each, "text": self._text(), **self._values()}])
            self._note(each)

    def _supersede(self) -> None:
        for each in self._some():
            new = self._memory.supersede(each, self._text())
            self._before[new.id] = [each, *self._before.get(each, ())]
            del self._kept[each]
            self._note(new.id)

    def _delete(self) -> None:
        for each in self._some():
            self._memory.delete(each)
            gone = {each, *self._before.get(each, ())}
            del self._kept[each]
            self.told = [
                (moment, {key: kept for key, kept in then.items() if key not in gone})
                for moment, then in self.told
            ]
