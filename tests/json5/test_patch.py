from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from json5_writer import insert_text

from clawstate.errors import CorruptError, InvalidError, NotFoundError, StateError
from clawstate.json5 import difference, patch
from clawstate.json5.edits import Change, Edit
from clawstate.json5.key_path import parse_key_path
from clawstate.json5.parse import MAX_DEPTH, parse_json5
from clawstate.json5.patch import set_text, unset_text

FILE = Path("/s/openclaw.json")
MARKS = str.maketrans({"␍": "\r", "→": "\t", "⟂": "\ufeff"})


class Golden(NamedTuple):
    law: str
    change: str
    before: str
    after: str
    gone: tuple[str, ...]


def golden() -> list[Golden]:
    text = (Path(__file__).parent / "golden" / "changes.txt").read_text(encoding="utf-8")
    return [read_golden(block) for block in text.split("=== ")[1:]]


def read_golden(block: str) -> Golden:
    head, *parts = block.rstrip("\n").translate(MARKS).split("\n--- ")
    law, change = head.split("\n")
    named = dict(part.split("\n", 1) for part in parts)
    gone = tuple(named.get("gone", "").splitlines())
    return Golden(law, change, named["before"] + "\n", named["after"] + "\n", gone)


def changed(text: str, change: str) -> tuple[str, tuple[str, ...]]:
    verb, path, *value = change.split(" ", 2)
    if verb == "unset":
        return unset_text(text, parse_key_path(path), file=FILE)
    put = {"set": set_text, "insert": insert_text}[verb]
    return put(text, parse_key_path(path), json.loads(value[0]), file=FILE), ()


@pytest.mark.parametrize("case", golden(), ids=lambda case: case.law)
def test_golden(case: Golden) -> None:
    """A change looks as if the writer of the text had made it."""
    assert changed(case.before, case.change) == (case.after, case.gone)


def test_equal_value_is_no_change() -> None:
    """What is there in another spelling or order is left as it is."""
    text = "{ a: 0xFF, b: 'x', /* c */ c: [ +1, { y: 1, x: NaN } ] }"

    assert set_text(text, ("a",), 255, file=FILE) == text
    assert set_text(text, ("c",), [1, {"x": math.nan, "y": 1}], file=FILE) == text


def test_numbers_are_told_apart() -> None:
    """An integer, a float, a boolean and a negative zero are four different values."""
    text = '{"a": 1}'

    assert set_text(text, ("a",), 1.0, file=FILE) == '{"a": 1.0}'
    assert set_text(text, ("a",), True, file=FILE) == '{"a": true}'
    assert set_text('{"a": 0}', ("a",), -0.0, file=FILE) == '{"a": -0.0}'


@pytest.mark.parametrize("text", ["", "\ufeff", " \n\n", "\ufeff\r\n"])
def test_blank_text_becomes_an_object(text: str) -> None:
    """A text without a value is an empty object, and its byte order mark stays."""
    result = set_text(text, ("a",), 1, file=FILE)

    assert parse_json5(result, path=FILE) == {"a": 1}
    assert result.startswith("\ufeff") == text.startswith("\ufeff")
    assert ("\r\n" in result) == ("\r\n" in text)


@pytest.mark.parametrize("key", ["🦀", "a b", "12", "", "it's", '"', "a.b", "\\", "\u2028", "\0"])
@pytest.mark.parametrize("text", ["{}", "{'k': 'v'}", "{k: 1}", '{"k": 1}'])
def test_any_key_comes_and_goes(text: str, key: str) -> None:
    """A key of any characters can be added, changed and unset again."""
    added = set_text(text, (key,), "one", file=FILE)
    other = set_text(added, (key,), "two", file=FILE)

    assert parse_json5(added, path=FILE)[key] == "one"
    assert parse_json5(other, path=FILE)[key] == "two"
    assert unset_text(other, (key,), file=FILE).text == text


