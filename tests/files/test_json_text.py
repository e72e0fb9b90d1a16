from __future__ import annotations

import json
import math
import pickle
import shutil
import subprocess
import sys
from collections import UserList
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clawstate.errors import CorruptError, InvalidError
from clawstate.files.json_text import dump_compact, dump_pretty, is_same_json, parse_json

PATH = Path("/s/auth-profiles.json")
SAFE = 2**53 - 1
TEXT = st.text(st.characters(), max_size=12)
KEYS = TEXT | st.integers(-3, 2**33).map(str) | st.sampled_from(["__proto__", "4294967295", "01"])
NUMBERS = st.integers(-SAFE, SAFE) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
NODE = shutil.which("node")
PEER = """
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const value = JSON.parse(line);
  console.log(JSON.stringify([JSON.stringify(value, null, 2), JSON.stringify(value)]));
});
"""


@pytest.fixture(scope="module")
def node():
    with subprocess.Popen(
        [NODE, "-e", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.stdin.close()


@pytest.mark.skipif(NODE is None, reason="node is not on PATH")
@settings(max_examples=400, deadline=None)
@given(value=VALUES)
@example(value=[1e21, 1e-7, 123456789012345680000.0, -0.0, 5e-324, 1e-6, 0.1, 1e300])
@example(value={"b": 1, "10": 2, "9": 3, "4294967294": 4, "4294967295": 5, "": 6})
@example(value=["\ud800", "\udc00\ud800", "\ud83d\ude00", "\u2028\x7f\0\b"])
def test_text_is_that_of_javascript(node, value) -> None:
    """Both texts are those of JSON.stringify, byte for byte."""
    node.stdin.write(json.dumps(value) + "\n")
    node.stdin.flush()
    pretty, compact = json.loads(node.stdout.readline())

    assert dump_pretty(value) == str(pretty)
    assert dump_compact(value) == str(compact)


@given(VALUES)
def test_written_text_reads_back_equal(value) -> None:
    """Whatever is written is read as it was; a divided pair of surrogates is joined.

    Numbers are compared as JavaScript knows them: it writes large whole floats like integers.
    """
    joined = json.loads(json.dumps(value), parse_int=float)

    for text in (dump_pretty(value), dump_compact(value).encode()):
        found = parse_json(text, path=PATH)
        assert json.loads(json.dumps(found), parse_int=float) == joined


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_their_value(number: float) -> None:
    """Reading a written float gives the same number."""
    assert float(parse_json(dump_compact(number), path=PATH)) == number


def test_layout_is_two_spaces() -> None:
    """Objects and lists are indented by two, empty ones stay on one line."""
    assert dump_pretty({"a": [1, {}], "b": []}) == (
        '{\n  "a": [\n    1,\n    {}\n  ],\n  "b": []\n}'
    )


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_becomes_null(number: float) -> None:
    """NaN and the infinities are written as null."""
    assert dump_compact([number]) == "[null]"


def test_large_integers_keep_every_digit() -> None:
    """An integer beyond the range of a float is neither rounded nor refused."""
    number = 10**400 + 1

    assert parse_json(dump_compact(number), path=PATH) == number


def test_frozen_values_are_written_like_their_models() -> None:
    """Read-only mappings and tuples are objects and lists."""
    assert dump_compact(MappingProxyType({"a": (1, True)})) == '{"a":[1,true]}'


@pytest.mark.parametrize(
    "value",
    [{1: 2}, {"a": {1, 2}}, b"secret", object(), UserList([1]), 10**5000],
    ids=["key", "set", "bytes", "object", "user list", "huge integer"],
)
def test_foreign_values_are_refused(value) -> None:
    """What JSON does not know is refused, and never shown."""
    with pytest.raises(InvalidError) as caught:
        dump_pretty(value)

    assert "secret" not in str(caught.value)


def test_value_that_contains_itself_is_refused() -> None:
    """An endless value ends in an error."""
    endless: list[object] = []
    endless.append(endless)

    with pytest.raises(InvalidError, match="contains itself"):
        dump_pretty(endless)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty (line 1, column 1)"),
        (" \n", "is empty (line 1, column 1)"),
        ("\ufeff{}", "starts with a byte order mark (line 1, column 1)"),
        (b"\xef\xbb\xbf{}", "starts with a byte order mark (line 1, column 1)"),
        ('{"k": "sk-secret"', "is not JSON (line 1, column 18)"),
        ('{"a": 1}{"b": 2}', "is not JSON (line 1, column 9)"),
        ('{\n "a": 1\n "b"', "is not JSON (line 3, column 2)"),
        ("{'a': 1}", "is not JSON (line 1, column 2)"),
        ('["NaN", "\\"NaN",\n NaN]', "holds a constant that is not JSON (line 2, column 2)"),
        ("[1, -Infinity]", "holds a constant that is not JSON (line 1, column 5)"),
        (b'{\n"k": "\xff"}', "is not UTF-8 (line 2, column 7)"),
        (b'"\xed\xa0\x80"', "is not UTF-8 (line 1, column 2)"),
        ("[" * 200_000, "is nested too deeply (line 1, column 1)"),
        (
            f'["{"1" * 6000}", {"9" * 6000}]',
            "holds a number with too many digits (line 1, column 6006)",
        ),
    ],
    ids=range(14),
)
def test_damage_is_named_with_its_place(text: str | bytes, problem: str) -> None:
    """A damaged file is refused with path, line and column, and without its content."""
    with pytest.raises(CorruptError) as caught:
        parse_json(text, path=PATH)

    assert str(caught.value) == f"{PATH}: {problem}; run 'clawstate doctor'"
    assert caught.value.__context__ is None
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@given(st.binary(max_size=60) | st.text(st.sampled_from('{}[]",:\\u0019eE+-.NaN \n')))
def test_any_input_is_json_or_corrupt(text: str | bytes) -> None:
    """No input raises anything but CorruptError."""
    with suppress(CorruptError):
        parse_json(text, path=PATH)


@given(VALUES, st.data())
def test_truncated_object_is_never_read(value, data) -> None:
    """A file that lost its end is corrupt, wherever it was cut."""
    text = dump_pretty({"k": value})
    cut = data.draw(st.integers(0, len(text) - 1))

    with pytest.raises(CorruptError):
        parse_json(text[:cut], path=PATH)


def test_last_of_equal_keys_wins() -> None:
    """Doubled keys are read as JavaScript reads them."""
    assert parse_json('{"a": 1, "b": 2, "a": 3}', path=PATH) == {"a": 3, "b": 2}


def test_what_is_read_can_be_written() -> None:
    """Nesting that the reader accepts is no obstacle to the writer."""
    depth = sys.getrecursionlimit() // 2
    text = "[" * depth + "]" * depth

    assert dump_compact(parse_json(text, path=PATH)) == text


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({"a": 1, "b": [True, None]}, {"b": [True, None], "a": 1.0}, True),
        (1, True, False),
        (0.0, False, False),
        ({"a": [{"b": True}]}, {"a": [{"b": 1}]}, False),
        ([1, True], [True, 1], False),
        ("1", 1, False),
        (None, False, False),
        ([1], [1, 1], False),
    ],
)
def test_values_are_the_same_if_json_says_the_same(one, other, is_same) -> None:
    """The order of members and the form of a number say nothing; `true` is no number."""
    assert is_same_json(one, other) == is_same_json(other, one) == is_same
