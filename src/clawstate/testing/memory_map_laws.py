"""What the map asks of an engine of memory: that it is in step with what is kept."""

from __future__ import annotations

import numpy as np

from clawstate.memory.contract import MemoryEngine
from clawstate.memory.map.values import MemoryMap
from clawstate.memory.service import Memory
from clawstate.testing.memory_hooks import HashEmbedder, MemoryHooks


class MapLaws(MemoryHooks):
    """The map of a memory in the engine under test."""

    def test_the_map_follows_every_change(self, memory: Memory) -> None:
        """What is added, edited, tagged or forgotten is so on the map; all else stays in place."""
        subjects = {"tea": "green tea kettle", "bike": "bicycle wheel chain"}
        memory.add_many(
            {"id": f"{name}{number}", "text": f"{text} {number}"}
            for name, text in subjects.items()
            for number in range(8)
        )
        first = places(memory.map())

        memory.update("tea0", text="bicycle wheel chain again")
        memory.update("bike0", tags=["seen"])
        memory.delete("tea1")
        memory.add("green tea kettle too", namespace="default")
        found = memory.map()

        now = places(found)
        assert now.keys() - first.keys() == {found.ids[-1]}
        assert first.keys() - now.keys() == {"tea1"}
        assert {each for each in first if each in now and now[each] != first[each]} == {"tea0"}
        nearest = min(
            first.keys() - {"tea0", "tea1"},
            key=lambda each: np.hypot(*np.subtract(now[each], now["tea0"])),
        )
        assert nearest.startswith("bike")
        assert found.tags.names == ("", "seen")

    def test_vectors_that_come_later_give_places(
        self, engine: MemoryEngine, memory: Memory
    ) -> None:
        """A record that was kept without a vector has its place once it has one."""
        plain = Memory(engine, by_meaning=False)
        plain.add_many({"text": f"tea {number}"} for number in range(3))
        before = memory.map().has_place.tolist()

        memory.optimize()

        assert (before, memory.map().has_place.tolist()) == ([False] * 3, [True] * 3)

    def test_other_vectors_are_laid_out_anew(self, memory: Memory) -> None:
        """After all vectors were replaced the map is one of the new ones."""
        memory.add_many({"text": f"tea {number}"} for number in range(9))
        memory.map()

        memory.reembed(HashEmbedder(24))

        assert memory.map().has_place.all()
        assert memory.map().stage == "settled"


def places(found: MemoryMap) -> dict[str, tuple[float, ...]]:
    """Return where each record lies."""
    return {
        name: tuple(place) for name, place in zip(found.ids, found.positions.tolist(), strict=True)
    }
