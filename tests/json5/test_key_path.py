from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clawstate.errors import InvalidError, NotFoundError
from clawstate.json5.key_path import (
    KeyPath,
    format_key_path,
    get_at,
    parse_key_path,
    set_at,
    unset_at,
)

FORBIDDEN = {"__proto__", "prototype", "constructor"}
KEYS = st.text(max_size=5).filter(lambda key: key not in FORBIDDEN)
STEPS = KEYS | st.integers(-(10**18), 10**18)
PATHS = st.lists(STEPS, min_size=1, max_size=5).map(tuple)
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a.b[0].c", ("a", "b", 0, "c")),
        ("agents.list.0", ("agents", "list", 0)),
        ("a[-1]", ("a", -1)),
        ("a.-1", ("a", "-1")),
        ("[0][1]", (0, 1)),
        ('a["x.y"]', ("a", "x.y")),
        ("a['x]y'].b", ("a", "x]y", "b")),
        ("a['it\\'s']", ("a", "it's")),
        ('a["0"]', ("a", "0")),
        ("a[x]", ("a", "x")),
        ("a[ 0 ]", ("a", 0)),
        (r"a\.b", ("a.b",)),
        (r"a\[0\]", ("a[0]",)),
        (r"a\\b", ("a\\b",)),
        (r"a\0", ("a0",)),
        (r"\0", ("0",)),
        (r"a\\nb", ("a\\nb",)),
        (r'a["g\nh"]', ("a", "g\nh")),
        (r'a["\u00e9\x41\ud83e\udd80"]', ("a", "éA🦀")),
        ("a[gpt-4.1]", ("a", "gpt-4.1")),
        ("a[0] .b", ("a", 0, "b")),
        (r"a\]", ("a]",)),
        (r"a.\"b", ("a", '"b')),
        ("a.it's", ("a", "it's")),
        (" a . b ", ("a", "b")),
        ("a\\ ", ("a ",)),
        ("007", ("007",)),
        ("1" * 19, (int("1" * 19),)),
        ("1" * 20, ("1" * 20,)),
        ("²", ("²",)),
        ("🦀.é", ("🦀", "é")),
        ('[""]', ("",)),
    ],
)
def test_path_is_read(text: str, path: KeyPath) -> None:
    """Dots, brackets, quotes and backslashes part the steps as the grammar says."""
    assert parse_key_path(text) == path


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        (" ", "empty"),
        ("..", r"before the '\.' \(column 1\)"),
        ("a[]", r"'\[\]' is empty \(column 2\)"),
        ("a[ ]", r"'\[\]' is empty \(column 2\)"),
        ("a.b[0", r"no end \(column 4\)"),
        ('a["x]', r"no end \(column 2\)"),
        ('a["x"', r"no end \(column 2\)"),
        ("a['x\"]", r"no end \(column 2\)"),
        ('a["x"y]', r"no end \(column 2\)"),
        ("a.b\\", r"backslash .* \(column 4\)"),
        ("gateway..port", r"behind the '\.' \(column 9\)"),
        (".gateway.port.", r"before the '\.' \(column 1\)"),
        ("gateway.port.", r"behind the '\.' \(column 14\)"),
        ("a. .b", r"behind the '\.' \(column 4\)"),
        ("a.[0]", r"behind the '\.' \(column 3\)"),
        (" .a", r"before the '\.' \(column 2\)"),
        ("a[0]b", r"can follow a '\]' \(column 5\)"),
        ("a[[0]]", r"no end \(column 2\)"),
        (r'a["\x4"]', r"an escape \(column 7\)"),
    ],
)
def test_broken_path_is_refused(text: str, problem: str) -> None:
    """An error tells the column and shows how a path is written."""
    with pytest.raises(InvalidError, match=problem) as caught:
        parse_key_path(text)

    assert "agents.list[0].model" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("a[1x]", r"no index \(column 3\)", '["1x"]'),
        ("a[01]", r"no index \(column 3\)", '["01"]'),
        ("a[-0]", r"no index \(column 3\)", '["-0"]'),
        ("a[x y]", r"no index \(column 3\)", '["x y"]'),
        ("a]", r"no beginning \(column 2\)", r"\]"),
        ("a[0]]", r"no beginning \(column 5\)", r"\]"),
        (r"a\nb", r"only in quotes \(column 2\)", r'["a\nb"]'),
        (r'a["g\ch"]', r"means nothing \(column 5\)", "backslash"),
        (r'a["\ud83e"]', r"half a character \(column 3\)", "both halves"),
        ("a\ud83e", r"half a character \(column 2\)", "in quotes"),
        ('channels."x.y"', r"in brackets \(column 10\)", 'mine["x.y"]'),
        ("a. 'b c'.d", r"in brackets \(column 4\)", r"\ before a quote"),
        ('"gateway".port', r"in brackets \(column 1\)", 'mine["x.y"]'),
        ("a\nb", r"control character \(column 2\)", "in quotes"),
    ],
)
def test_broken_step_is_refused_with_the_right_form(text: str, problem: str, hint: str) -> None:
    """A step that might mean another one is refused, with the form that means it."""
    with pytest.raises(InvalidError, match=problem) as caught:
        parse_key_path(text)

    assert hint in caught.value.hint


