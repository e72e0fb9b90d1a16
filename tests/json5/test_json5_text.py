from __future__ import annotations

import json
import pickle
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clawstate.errors import CorruptError
from clawstate.files.json_text import dump_compact, dump_pretty, parse_json
from clawstate.json5.parse import (
    MAX_DEPTH,
    Item,
    Node,
    Place,
    parse_document,
    parse_json5,
    place_of,
)

PATH = Path("/s/openclaw.json")
# Answers of the npm package json5 2.2.3 to inputs of ours. Where our place differs, it stands
# beside the package's, with the reason; {"number": ...} is a number that JSON cannot write.
CASES = json.loads((Path(__file__).parent / "json5_cases.json").read_text())
VALID = [case for case in CASES if "value" in case]
INVALID = [case for case in CASES if "error" in case]

TEXT = st.text(st.characters(), max_size=12)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)
BLANKS = st.sampled_from(
    ["", "", "", " ", "\n", "\r\n\t", "\ufeff", "\u2029", "/* ,]} */", "// {\"'\n", "/**/\u00a0"]
)
SOUP = st.text(
    st.sampled_from("{}[]\"',:/*\\ux019aeE+-.NIt \n\r\u2028\ufeff€😀\ud800"), max_size=40
)

by_text = {"ids": lambda case: ascii(case["text"])[:40]}


