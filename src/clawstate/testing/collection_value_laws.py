"""Laws of odd keys and odd values: all that JSON knows is kept, all else is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import pytest

from clawstate.errors import InvalidError
from clawstate.records.contract import ABSENT, ANY, DELETE, Backend, Collection, Json
from clawstate.testing.collection_hooks import ITEMS, OTHERS, CollectionHooks

A = TypeVar("A")

ODD_KEYS: Final = (
    " ",
    "\0",
    "a\0b",
    "\n",
    "/",
    "a/b",
    "..",
    "../../etc/passwd",
    ".",
    "~",
    "%2f",
    "*",
    "a%",
    "a_",
    "'; DROP TABLE records; --",
    '"',
    "\\",
    "0",
    "42",
    "042",
    "4294967295",
    "-1",
    "null",
    "version",
    "__proto__",
    "constructor",
    "a",
    "A",
    "e\u0301",
    "\u00e9",
    "ß",
    "ss",
    "\u0130",
    "\u202eabc",
    "\ufeff",
    "\uffff",
    "\ue000",
    "\ud7ff",
    "\U0001f99e",
    "\U0010ffff",
    "x" * 1024,
    "\U0001f99e" * 1024,
)
"""Keys that some file system, language or database would confuse."""

ODD_VALUES: Final[tuple[tuple[Json, str], ...]] = (
    (None, "null"),
    (True, "true"),
    (False, "false"),
    (0, "0"),
    (-0.0, "0"),
    (1.0, "1"),
    (2**53 + 1, "9007199254740993"),
    (-(10**40), "-1" + "0" * 40),
    (0.1, "0.1"),
    (5e-324, "5e-324"),
    (1.7976931348623157e308, "1.7976931348623157e+308"),
    (float("nan"), "null"),
    (float("-inf"), "null"),
    ("", '""'),
    ("\0\x1f\x7f", '"\\u0000\\u001f\x7f"'),
    ("\u2028\ufeff\U0001f99e", '"\u2028\ufeff\U0001f99e"'),
    ("half \ud83e", '"half \\ud83e"'),
    ("\udd9e\ud83e", '"\\udd9e\\ud83e"'),
    ("\ud83e\udd9e", '"\U0001f99e"'),
    ([], "[]"),
    ({}, "{}"),
    ((1, (2,)), "[1, [2]]"),
    ([[], {}, [[]], {"": {}}], '[[], {}, [[]], {"": {}}]'),
    ({"": 1, "\0": 2, "\ud800": 3}, '{"": 1, "\\u0000": 2, "\\ud800": 3}'),
    ({"z": 1, "a": 2, "M": 3, "__proto__": 4}, '{"z": 1, "a": 2, "M": 3, "__proto__": 4}'),
    ("x" * 100_000, '"' + "x" * 100_000 + '"'),
    (list(range(5000)), str(list(range(5000)))),
)
"""Values, and the JSON text that says what comes back of them."""


def _nest(levels: int) -> Json:
    value: Json = 1
    for level in range(levels):
        value = [value] if level % 2 else {"in": value}
    return value


def _call_deeply(levels: int, call: Callable[[], A]) -> A:
    return call() if levels == 0 else _call_deeply(levels - 1, call)


def _endless() -> Json:
    value: list[Json] = []
    value.append(value)
    return value


class ValueLaws(CollectionHooks):
    """What may be a key and a value, and what comes back of it."""

    @pytest.mark.parametrize("key", ODD_KEYS, ids=ascii)
    def test_an_odd_key_is_a_key(self, notes: Collection, key: str) -> None:
        """Any text of 1 to 1,024 characters that UTF-8 can hold is a key, and no other than it."""
        notes.put("between", 0)

        put = notes.put(key, {"is": key}, expect=ABSENT)

        assert notes.get(key) == put
        assert put.key == key
        assert {each.key for each in notes.scan()} == {key, "between"}
        assert [each.key for each in notes.scan(key)] == [key]
        assert notes.update(key, lambda old: [old]) == notes.get(key)
        assert notes.delete(key)
        assert [each.key for each in notes.scan()] == ["between"]

    def test_odd_keys_are_told_apart(self, notes: Collection) -> None:
        """No two keys are taken for one: not by case, not by accents, not by what they mimic."""
        wanted = {key: number for number, key in enumerate(ODD_KEYS)}

        notes.change_all(lambda _: (wanted, None))

        assert {each.key: each.value for each in notes.scan()} == wanted
        found = {key: notes.get(key) for key in ODD_KEYS}
        assert {key: each and each.value for key, each in found.items()} == wanted

    @pytest.mark.parametrize(
        "key", ["", "x" * 1025, "\ud800", "a\udfffb", "\ud83e\udd9e", 5, None, b"a"], ids=ascii
    )
    def test_what_is_no_key_is_refused(self, notes: Collection, key: Any) -> None:
        """An empty, too long or unwritable key is refused by every change; nothing is written."""
        kept = notes.put("a", 1)

        with pytest.raises(InvalidError):
            notes.put(key, 1)
        with pytest.raises(InvalidError):
            notes.update(key, lambda _: 1)
        with pytest.raises(InvalidError):
            notes.change_all(lambda _: ({"b": 2, key: 1}, None))

        assert list(notes.scan()) == [kept]

    @pytest.mark.parametrize(
        ("value", "text"), ODD_VALUES, ids=[ascii(text[:24]) for _, text in ODD_VALUES]
    )
    def test_a_value_comes_back_as_its_text_says(
        self, notes: Collection, value: Json, text: str
    ) -> None:
        """What `put`, `get`, `scan` and a change see of a value is what its JSON text says."""
        put = notes.put("a", {"in": value})
        seen: list[Json] = []

        def noting(old: Json | None) -> Json:
            seen.append(old)
            return old

        notes.update("a", noting)
        seen.append(notes.change_all(lambda records: (records, records["a"])))

        found = notes.get("a")
        assert found is not None
        everywhere = [put.value, found.value, next(iter(notes.scan())).value, *seen]
        wanted = {"in": json.loads(text)}
        assert [json.dumps(each) for each in everywhere] == [json.dumps(wanted)] * len(everywhere)
        assert notes.put("a", {"in": value}).revision == put.revision

    def test_a_value_may_be_nested(self, notes: Collection) -> None:
        """A hundred levels of nesting come back."""
        put = notes.put("a", _nest(100))

        assert put.value == _nest(100)
        assert notes.get("a") == put

    def test_what_was_kept_can_be_read_from_anywhere(self, notes: Collection) -> None:
        """However deep a value is that was taken, it can be read from deep within calls."""
        for levels in range(100, 1000, 100):
            try:
                put = notes.put("a", _nest(levels))
            except InvalidError:
                break
            found = _call_deeply(500, lambda: notes.get("a"))
            assert found is not None
            assert found.revision == put.revision

    @pytest.mark.parametrize(
        "value",
        [
            {1: 2},
            {None: 1},
            {1, 2},
            b"bytes",
            object(),
            datetime(2026, 2, 27, tzinfo=UTC),
            10**5000,
            [ABSENT],
            ABSENT,
            ANY,
            _endless(),
            _nest(50_000),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_what_is_not_json_is_refused(self, notes: Collection, value: Any) -> None:
        """A value that JSON does not know is refused by every change, and nothing is written."""
        kept = notes.put("a", 1)

        with pytest.raises(InvalidError):
            notes.put("a", value)
        with pytest.raises(InvalidError):
            notes.update("a", lambda _: value)
        with pytest.raises(InvalidError):
            notes.change_all(lambda _: ({"a": 2, "b": value}, None))

        assert list(notes.scan()) == [kept]

    def test_delete_is_no_value(self, notes: Collection) -> None:
        """`DELETE` is understood from a change of one record only."""
        kept = notes.put("a", 1)

        with pytest.raises(InvalidError):
            notes.put("a", DELETE)
        with pytest.raises(InvalidError):
            notes.change_all(lambda _: ({"a": DELETE}, None))

        assert list(notes.scan()) == [kept]

    def test_unknown_members_survive_an_update(self, notes: Collection) -> None:
        """A change that sets one member leaves all others, in their order."""
        notes.put("a", {"z": 1, "known": 1, "b": {"y": 1, "x": [None]}, "a": 2})

        notes.update("a", lambda old: {**(old or {}), "known": 2})

        found = notes.get("a")
        assert found is not None
        assert json.dumps(found.value) == json.dumps(
            {"z": 1, "known": 2, "b": {"y": 1, "x": [None]}, "a": 2}
        )

    def test_a_section_holds_the_same(self, backend: Backend) -> None:
        """A collection in a section of its document holds odd keys and values all the same."""
        others = backend.collection(OTHERS)

        for number, key in enumerate(ODD_KEYS[:12]):
            others.put(key, ODD_VALUES[number][0])

        assert {each.key for each in others.scan()} == set(ODD_KEYS[:12])

    def test_what_the_layout_cannot_hold_is_refused(self, backend: Backend) -> None:
        """A value that has no place in the layout is refused by every engine."""
        items = backend.collection(ITEMS)
        kept = items.put("a", {"id": "a", "x": 1})

        for value in ({"id": "b"}, {"x": 2}, 7, None):
            with pytest.raises(InvalidError):
                items.put("a", value)

        assert list(items.scan()) == [kept]
