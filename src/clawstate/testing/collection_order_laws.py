"""Laws of the latest records: their order, and pages that stay right while others write."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from clawstate.errors import InvalidError
from clawstate.paging import Position
from clawstate.records.contract import Backend, Capability, Collection, Json
from clawstate.records.rules import position_of
from clawstate.testing.collection_hooks import NOTES, RANKED, CollectionHooks
from clawstate.testing.hooks import needs

_ORDERED: Final[tuple[tuple[str, Json], ...]] = (
    ("vast", {"at": 10**400}),
    ("large", {"at": 2**53}),
    ("b", {"at": 1_700_000_000_000.5}),
    ("a", {"at": 1_700_000_000_000}),
    ("a/tie", {"at": 1_700_000_000_000, "more": ["x"]}),
    ("a\ue000", {"at": 1_700_000_000_000}),
    ("a\U00010000", {"at": 1_700_000_000_000}),
    ("small", {"at": 0.25}),
    ("none", {"at": 0}),
    ("before", {"at": -5}),
    ("deep", {"in": {"at": 9}}),
    ("list", [9]),
    ("nothing", {}),
    ("null", {"at": None}),
    ("number", 9),
    ("other", {"AT": 9}),
    ("switch", {"at": True}),
    ("text", {"at": "9"}),
)
"""Records in the order of the latest: by number, by key among equals, those without one last."""


class OrderLaws(CollectionHooks):
    """What `latest` promises."""

    @pytest.fixture
    def ranked(self, backend: Backend) -> Collection:
        """Give a collection of `RANKED` with records that were put in any order."""
        ranked = backend.collection(RANKED)
        shuffled = random.Random(7).sample(_ORDERED, len(_ORDERED))  # noqa: S311 - no secret
        ranked.change_all(lambda _: (dict(shuffled), None))
        return ranked

    def test_the_latest_come_first(self, ranked: Collection) -> None:
        """The greatest number comes first, equals by key, and what has no number comes last."""
        found = list(ranked.latest(100))

        assert [each.key for each in found] == [key for key, _ in _ORDERED]
        assert found == [ranked.get(each.key) for each in found]

    def test_each_number_of_latest_is_a_whole(self, ranked: Collection) -> None:
        """At most as many come as were asked for: the first of all."""
        every = [key for key, _ in _ORDERED]

        for limit in (0, 1, 5, len(every), 10**9):
            assert [each.key for each in ranked.latest(limit)] == every[:limit]
        with pytest.raises(InvalidError):
            list(ranked.latest(-1))

    @pytest.mark.parametrize("limit", [1, 3, 100])
    def test_pages_of_the_latest_make_a_whole(self, ranked: Collection, limit: int) -> None:
        """Pages, each behind the last position of the one before, give every record once."""
        assert _all(ranked, limit) == [key for key, _ in _ORDERED]

    def test_a_page_goes_on_where_another_ended(self, ranked: Collection) -> None:
        """What is put, moved or deleted between two pages neither repeats nor hides the others."""
        every = [key for key, _ in _ORDERED]
        first = list(ranked.latest(5))
        after = position_of(RANKED, first[-1].key, first[-1].value)

        ranked.put("newest", {"at": 10**401})
        ranked.put("a", {"at": 1})
        ranked.delete(first[-1].key)
        ranked.put("b", {"at": 2**60})
        rest = [each.key for each in ranked.latest(100, after=after)]

        moved = every.index("small")
        assert rest == [*every[5:moved], "a", *every[moved:]]

    def test_the_order_follows_every_change(self, backend: Backend) -> None:
        """Whatever put, replaced or removed records, the latest are those that are there."""
        ranked, dice = backend.collection(RANKED), random.Random(11)  # noqa: S311 - no secret
        there: dict[str, int] = {}

        for _ in range(40):
            key, at = f"k{dice.randrange(9)}", dice.randrange(4)
            if dice.random() < 0.3:
                ranked.delete(key)
                there.pop(key, None)
            elif dice.random() < 0.5:
                ranked.put(key, {"at": at})
                there[key] = at
            else:
                made = {key: {"at": at}}
                ranked.change_some([key], partial(_instead, made))
                there[key] = at

            wanted = sorted(there, key=lambda key: (-there[key], key))
            assert [each.key for each in ranked.latest(5)] == wanted[:5]
            assert _all(ranked, 2) == wanted

    def test_without_an_order_the_latest_go_by_key(self, notes: Collection) -> None:
        """Records of a spec that names no order come by key."""
        notes.change_all(lambda _: ({"b": {"at": 2}, "a": {"": 1, "at": 1}, "c": {"": 5}}, None))

        assert [each.key for each in notes.latest(2)] == ["a", "b"]
        assert [each.key for each in notes.latest(2, after=position_of(NOTES, "b", {}))] == ["c"]

    def test_the_latest_of_nothing(self, backend: Backend) -> None:
        """An empty collection has no latest records, and looking makes nothing."""
        assert list(backend.collection(RANKED).latest(5)) == []

    @needs(Capability.SHARED)
    def test_the_order_is_shared_and_lasts(self, backend: Backend, tmp_path: Path) -> None:
        """Another opener sees the same order, and so does one that comes later."""
        backend.collection(RANKED).put("a", {"at": 1})
        other = self.make(tmp_path)
        try:
            other.collection(RANKED).put("b", {"at": 2})
            backend.collection(RANKED).put("c", {"at": 3})
            assert [each.key for each in other.collection(RANKED).latest(9)] == ["c", "b", "a"]
        finally:
            other.close()

        again: Any = self.reopen(backend, tmp_path)
        try:
            assert [each.key for each in again.collection(RANKED).latest(2)] == ["c", "b"]
        finally:
            again.close()


def _instead(made: dict[str, Json], _: dict[str, Json]) -> tuple[dict[str, Json], None]:
    return made, None


def _all(ranked: Collection, limit: int) -> list[str]:
    """Return the keys of all pages of *limit* records."""
    seen: list[str] = []
    after: Position | None = None
    while page := list(ranked.latest(limit, after=after)):
        assert len(page) <= limit
        seen += [each.key for each in page]
        after = position_of(RANKED, page[-1].key, page[-1].value)
    return seen