def test_digits_are_a_key_in_an_object() -> None:
    """An integer step names the member of its digits, and in an array the element."""
    text = '{"guilds": {"12": 1}, "list": [0, 1]}'

    assert '"12": 2' in set_text(text, ("guilds", 12), 2, file=FILE)
    assert "[0, 2]" in set_text(text, ("list", 1), 2, file=FILE)


@pytest.mark.parametrize(
    "text", ["{a: 1,\n a: 2}", '{"a": 1,\n"\\u0061": 2}', "{\\u0061: 1,\n'a': 2}"]
)
def test_key_that_stands_twice_is_refused(text: str) -> None:
    """Nobody can tell which of two equal keys is meant, so both places are named."""
    for change in (
        lambda: set_text(text, ("a",), 3, file=FILE),
        lambda: set_text(text, (), {"a": 3}, file=FILE),
        lambda: set_text(text, (), {}, file=FILE),
        lambda: unset_text(text, ("a",), file=FILE),
    ):
        with pytest.raises(InvalidError, match=r"line 1, column .* line 2, column"):
            change()


def test_key_that_stands_twice_elsewhere_is_left() -> None:
    """Two equal keys are no hindrance to changes of others."""
    text = "{a: 1, a: 2, b: 3}"

    assert set_text(text, ("b",), 4, file=FILE) == "{a: 1, a: 2, b: 4}"
    assert set_text(text, (), {"a": 2, "b": 4}, file=FILE) == "{a: 1, a: 2, b: 4}"


def test_whole_document() -> None:
    """The empty path sets the whole document, from within where it can."""
    text = "{ a: 1, b: 2 } // end\n"

    assert set_text(text, (), {"b": 3}, file=FILE) == "{ b: 3 } // end\n"
    assert set_text(text, (), [], file=FILE) == "[] // end\n"


def test_negative_index_is_the_last_element() -> None:
    """Minus one is the last element of an array that has one."""
    assert set_text("[1, 2]", (-1,), 3, file=FILE) == "[1, 3]"
    with pytest.raises(InvalidError, match="0 elements"):
        set_text("[]", (-1,), 3, file=FILE)


@pytest.mark.parametrize("path", [("b",), ("a", "x"), ("a", 2), ("a", -3), ("b", "c")])
def test_unset_of_what_is_missing(path: tuple[str | int, ...]) -> None:
    """What is not there cannot be unset."""
    with pytest.raises((NotFoundError, InvalidError)):
        unset_text("{a: [1, 2]}", path, file=FILE)


def test_thousand_members() -> None:
    """In a text of a thousand members one line changes."""
    lines = [f'  "k{index}": {index}, // {index}' for index in range(1000)]
    text = "\n".join(["{", *lines, "}", ""])

    result = set_text(text, ("k500",), "x", file=FILE)

    assert result == text.replace('"k500": 500,', '"k500": "x",')
    assert set_text(text, (), {}, file=FILE) == "{}\n"


def test_deepest_path() -> None:
    """A path may be as long as a document may be deep, and no longer."""
    text = set_text("", ("k",) * MAX_DEPTH, 1, file=FILE)

    assert parse_json5(unset_text(text, ("k",) * MAX_DEPTH, file=FILE).text, path=FILE)
    with pytest.raises(InvalidError, match="deep"):
        set_text(text, ("k",) * MAX_DEPTH, {"k": 1}, file=FILE)
    with pytest.raises(InvalidError, match="deep"):
        set_text("", ("k",) * (MAX_DEPTH + 1), 1, file=FILE)


