"""Plain JSON within JSON5 is read by another way, and must mean the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawstate.errors import CorruptError
from clawstate.json5.parse import MAX_DEPTH, Node, parse_document

PATH = Path("x.json5")
TEXTS = [
    '{"a": [1, -2.5, 1e3, "x", true, null, {"b": {}}], "c": []}',
    '{"a": {"k": [1], "k": [2], "l": 3}, "a": {"k": 4}}',
    '[ {"a" : "\\ud83d\\ude00\\n"} , [[[ ]]] ]',
    "{\"a\": {'b': [1, 2,], c: [3, 4]}, /* c */ d: [[1], [2]]}",
    '{"a": [-0, 0, -0.0, 12345678901234567890123]}',
]


def walked(node: Node, text: str) -> object:
    """Return what *node* says with all spans, and check that spans and values fit each other."""
    assert parse_document(f"({text[node.start : node.end]})"[1:-1], path=PATH).value == node.value
    last = {item.key: item.node.value for item in node.items}
    for index, item in enumerate(node.items):
        if item.key is None:
            assert item.node.value is node.value[index]
        else:
            assert last[item.key] is node.value[item.key]
        assert item.comma is None or text[item.comma] == ","
    return [
        *(node.kind, node.start, node.end),
        [(each.key, each.start, each.key_end, each.comma) for each in node.items],
        [walked(each.node, text) for each in node.items],
    ]


@pytest.mark.parametrize("text", TEXTS)
def test_plain_json_has_the_same_tree(text: str) -> None:
    """Values, spans, commas and double keys are those of the longer way, which a comment forces."""
    long_way = f"{text} /* {'1' * 400} */"  # so many digits are never read as plain

    plain, longer = parse_document(text, path=PATH), parse_document(long_way, path=PATH)

    assert repr(plain.value) == repr(longer.value)
    assert walked(plain, text) == walked(longer, text)


def test_depth_is_bounded_on_both_ways() -> None:
    """The bound on levels holds within plain JSON as well."""
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH

    assert parse_document(deepest, path=PATH).end == len(deepest)
    with pytest.raises(CorruptError, match="too deeply"):
        parse_document(f"[{deepest}]", path=PATH)
