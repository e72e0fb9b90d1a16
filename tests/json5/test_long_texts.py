"""How much of a long text is looked at, counted in characters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

import pytest

from clawstate.json5.parse import parse_document
from clawstate.json5.patch import set_text

FILE = Path("/s/openclaw.json")
ITEMS = 5_000


class CountedText(str):
    """A text that counts how many of its characters were searched, also by Python's JSON."""

    __slots__ = ("searched",)

    def __new__(cls, text: str) -> Self:
        made = super().__new__(cls, text)
        made.searched = 0
        return made

    def count(self, part: str, start: int = 0, end: int | None = None) -> int:
        """Count *part*, which looks at all from *start* to *end*."""
        stop = len(self) if end is None else end
        self.searched += stop - start
        return super().count(part, start, stop)

    def rfind(self, part: str, start: int = 0, end: int | None = None) -> int:
        """Find *part*, looking from *end* down to it."""
        stop = len(self) if end is None else end
        found = super().rfind(part, start, stop)
        self.searched += stop - max(found, start)
        return found


@pytest.mark.parametrize(
    "unit",
    ["{a:1},", "{\"a\":'x'},", '{"a":1,},', "[1,],", "['x'],", "[+1],", "[[1,],],", '["\\x41"],'],
)
def test_what_is_nearly_json_costs_no_search_from_the_start(unit: str) -> None:
    """However often a text is no JSON in the end, it is searched a fixed number of times."""
    text = CountedText("[" + unit * ITEMS + "]")

    node = parse_document(text, path=FILE)

    assert len(node.items) == ITEMS
    assert text.searched < 600 * len(text)


@pytest.mark.parametrize(
    ("unit", "new"),
    [("{a:1}", {"a": 2}), ("{a:1}", {"a": {"b": [1]}}), ("{}", {"a": 1}), ("0", 1), ("0", [1])],
)
def test_a_change_of_all_on_one_line_costs_no_search_of_the_line(unit: str, new: object) -> None:
    """However many changes meet on a line, it is searched for its start a fixed number of times."""
    text = CountedText("[" + ",".join([unit] * ITEMS) + "]")

    changed = set_text(text, (), [new] * ITEMS, file=FILE)

    assert parse_document(changed, path=FILE).value == [new] * ITEMS
    assert text.searched < 20 * len(text)


def test_the_counted_text_counts() -> None:
    """An error of Python's JSON near the end counts the whole text."""
    text = CountedText(" " * 1000 + "x")

    with pytest.raises(json.JSONDecodeError):
        json.JSONDecoder().decode(text)

    assert text.searched >= 1000