def test_caller_may_be_deep_in_a_stack() -> None:
    """Where the stack has no room left for a deep value, that is told as for any other value."""
    value: Any = 1
    for _ in range(MAX_DEPTH - 1):
        value = [value]

    def called(depth: int) -> str:
        return called(depth - 1) if depth else set_text("{}", ("a",), value, file=FILE)

    assert called(0).count("[") == MAX_DEPTH - 1
    with pytest.raises(InvalidError, match="deep"):
        called(sys.getrecursionlimit() // 2 + 50)


def endless() -> list[Any]:
    value: list[Any] = []
    value += [value, value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        -math.inf,
        "\ud800",
        {"\udc00": 1},
        {1: 2},
        {"a": {1, 2}},
        (1, 2),
        b"x",
        10**5000,
        10**4300,
        endless(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_value_that_json_cannot_hold(value: Any) -> None:
    """What JSON cannot hold is refused before anything is changed."""
    with pytest.raises(InvalidError, match="config value"):
        set_text("{}", ("a",), value, file=FILE)


def test_errors_tell_no_value() -> None:
    """No error tells what stands in the text, or what should."""
    secret = "hunter2"
    text = f'{{"token": "{secret}", "a": 1, "a": 2}}'
    failures: list[StateError] = []

    for path, value in [
        (("token", "x"), secret),
        (("a",), secret),
        (("b",), {"x": {secret}}),
        (("b",), f"{secret}\ud800"),
        (("token", 0), secret),
    ]:
        with pytest.raises(StateError) as caught:
            set_text(text, path, value, file=FILE)
        failures.append(caught.value)
    with pytest.raises(CorruptError) as corrupt:
        set_text(text + secret, ("b",), secret, file=FILE)

    assert not [each for each in [*failures, corrupt.value] if secret in f"{each!r}{each}"]


@pytest.mark.parametrize("text", ["{", "/* no end", "{a: 1} {", "nope"])
def test_text_that_is_no_json5(text: str) -> None:
    """A text that cannot be read cannot be changed."""
    with pytest.raises(CorruptError):
        set_text(text, ("a",), 1, file=FILE)


TEXT = "{\n  a: 'x', // one\n  b: [1, 2], // two\n}\n"


def shifted(change: Change) -> Change:
    return Change(tuple(Edit(e.start + 3, e.end + 3, e.text) for e in change.edits), change.removed)


def greedy(change: Change) -> Change:
    return Change(tuple(Edit(e.start, e.end + 9, e.text) for e in change.edits), change.removed)


def silent(change: Change) -> Change:
    return Change((), change.removed)


@pytest.mark.parametrize("bug", [shifted, greedy, silent])
@pytest.mark.parametrize("change", ["set a 2", "set b [1]", "set c 3", "unset a", "insert b[0] 0"])
def test_planted_bug_is_caught(bug: Any, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that would do something else than it should is dropped."""
    for name in ("diff_node", "insert_items", "remove_item"):
        real = getattr(patch, name)
        monkeypatch.setattr(patch, name, lambda *a, real=real, **k: bug(real(*a, **k)))

    with pytest.raises(StateError, match="was not changed") as caught:
        changed(TEXT, change)

    assert caught.value.code == "internal"


def test_comment_that_would_be_lost_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that means the right thing, but loses a comment, is dropped too."""
    whole = Change((Edit(0, len(TEXT), "{a: 'x', b: [1, 2], c: 3}"),))
    monkeypatch.setattr(patch, "insert_items", lambda *_, **__: whole)

    with pytest.raises(StateError, match="lose a comment"):
        set_text(TEXT, ("c",), 3, file=FILE)


@pytest.mark.parametrize("wrong", ["1.0", "true", "'1'", "-1", "[1]"])
def test_wrong_spelling_is_caught(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that would be read as another, or as another type, is dropped."""
    monkeypatch.setattr(difference, "render_value", lambda *_, **__: wrong)

    with pytest.raises(StateError, match="not mean"):
        set_text(TEXT, ("a",), 1, file=FILE)


def test_many_comments() -> None:
    """A change finds its place also before tens of thousands of comments."""
    text = "{ a: 1 /*" + "*/ /*" * 50_000 + "*/ }"

    assert set_text(text, ("a",), 2, file=FILE) == text.replace("a: 1", "a: 2")