def numbers_as_javascript(value: object) -> object:
    """Return *value* with numbers as text, so that NaN is equal to itself and 0 not to -0."""
    if isinstance(value, dict):
        return {key: numbers_as_javascript(item) for key, item in value.items()}
    if isinstance(value, list):
        return [numbers_as_javascript(item) for item in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return repr(float(value))


def decoded(value: object) -> object:
    if isinstance(value, dict) and set(value) == {"number"}:
        return float(value["number"])
    if isinstance(value, dict):
        return {key: decoded(item) for key, item in value.items()}
    return [decoded(item) for item in value] if isinstance(value, list) else value


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for item in node.items:
        yield from nodes(item.node)


def joined(value: object) -> object:
    """Return *value* with divided pairs of surrogates made one, as JSON text does."""
    return json.loads(json.dumps(value))


class FreeHand:
    """Writes a value as people do: blanks, comments and quotes as *draw* has it."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw

    def written(self, value: object) -> str:
        if isinstance(value, str):
            text = self.quoted(value)
        elif isinstance(value, list):
            text = f"[{self.enclosed([self.written(item) for item in value])}]"
        elif isinstance(value, dict):
            members = [f"{self.key(name)}:{self.written(item)}" for name, item in value.items()]
            text = f"{{{self.enclosed(members)}}}"
        else:
            text = json.dumps(value)
        return self.blank() + text + self.blank()

    def enclosed(self, items: list[str]) -> str:
        if items and self.draw(st.booleans()):
            items.append(self.blank())
        return ",".join(items) or self.blank()

    def key(self, text: str) -> str:
        bare = re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$]*", text) and self.draw(st.booleans())
        return self.blank() + (text if bare else self.quoted(text)) + self.blank()

    def quoted(self, text: str) -> str:
        plain = json.dumps(text)
        if self.draw(st.booleans()):
            return plain
        body = plain[1:-1].replace('\\"', '"').replace("'", "\\'")
        return f"'{body}'"

    def blank(self) -> str:
        return self.draw(BLANKS)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, object]:
    """Return a text with blanks, comments and free quotes anywhere, and its value."""
    value = joined(draw(VALUES))
    return FreeHand(draw).written(value), value


@pytest.mark.parametrize("case", VALID, **by_text)
def test_valid_text_means_what_it_means_to_the_npm_package(case) -> None:
    """What npm json5 reads is read, with the same value."""
    found = parse_json5(case["text"], path=PATH)

    assert numbers_as_javascript(found) == numbers_as_javascript(decoded(case["value"]))


@pytest.mark.parametrize("case", INVALID, **by_text)
def test_invalid_text_is_refused_where_the_npm_package_refuses_it(case) -> None:
    """What npm json5 refuses is refused, at the same place or one that is named for a reason."""
    line, column = case.get("place", case["error"])

    with pytest.raises(CorruptError) as caught:
        parse_json5(case["text"], path=PATH)

    assert caught.value.problem.startswith(f"is not JSON5 (line {line}, column {column}): expected")


@pytest.mark.parametrize("case", CASES, **by_text)
def test_bytes_are_read_like_their_text(case) -> None:
    """UTF-8 bytes give what their text gives: the same value, or the same error."""

    def outcome(text: str | bytes) -> object:
        try:
            return numbers_as_javascript(parse_json5(text, path=PATH))
        except CorruptError as error:
            return str(error)

    assert outcome(case["text"].encode()) == outcome(case["text"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not JSON5 (line 1, column 1): expected a value"),
        ("{k: sk-secret}", "is not JSON5 (line 1, column 5): expected a value"),
        (
            "{k: 'sk-secret\n}",
            "is not JSON5 (line 1, column 5): expected this string to end on its line",
        ),
        (
            "{\n k: 1\n /* sk-secret",
            "is not JSON5 (line 3, column 2): expected this comment to end",
        ),
        ("{k: 'a' sk-secret: 1}", "is not JSON5 (line 1, column 9): expected ',' or '}'"),
        ("['sk' 'secret']", "is not JSON5 (line 1, column 7): expected ',' or ']'"),
        ("{sk-secret: 1}", "is not JSON5 (line 1, column 4): expected ':'"),
        ("{'a': 1, 0sk: 1}", "is not JSON5 (line 1, column 10): expected a key or '}'"),
        ("'sk\\xsecret'", "is not JSON5 (line 1, column 6): expected an escape"),
        ("{sk\\uxsecret: 1}", "is not JSON5 (line 1, column 6): expected a Unicode escape"),
        ("[trusecret]", "is not JSON5 (line 1, column 5): expected 'true'"),
        ("[-secret]", "is not JSON5 (line 1, column 3): expected a digit"),
        ("{} sk-secret", "is not JSON5 (line 1, column 4): expected the end of the text"),
        ("1 / secret", "is not JSON5 (line 1, column 4): expected '/' or '*'"),
        (b"{\r\nk: '\xff'}", "is not UTF-8 (line 2, column 5)"),
        (b"'\xed\xa0\x80'", "is not UTF-8 (line 1, column 2)"),
        ("\ufeff\rx", "is not JSON5 (line 2, column 1): expected a value"),
        ("[" * 501, "is nested too deeply (line 1, column 501): expected at most 500 levels"),
        (
            f"[\n'{'1' * 6000}', {'9' * 4301}]",
            "holds a number with too many digits (line 2, column 6005): expected at most 4300",
        ),
        (
            f"-0x{'F' * 4000}",
            "holds a number with too many digits (line 1, column 1): expected at most 4300",
        ),
    ],
    ids=range(20),
)  # fmt: skip
def test_damage_is_named_with_its_place(text: str | bytes, problem: str) -> None:
    """A damaged file is refused with path, line, column and what is missing, not its content."""
    with pytest.raises(CorruptError) as caught:
        parse_json5(text, path=PATH)

    assert str(caught.value) == f"{PATH}: {problem}; run 'clawstate doctor'"
    assert caught.value.__context__ is None
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@given(VALUES)
def test_strict_json_is_json5(value) -> None:
    """Whatever is written as JSON is read as JSON5, with the same value and the same types."""
    for text in (dump_pretty(value), dump_compact(value).encode()):
        assert repr(parse_json5(text, path=PATH)) == repr(parse_json(text, path=PATH))


@given(documents())
def test_blanks_and_quotes_do_not_change_the_value(document) -> None:
    """Comments, white space, quotes, bare keys and trailing commas mean nothing."""
    text, value = document

    assert parse_json5(text, path=PATH) == value


@given(documents())
@example(("{a:1,'\\x61':[0xF,],}", None))
@example(("\ufeff'\\\n'", None))
def test_every_span_reads_back_as_its_node(document) -> None:
    """The text of a node has the node's value and kind; that of a key is the key."""
    text, _ = document
    root = parse_document(text, path=PATH)

    for node in nodes(root):
        again = parse_document(text[node.start : node.end], path=PATH)
        assert (again.kind, again.start, again.end) == (node.kind, 0, node.end - node.start)
        assert repr(again.value) == repr(node.value)
        for item in node.items:
            key = text[item.start : item.key_end]
            assert parse_json5(f"{{{key}:0}}" if key else "{}", path=PATH) == (
                {} if item.key is None else {item.key: 0}
            )


@given(documents())
def test_spans_leave_only_blanks_and_marks(document) -> None:
    """Items lie in order inside of their container, and a comma stands where it is said to."""
    text, _ = document

    for node in nodes(parse_document(text, path=PATH)):
        position = node.start + 1
        for item in node.items:
            assert position <= item.start <= item.key_end <= item.node.start < item.end < node.end
            assert item.comma is None or text[item.comma] == ","
            position = item.end if item.comma is None else item.comma + 1
        assert all(item.comma is not None for item in node.items[:-1])


def test_tree_holds_what_a_patch_needs() -> None:
    """Keys, values and commas are known by their offsets, and containers share their values."""
    text = "{ a: [1, /* c */ 'x'] , \"b\" : {} }"

    root = parse_document(text, path=PATH)

    first, second = root.items
    assert [text[each.start : each.key_end] for each in root.items] == ["a", '"b"']
    assert text[first.node.start : first.end] == "[1, /* c */ 'x']"
    assert [first.comma, second.comma] == [text.index(" , ") + 1, None]
    assert [each.node.kind for each in first.node.items] == ["number", "string"]
    assert root.value["a"] is first.node.value
    assert (root.kind, root.start, root.end) == ("object", 0, len(text))


def test_items_are_found_by_step() -> None:
    """A key is for objects and an index for arrays, and neither is guessed for the other."""
    root = parse_document("{a: [10, 20], '0': 1}", path=PATH)
    array = root.item("a").node

    assert [array.item(0).node.value, array.item(-1).node.value] == [10, 20]
    assert [array.item(2), array.item(-3), array.item("0")] == [None, None, None]
    assert [root.item("b"), root.item(0), array.items[0].node.item(0)] == [None, None, None]


def test_equal_keys_are_reported_and_the_last_one_counts() -> None:
    """Keys that are equal after their escapes are doubled; each keeps its own place."""
    text = "{a: 1, b: 2, '\\x61': 3, c: 4, \\u0061: 5, c: 6}"

    root = parse_document(text, path=PATH)

    assert root.duplicates() == ("a", "c")
    assert root.value == {"a": 5, "b": 2, "c": 6}
    assert list(root.value) == ["a", "b", "c"]
    assert root.item("a").node.value == 5
    starts = [place_of(text, each.start).column for each in root.items if each.key == "a"]
    assert starts == [2, 14, 31]
    assert parse_document("[[1], {a: 1, b: 1}]", path=PATH).duplicates() == ()


def test_nodes_do_not_show_their_values() -> None:
    """Neither a node nor an item can bring a secret into a log."""
    root = parse_document("{token: 'sk-secret'}", path=PATH)

    assert "secret" not in repr(root) + repr(root.items)
    assert isinstance(root.items[0], Item)


def test_integers_keep_every_digit() -> None:
    """An integer is neither rounded nor made a float, in decimal as in hexadecimal digits."""
    large = 10**4300 - 1
    text = f"[{large}, -{large}, {large:#x}, 9007199254740993, +0xFFFFFFFFFFFFFFFFFF]"

    assert parse_json5(text, path=PATH) == [large, -large, large, 2**53 + 1, 2**72 - 1]


def test_limit_of_digits_is_never_above_that_of_python() -> None:
    """Where Python was told to convert fewer digits, the refusal is still one with a place."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(700)
    try:
        with pytest.raises(CorruptError, match=r"line 1, column 2\): expected at most 700"):
            parse_json5(f"[{'7' * 701}]", path=PATH)
        assert parse_json5("7" * 700, path=PATH) % 10 == 7
    finally:
        sys.set_int_max_str_digits(before)


def test_numbers_with_a_point_or_exponent_are_floats() -> None:
    """The type of a number follows its writing, so that a change of it can be seen."""
    found = parse_json5("[1, 1.0, 1., 1e3, 0x10, -0]", path=PATH)

    assert [type(each) for each in found] == [int, float, float, float, int, float]


def test_depth_is_limited_not_by_the_stack() -> None:
    """Exactly `MAX_DEPTH` levels are read, in arrays and objects alike."""
    halves = MAX_DEPTH // 2
    value = parse_json5("[{a:" * halves + "1" + "}]" * halves, path=PATH)

    for _ in range(halves):
        value = value[0]["a"]

    assert value == 1


@given(st.binary(max_size=60) | SOUP | st.text(max_size=20))
def test_any_input_is_json5_or_corrupt(text: str | bytes) -> None:
    """No input raises anything but CorruptError."""
    with suppress(CorruptError):
        parse_json5(text, path=PATH)


@given(documents(), st.data())
def test_truncated_object_is_never_read(document, data) -> None:
    """A file that lost the end of its object is corrupt, wherever it was cut."""
    text, _ = document
    whole = f"{{k: {text}}}"
    cut = data.draw(st.integers(0, len(whole) - 1))

    with pytest.raises(CorruptError):
        parse_json5(whole[:cut], path=PATH)


@pytest.mark.parametrize(
    ("text", "position", "place"),
    [
        ("a", 0, Place(1, 1)),
        ("a\nb", 2, Place(2, 1)),
        ("a\r\nb", 3, Place(2, 1)),
        ("a\rb", 2, Place(2, 1)),
        ("a\u2028b", 2, Place(1, 3)),
        ("\ufeffab", 2, Place(1, 2)),
        ("\ufeff\nb", 2, Place(2, 1)),
        ("😀b", 1, Place(1, 2)),
        ("", 0, Place(1, 1)),
    ],
    ids=range(9),
)
def test_places_are_those_of_an_editor(text: str, position: int, place: Place) -> None:
    """Lines end at LF, CRLF or CR, columns are code points, and a byte order mark takes none."""
    assert place_of(text, position) == place


@pytest.mark.parametrize(
    "unit",
    [
        "/*", "//", "/**/", "/* * ", "//\n", "*", "/", " ", "\ufeff", "[", "{", "[[],", "{a:", "]",
        "}", "{a:0,", "'\\x41", "\\", "\\\\", "\\'", "\\u0061", "'", '"', "a", "é", "a\\u0061", "-",
        "+", ".", ",", ":", "0", "1", "0x", "1e", "9.", "[1,", "{a:1},", "true", "null", "\\\n",
        "\x00",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "start", ["", "'", '"\\u0061', "/*", "{", "[", "{a:", "1.", "0x1", "1e1", "{'"]
)
def test_hostile_text_is_answered(start: str, unit: str) -> None:
    """A megabyte of anything is read or refused, without recursion and without end."""
    text = start + unit * (2**20 // len(unit))

    with suppress(CorruptError):
        parse_json5(text, path=PATH)
