"""Laws of searches in the past."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from clawstate.errors import InvalidError
from clawstate.memory.contract import MemoryEngine
from clawstate.memory.service import Memory
from clawstate.testing.hooks import ManualTime
from clawstate.testing.memory_hooks import HashEmbedder, MemoryHooks, texts
from clawstate.testing.memory_pasts import require_pasts

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

    @pytest.mark.parametrize("embedder", [HashEmbedder(16, seed=7), HashEmbedder(24)])
    def test_pasts_after_reembedding_are_as_a_copy_with_the_new_embedder(
        self, engine: MemoryEngine, time: ManualTime, embedder: HashEmbedder
    ) -> None:
        """Versions of then are found by meaning again, by the vectors that are in use now."""
        require_pasts(engine, time, changes=40, moments=20, reembedded=embedder)
