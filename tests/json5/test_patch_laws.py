from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import assume, event, given
from hypothesis import strategies as st
from json5_writer import Writer, insert_text

from clawstate.json5.key_path import KeyPath, get_at, set_at, unset_at
from clawstate.json5.parse import Node, parse_document
from clawstate.json5.patch import set_text, unset_text
from clawstate.json5.plain_value import common_ends, is_same

FILE = Path("/s/openclaw.json")
WORDS = re.compile(
    r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(//[^\n\r\u2028\u2029]*|/\*.*?\*/)""", re.DOTALL
)

KEYS = st.sampled_from(["a", "b", "key", "x y", "0", "12", "é", "🦀", "it's", '"', "a.b", "\\", ""])
NUMBERS = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=6) | st.sampled_from(["//", "'"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    members = draw(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
    elements = draw(st.lists(VALUES, min_size=1, max_size=4))
    value = draw(st.sampled_from([members | {"list": elements}, [*elements, members]]))
    return Writer(draw(st.randoms(use_true_random=True))).document(value)


def containers(node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
    if node.kind in {"object", "array"}:
        yield path, node
    for index, item in enumerate(node.items):
        step = index if item.key is None else item.key
        yield from containers(item.node, (*path, step))


def comments(text: str) -> list[str]:
    return [match[0] for match in WORDS.finditer(text) if match[1] is not None]


def parsed(text: str) -> Node:
    return parse_document(text, path=FILE)


def node_at(root: Node, path: KeyPath) -> Node:
    for step in path:
        item = root.item(step)
        assert item is not None
        root = item.node
    return root


def a_container(
    data: st.DataObject, text: str, *kinds: str, fits: Callable[[Node], object]
) -> tuple[KeyPath, Node]:
    found = [
        (path, node) for path, node in containers(parsed(text)) if node.kind in kinds and fits(node)
    ]
    assume(found)
    return data.draw(st.sampled_from(found), label="container")


def is_any(_: Node) -> bool:
    return True


def is_filled(node: Node) -> bool:
    return bool(node.items)


def around(node: Node, index: int, *, taken: int) -> tuple[int, int]:
    """Return where the item before *index* ends, and where what follows *taken* items begins."""
    before = node.items[index - 1].end if index else node.start + 1
    after = index + taken
    return before, node.items[after].start if after < len(node.items) else node.end - 1


def assert_same_outside(old: tuple[str, Node, int, int], new: tuple[str, Node, int, int]) -> None:
    (old_text, old_node, index, old_taken), (new_text, new_node, _, new_taken) = old, new
    old_start, old_end = around(old_node, index, taken=old_taken)
    new_start, new_end = around(new_node, index, taken=new_taken)
    assert new_text[:new_start] == old_text[:old_start]
    assert new_text[new_end:] == old_text[old_end:]


def closes_its_line(text: str, node: Node) -> bool:
    """Tell whether the closing bracket of *node* begins a line."""
    line = re.split(r"[\n\r\u2028\u2029]", text[: node.end - 1])
    return len(line) > 1 and not line[-1].strip(" \t")


@given(documents(), VALUES, st.data())
def test_set_of_what_is_there(text: str, value: Any, data: st.DataObject) -> None:
    """A new value stands exactly where the old one stood, and all around it is unchanged."""
    path, node = a_container(data, text, "object", "array", fits=is_filled)
    index = data.draw(st.integers(0, len(node.items) - 1))
    step = node.items[index].key
    where = (*path, index if step is None else step)
    old = node.items[index].node
    wanted = copy.deepcopy(parsed(text).value)
    get_at(wanted, path)[index if step is None else step] = value

    new_text = set_text(text, where, value, file=FILE)

    root = parsed(new_text)
    assert is_same(root.value, wanted, ordered=False)
    assert new_text[: old.start] == text[: old.start]
    assert new_text[len(new_text) - len(text) + old.end :] == text[old.end :]


@given(documents(), KEYS, VALUES, st.data())
def test_new_member(text: str, key: str, value: Any, data: st.DataObject) -> None:
    """A new member comes last, no comment is lost, and what stands before and after is the same."""
    path, node = a_container(data, text, "object", fits=lambda node: key not in node.value)
    wanted = copy.deepcopy(parsed(text).value)
    get_at(wanted, path)[key] = value

    new_text = set_text(text, (*path, key), value, file=FILE)

    assert is_same(parsed(new_text).value, wanted)
    assert comments(new_text) == comments(text)
    count = len(node.items)
    new = node_at(parsed(new_text), path)
    assert_same_outside((text, node, count, 0), (new_text, new, count, 1))


@given(documents(), VALUES, st.data())
def test_new_element(text: str, value: Any, data: st.DataObject) -> None:
    """An element goes in before any other, no comment is lost, and all around is the same."""
    path, node = a_container(data, text, "array", fits=is_any)
    index = data.draw(st.integers(0, len(node.items)))
    wanted = copy.deepcopy(parsed(text).value)
    get_at(wanted, path).insert(index, value)
    index, _ = common_ends(node.value, get_at(wanted, path))  # equal ones may stand before it

    new_text = insert_text(text, (*path, index), value, file=FILE)

    assert is_same(parsed(new_text).value, wanted)
    assert comments(new_text) == comments(text)
    new = node_at(parsed(new_text), path)
    assert_same_outside((text, node, index, 0), (new_text, new, index, 1))


@given(documents(), st.data())
def test_unset(text: str, data: st.DataObject) -> None:
    """What is unset goes with the comments that are told, and all around is the same."""
    path, node = a_container(data, text, "object", "array", fits=is_filled)
    index = data.draw(st.integers(0, len(node.items) - 1))
    key = node.items[index].key
    wanted = copy.deepcopy(parsed(text).value)
    del get_at(wanted, path)[index if key is None else key]

    new_text, gone = unset_text(text, (*path, index if key is None else key), file=FILE)

    assert is_same(parsed(new_text).value, wanted)
    assert Counter(comments(new_text)) + Counter(gone) == Counter(comments(text))
    new = node_at(parsed(new_text), path)
    assert_same_outside((text, node, index, 1), (new_text, new, index, 0))


@given(documents(), KEYS, VALUES, st.data())
def test_new_member_and_away(text: str, key: str, value: Any, data: st.DataObject) -> None:
    """To add and to unset a member gives the text before, if the bracket begins its line."""
    path, _ = a_container(
        data,
        text,
        "object",
        fits=lambda node: node.items and key not in node.value and closes_its_line(text, node),
    )

    added = set_text(text, (*path, key), value, file=FILE)

    assert unset_text(added, (*path, key), file=FILE) == (text, ())


@given(documents(), VALUES, st.data())
def test_new_element_and_away(text: str, value: Any, data: st.DataObject) -> None:
    """To insert and to unset an element gives the text before, if the bracket begins its line."""
    path, node = a_container(
        data, text, "array", fits=lambda node: node.items and closes_its_line(text, node)
    )
    index = data.draw(st.integers(0, len(node.items)))
    index, _ = common_ends(node.value, [*node.value[:index], value, *node.value[index:]])
    where = (*path, index)

    added = insert_text(text, where, value, file=FILE)

    assert unset_text(added, where, file=FILE) == (text, ())


@given(documents(), st.data())
def test_series_of_changes(text: str, data: st.DataObject) -> None:
    """However many changes follow each other, the text means what the plain value means."""
    value = parsed(text).value
    for _ in range(data.draw(st.integers(2, 6))):
        path, node = a_container(data, text, "object", "array", fits=is_any)
        new = data.draw(VALUES)
        if node.kind == "array":
            where = (*path, data.draw(st.integers(0, len(node.items))))
            text = insert_text(text, where, new, file=FILE)
            elements = get_at(value, path)
            value = set_at(value, path, [*elements[: where[-1]], new, *elements[where[-1] :]])
        else:
            where = (*path, data.draw(KEYS))
            value, text = set_at(value, where, new), set_text(text, where, new, file=FILE)
        if data.draw(st.booleans()):
            value, text = unset_at(value, where), unset_text(text, where, file=FILE).text

        assert is_same(parsed(text).value, value, ordered=False)


@given(documents(), st.dictionaries(KEYS, VALUES, max_size=4))
def test_whole_document(text: str, value: dict[str, Any]) -> None:
    """Any document becomes any other, and becomes it only once."""
    new_text = set_text(text, (), value, file=FILE)

    assert is_same(parsed(new_text).value, value, ordered=False)
    assert set_text(new_text, (), value, file=FILE) == new_text


@given(documents(), st.data())
def test_relatives(text: str, data: st.DataObject) -> None:
    """A container becomes one that is like it, element by element, with the comments that stay."""
    path, node = a_container(data, text, "array", fits=is_filled)
    kept = data.draw(st.lists(st.sampled_from(node.value), max_size=5))
    wanted = copy.deepcopy(parsed(text).value)

    new_text = set_text(text, path, kept, file=FILE)

    event(f"{len(kept) - len(node.items):+}")
    assert is_same(parsed(new_text).value, set_at(wanted, path, kept), ordered=False)


@given(documents())
def test_equal_value(text: str) -> None:
    """To set what is there changes not one character."""
    assert set_text(text, (), parsed(text).value, file=FILE) == text