@pytest.mark.parametrize("key", sorted(FORBIDDEN))
@pytest.mark.parametrize("form", ["{}", "a.{}.b", "a[{}]", 'a["{}"]', "a[ '{}' ]", "\\{}", " {} "])
def test_names_that_mislead_javascript_are_refused(form: str, key: str) -> None:
    """No spelling of the three names gets through."""
    with pytest.raises(InvalidError, match="may not hold"):
        parse_key_path(form.format(key))
    with pytest.raises(InvalidError, match="may not hold"):
        set_at({}, ("a", key), 1)


@given(PATHS)
@example(("a", 0, "0", "", -1, "a b", "a.b", '"', "'", "\\", "[", "]", " ", "\n", "-1", "é"))
def test_path_is_written_as_it_is_read(path: KeyPath) -> None:
    """What was written is read as the same steps."""
    assert parse_key_path(format_key_path(path)) == path


def test_path_is_written_plainly() -> None:
    """Quotes appear only where they must."""
    path = ("agents", "list", 0, "a-b", "x.y", "12")

    assert format_key_path(path) == 'agents.list[0].a-b["x.y"]["12"]'


def test_value_is_found() -> None:
    """A path leads through objects and arrays to any value, also to one that is false."""
    value = {"a": [{"b": None}, 0], "12": {"7": "x"}}

    assert get_at(value, ()) is value
    assert get_at(value, ("a", 0, "b")) is None
    assert get_at(value, ("a", -1)) == 0
    assert get_at(value, (12, 7)) == "x"


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        (("agent",), "the document has no agent; did you mean agents?"),
        (("agents", "lisst", 0), "agents has no lisst; did you mean list?"),
        (("agents", "list", 5), "agents.list has 1 element"),
        (("agents", "list", -2), "agents.list has 1 element"),
        (("agents", "list", "0"), "agents.list is an array"),
        (("agents", "list", 0, "x"), "agents.list[0] is a string"),
        (("zzz",), "the document has no zzz"),
    ],
)
def test_missing_value(path: KeyPath, hint: str) -> None:
    """The first step that leads nowhere is told, with the names that are near."""
    with pytest.raises(NotFoundError) as caught:
        get_at({"agents": {"list": ["x"]}}, path)

    assert caught.value.hint == hint
    assert caught.value.key == format_key_path(path)


def test_missing_parents_are_made() -> None:
    """An integer makes an array, and a key an object."""
    assert set_at({}, ("a", 0, "b", "0"), 1) == {"a": [{"b": {"0": 1}}]}


def test_index_can_append_but_not_skip() -> None:
    """The length of an array is an index to write at; beyond it there is none."""
    assert set_at([1], (1,), 2) == [1, 2]
    with pytest.raises(InvalidError, match=r'write \["5"\] if a key is meant, or \[1\]'):
        set_at([1], (5,), 2)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("text", "a is a string, not an object"),
        (None, "a is null, not an object"),
        (1.5, "a is a number, not an object"),
        (True, "a is a boolean, not an object"),
        ([1], "a is an array, not an object"),
    ],
)
def test_no_path_leads_through_a_scalar(value: Any, problem: str) -> None:
    """What a path cannot pass is neither replaced nor guessed at."""
    for change in (
        lambda: set_at({"a": value}, ("a", "b"), 1),
        lambda: unset_at({"a": value}, ("a", "b")),
    ):
        with pytest.raises(InvalidError, match=problem):
            change()


def test_array_closes_the_gap() -> None:
    """The elements behind one that is unset move up."""
    assert unset_at({"a": [1, 2, 3]}, ("a", 1)) == {"a": [1, 3]}
    assert unset_at([1, 2], (-1,)) == [1]


@pytest.mark.parametrize("path", [("x",), ("x", "y"), ("a", 3), ("a", -4), ("a", 3, "b")])
def test_unset_of_what_is_missing(path: KeyPath) -> None:
    """What is not there cannot be unset."""
    with pytest.raises(NotFoundError):
        unset_at({"a": [1, 2, 3]}, path)


def test_whole_document() -> None:
    """The empty path names the document, which can be set but not unset."""
    assert set_at({"a": 1}, (), 2) == 2
    with pytest.raises(InvalidError, match="whole document"):
        unset_at({"a": 1}, ())


def paths_of(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    steps = (
        list(value)
        if isinstance(value, dict)
        else range(len(value))
        if isinstance(value, list)
        else []
    )
    return [path, *(found for step in steps for found in paths_of(value[step], (*path, step)))]


@given(VALUES, SCALARS, st.data())
def test_nothing_changes_in_place(value: Any, new: Any, data: st.DataObject) -> None:
    """A change gives a new tree, in which it can be read, and leaves the old one alone."""
    path = data.draw(st.sampled_from(paths_of(value)))
    before = copy.deepcopy(value)

    changed = set_at(value, path, new)

    assert get_at(changed, path) == new
    assert value == before
    if path:
        assert (
            set_at(unset_at(value, path[:-1] + path[-1:]), path[:-1], get_at(value, path[:-1]))
            == value
        )
        assert value == before
