"""Laws of single records: what is put is found, under its revision, or not at all."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from clawstate.errors import ConflictError, InvalidError
from clawstate.records.contract import ABSENT, ANY, DELETE, Collection, Json
from clawstate.testing.collection_hooks import CollectionHooks


class RecordLaws(CollectionHooks):
    """What `get`, `put`, `delete` and `update` promise."""

    def test_an_empty_collection_has_nothing(self, notes: Collection) -> None:
        """Before the first change nothing is found, and nothing fails."""
        assert notes.get("a") is None
        assert list(notes.scan()) == []
        assert notes.count() == 0

    def test_what_was_put_is_found(self, notes: Collection) -> None:
        """A record is found with the key, value and revision that `put` returned."""
        put = notes.put("a", {"x": [1, "two", None]})

        assert (put.key, put.value) == ("a", {"x": [1, "two", None]})
        assert notes.get("a") == put
        assert list(notes.scan()) == [put]

    def test_a_key_that_cannot_be_kept_is_not_found(self, notes: Collection) -> None:
        """Asking for an impossible key finds nothing."""
        notes.put("a", 1)

        assert [notes.get(key) for key in ("", "\ud800", "x" * 1025)] == [None] * 3

    def test_values_are_copies(self, notes: Collection) -> None:
        """Altering a value that was given or returned alters no record."""
        given: dict[str, Any] = {"x": [1]}

        given_back = notes.put("a", given)
        found = notes.get("a")
        scanned = next(iter(notes.scan()))
        updated = notes.update("a", lambda old: {**(old or {}), "x": [1]})
        assert found is not None
        assert updated is not None
        values: list[Json] = [given, given_back.value, found.value, scanned.value, updated.value]
        for value in values:
            value["x"].append(2)

        again = notes.get("a")
        assert again is not None
        assert again.value == {"x": [1]}

    def test_another_value_has_another_revision(self, notes: Collection) -> None:
        """Two values that follow each other under a key have different revisions."""
        values: list[Json] = [1, 2, "2", None, [], {}, True]

        revisions = [notes.put("a", value).revision for value in values]

        assert all(one != two for one, two in pairwise(revisions))

    def test_an_equal_value_keeps_its_revision(self, notes: Collection) -> None:
        """Putting an equal value again, in any way, changes nothing."""
        first = notes.put("a", {"x": 1, "y": [2]})
        cursor = notes.changes().cursor

        again = notes.put("a", {"x": 1.0, "y": (2,)})
        updated = notes.update("a", lambda old: old)
        notes.change_all(lambda records: (records, None))

        assert first == again == updated == notes.get("a")
        assert notes.changes(cursor).keys == frozenset()

    def test_truth_is_not_one(self, notes: Collection) -> None:
        """`true` and 1 are different values, though Python calls them equal."""
        first = notes.put("a", {"x": 1})

        second = notes.put("a", {"x": True})

        assert second.revision != first.revision
        assert json.dumps(second.value) == '{"x": true}'

    def test_the_order_of_members_is_part_of_the_value(self, notes: Collection) -> None:
        """A value with its members in another order is written, and comes back in that order."""
        notes.put("a", {"x": 1, "y": 2})

        notes.put("a", {"y": 2, "x": 1})

        found = notes.get("a")
        assert found is not None
        assert list(found.value) == ["y", "x"]

    def test_put_with_a_revision_replaces_that_value_only(self, notes: Collection) -> None:
        """`put` with a revision succeeds while the record has it, and not afterwards."""
        first = notes.put("a", 1)
        second = notes.put("a", 2, expect=first.revision)

        with pytest.raises(ConflictError) as caught:
            notes.put("a", 3, expect=first.revision)

        assert (caught.value.kind, caught.value.key) == ("notes", "a")
        assert notes.get("a") == second

    def test_put_with_absent_adds_only(self, notes: Collection) -> None:
        """`put` with `ABSENT` succeeds once, and again after the record was deleted."""
        first = notes.put("a", 1, expect=ABSENT)

        with pytest.raises(ConflictError):
            notes.put("a", 1, expect=ABSENT)

        assert notes.get("a") == first
        notes.delete("a")
        assert notes.put("a", 2, expect=ABSENT).value == 2

    @pytest.mark.parametrize("revision", ["", "0", "nonsense", "-1", "9" * 40, "\ud800"])
    def test_an_unknown_revision_is_a_conflict(self, notes: Collection, revision: str) -> None:
        """A revision that no record has is a conflict, with or without a record, even if equal."""
        with pytest.raises(ConflictError):
            notes.put("a", 1, expect=revision)
        kept = notes.put("a", 1)

        with pytest.raises(ConflictError):
            notes.put("a", 1, expect=revision)
        with pytest.raises(ConflictError):
            notes.delete("a", expect=revision)

        assert list(notes.scan()) == [kept]

    def test_the_revision_of_a_deleted_record_is_a_conflict(self, notes: Collection) -> None:
        """Neither `put` nor `delete` accepts the revision of a record that is gone."""
        revision = notes.put("a", 1).revision
        notes.delete("a")

        with pytest.raises(ConflictError):
            notes.put("a", 2, expect=revision)
        with pytest.raises(ConflictError):
            notes.delete("a", expect=revision)

        assert notes.get("a") is None

    def test_delete_tells_whether_it_was_there(self, notes: Collection) -> None:
        """`delete` is true for a record and false for none."""
        notes.put("a", None)

        answers = [notes.delete("a"), notes.delete("a"), notes.delete("b", expect=ANY)]

        assert answers == [True, False, False]
        assert notes.count() == 0

    def test_delete_checks_what_it_expects(self, notes: Collection) -> None:
        """`delete` removes only the value of its revision, and with `ABSENT` nothing."""
        old = notes.put("a", 1).revision
        new = notes.put("a", 2).revision

        for expect in (old, ABSENT):
            with pytest.raises(ConflictError):
                notes.delete("a", expect=expect)
        assert notes.count() == 1

        assert notes.delete("a", expect=new)
        assert not notes.delete("a", expect=ABSENT)

    def test_update_makes_a_value_of_the_old_one(self, notes: Collection) -> None:
        """`update` gives the old value to its change, or None, and returns the record."""
        seen: list[Json] = []

        def count(old: Json | None) -> Json:
            seen.append(old)
            return (old or 0) + 1

        first = notes.update("a", count)
        second = notes.update("a", count)

        assert first is not None
        assert second is not None
        assert (first.value, second.value) == (1, 2)
        assert (seen[0], seen[-1]) == (None, 1)
        assert notes.get("a") == second

    def test_update_deletes(self, notes: Collection) -> None:
        """A change that returns `DELETE` removes the record, if there is one."""
        notes.put("a", 1)

        answers = [notes.update("a", lambda _: DELETE), notes.update("b", lambda _: DELETE)]

        assert answers == [None, None]
        assert notes.count() == 0

    def test_update_may_alter_what_it_is_given(self, notes: Collection) -> None:
        """A change that alters the old value and returns it has changed the record."""
        first = notes.put("a", {"x": [1]})

        def extend(old: Any) -> Json:
            old["x"].append(2)
            return old

        second = notes.update("a", extend)

        assert second is not None
        assert second.value == {"x": [1, 2]}
        assert second.revision != first.revision
        assert notes.get("a") == second

    def test_null_is_a_value(self, notes: Collection) -> None:
        """A record of null is there; to a change it looks like none, and it may return it."""
        put = notes.put("a", None)
        made = notes.update("b", lambda old: old)

        assert notes.get("a") == put
        assert made is not None
        assert notes.get("b") == made
        assert [each.value for each in notes.scan()] == [None, None]
        assert notes.update("a", lambda old: [old]) == notes.get("a")
        assert notes.change_all(lambda records: (records, dict(records))) == {
            "a": [None],
            "b": None,
        }
        with pytest.raises(ConflictError):
            notes.put("b", 1, expect=ABSENT)

    @pytest.mark.parametrize(
        "error",
        [
            ZeroDivisionError("by a change"),
            json.JSONDecodeError("by a change", "{", 1),
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "by a change"),
            KeyboardInterrupt(),
            StopIteration(),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_what_a_change_raises_is_raised(self, notes: Collection, error: Exception) -> None:
        """An error of a change comes out as it is, and leaves everything as it was."""
        kept = notes.put("a", {"x": 1})
        cursor = notes.changes().cursor

        def spoil(old: Any) -> Json:
            old["x"] = 2
            raise error

        def spoil_all(old: Any) -> tuple[dict[str, Json], None]:
            old.clear()
            raise error

        with pytest.raises(type(error)) as caught:
            notes.update("a", spoil)
        assert caught.value is error
        with pytest.raises(type(error)) as caught:
            notes.change_all(spoil_all)
        assert caught.value is error

        assert list(notes.scan()) == [kept]
        assert notes.changes(cursor).keys == frozenset()
        assert notes.put("a", 3) == notes.get("a")

    def test_a_change_must_not_use_its_collection(self, notes: Collection) -> None:
        """A change that changes its own collection is refused, and nothing hangs."""
        kept = notes.put("a", 1)

        def nested(_: Any) -> Json:
            return notes.put("b", 2).value

        def nested_all(_: Any) -> tuple[dict[str, Json], None]:
            notes.delete("a")
            return {}, None

        with pytest.raises(InvalidError):
            notes.update("a", nested)
        with pytest.raises(InvalidError):
            notes.change_all(nested_all)

        assert list(notes.scan()) == [kept]
        assert notes.put("b", 2) == notes.get("b")
