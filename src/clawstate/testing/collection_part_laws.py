"""Laws of `change_some`: several records change at once, and no others are touched."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from clawstate.errors import InvalidError
from clawstate.records.contract import Collection, Json
from clawstate.testing.collection_hooks import CollectionHooks

_KEYS = "abcdefgh"


class PartLaws(CollectionHooks):
    """What `change_some` promises."""

    def test_some_records_change_at_once(self, notes: Collection) -> None:
        """Those that are returned are put, those that are not go, and all others stay."""
        other = notes.put("z", {"x": 1})
        notes.change_all(lambda old: ({**old, "a": 1, "b": 2}, None))
        given: list[Json] = []

        def change(old: dict[str, Json]) -> tuple[dict[str, Json], str]:
            given.append(old)
            return {"b": 3, "c": [4]}, "answer"

        answer = notes.change_some(["a", "b", "c", "d"], change)

        assert (answer, given[-1]) == ("answer", {"a": 1, "b": 2})
        values = {each.key: each.value for each in notes.scan()}
        assert values == {"b": 3, "c": [4], "z": {"x": 1}}
        assert notes.get("z") == other

    def test_what_moved_of_some_is_told(self, notes: Collection) -> None:
        """Only the records that have another value have another revision, and are changes."""
        for key in "abc":
            notes.put(key, {"x": 1})
        before = {key: notes.get(key) for key in "abc"}
        cursor = notes.changes().cursor

        notes.change_some(["a", "b"], lambda _: ({"a": {"x": 1.0}, "b": {"x": 2}}, None))

        assert notes.get("a") == before["a"]
        assert notes.get("b") != before["b"]
        assert notes.changes(cursor).keys == {"b"}

    def test_the_values_of_some_are_copies(self, notes: Collection) -> None:
        """Altering what a change of some was given alters nothing that it does not return."""
        kept = notes.put("a", {"x": [1]})
        notes.put("b", 1)

        def spoil(old: dict[str, Any]) -> tuple[dict[str, Json], None]:
            old["a"]["x"].append(2)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            notes.change_some(["a"], spoil)

        assert notes.get("a") == kept
        notes.change_some(["a"], lambda old: ({"a": {"x": [*old["a"]["x"], 3]}}, None))
        found = notes.get("a")
        assert found is not None
        assert found.value == {"x": [1, 3]}

    def test_a_change_of_none_changes_nothing(self, notes: Collection) -> None:
        """Without keys, or with keys that are not there and none returned, nothing moves."""
        kept = notes.put("a", 1)
        cursor = notes.changes().cursor

        answers = [notes.change_some(keys, lambda old: ({}, old)) for keys in ([], ["b", "b"])]

        assert answers == [{}, {}]
        assert list(notes.scan()) == [kept]
        assert notes.changes(cursor).keys == frozenset()

    def test_some_are_no_others(self, notes: Collection) -> None:
        """A record under another key, or no mapping, is refused, and nothing is written."""
        kept = notes.put("a", 1)

        for made in ({"a": 2, "b": 3}, [("a", 2)], None):
            with pytest.raises(InvalidError):
                notes.change_some(["a"], lambda _, made=made: (made, None))  # type: ignore[misc]

        assert list(notes.scan()) == [kept]

    @pytest.mark.parametrize("key", ["", "\ud800", "x" * 1025, 7])
    def test_some_keys_cannot_be(self, notes: Collection, key: Any) -> None:
        """A key that no record can have is refused before anything is asked."""
        asked: list[Json] = []

        def change(old: dict[str, Json]) -> tuple[dict[str, Json], None]:
            asked.append(old)
            return old, None

        for keys in ([key], ["a", key], "ab"):
            with pytest.raises(InvalidError):
                notes.change_some(keys, change)

        assert asked == []

    def test_a_value_of_some_that_cannot_be_kept_keeps_all(self, notes: Collection) -> None:
        """One value that is no JSON is refused, and nothing of that change is written."""
        kept = notes.put("a", 1)

        with pytest.raises(InvalidError):
            notes.change_some(["a", "b"], lambda _: ({"a": 2, "b": object()}, None))

        assert list(notes.scan()) == [kept]

    @pytest.mark.parametrize(
        "error",
        [ZeroDivisionError("by a change"), json.JSONDecodeError("by a change", "{", 1)],
        ids=lambda error: type(error).__name__,
    )
    def test_what_a_change_of_some_raises_is_raised(
        self, notes: Collection, error: Exception
    ) -> None:
        """An error of the change comes out as it is, and leaves everything as it was."""
        kept = notes.put("a", 1)

        def spoil(_: Any) -> tuple[dict[str, Json], None]:
            raise error

        with pytest.raises(type(error)) as caught:
            notes.change_some(["a", "b"], spoil)

        assert caught.value is error
        assert list(notes.scan()) == [kept]

    def test_a_change_of_some_must_not_use_its_collection(self, notes: Collection) -> None:
        """A change of some that changes its own collection is refused, and nothing hangs."""
        kept = notes.put("a", 1)

        def nested(old: dict[str, Json]) -> tuple[dict[str, Json], None]:
            notes.change_some(["b"], lambda _: ({"b": 1}, None))
            return old, None

        with pytest.raises(InvalidError):
            notes.change_some(["a"], nested)

        assert list(notes.scan()) == [kept]

    def test_racing_changes_of_some_lose_nothing(self, notes: Collection) -> None:
        """Threads that count in overlapping records lose none, and each change is whole."""

        def count(first: int) -> None:
            keys = [_KEYS[(first + step) % len(_KEYS)] for step in range(4)]
            for _ in range(20):
                notes.change_some(
                    keys, lambda old: ({key: old.get(key, 0) + 1 for key in keys}, None)
                )

        with ThreadPoolExecutor(len(_KEYS)) as pool:
            list(pool.map(count, range(len(_KEYS))))

        assert {each.key: each.value for each in notes.scan()} == dict.fromkeys(_KEYS, 80)
