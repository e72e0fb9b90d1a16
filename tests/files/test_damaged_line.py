"""Whole records on damaged lines of JSON Lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawstate.files.damaged_line import split_damaged

ONE, TWO, THREE = (
    json.dumps({"type": "message", "message": {"role": "user", "content": [{"text": text}]}})
    for text in ("one", 'a {brace} and a \\ in "two"', "three \u2028 ☕")
)


def whole(line: str) -> list[str]:
    return [each.text for each in split_damaged(line) if each.is_whole]


def broken(line: str) -> list[str]:
    return [each.text for each in split_damaged(line) if not each.is_whole]


@pytest.mark.parametrize("between", ["", " ", "\t", "\0\0\0\0", ",", "garbage", "]}"])
def test_fused_records_are_all_found(between: str) -> None:
    """Records that stand on one line are found whatever stands between them."""
    line = between.join([ONE, TWO, THREE])

    assert whole(line) == [ONE, TWO, THREE]
    assert "".join(broken(line)).strip() == (between * 2).strip()


@pytest.mark.parametrize("length", range(1, len(TWO)))
def test_a_record_behind_a_broken_one_is_found(length: int) -> None:
    """
    A record behind half of another is found, and no object that is nested in the half.

    Where the half ends right behind a colon or an opening bracket the whole is a value of it.
    """
    torn = TWO[:length]

    found = whole(torn + ONE)

    if torn.rstrip()[-1] in ":[":
        assert found in ([], [ONE])
    else:
        assert found == [ONE]


@pytest.mark.parametrize("length", range(1, len(ONE)))
def test_half_a_record_at_the_end_gives_nothing(length: int) -> None:
    """What is nested in half a record is no record."""
    assert whole(ONE[:length]) == []
    assert whole(TWO + ONE[:length]) == [TWO]


@given(st.lists(st.dictionaries(st.text(), st.integers() | st.text(), min_size=1), max_size=5))
def test_any_fused_objects_come_out_as_they_went_in(values: list[dict[str, object]]) -> None:
    """Objects written one behind the other are split where they meet."""
    texts = [json.dumps(each, ensure_ascii=False) for each in values]

    assert whole("".join(texts)) == texts


@given(st.text(alphabet='{}[]":,\\a1 \0', max_size=80))
def test_any_text_is_split_without_loss(line: str) -> None:
    """The parts are the line again, but for blanks and empty objects; whole ones are JSON."""
    parts = split_damaged(line)

    assert all(isinstance(json.loads(each.text), dict) for each in parts if each.is_whole)
    kept = sum(len(each.text) for each in parts)
    assert kept <= len(line)


@pytest.mark.parametrize("unit", ["{", '{"a":', '{"', '{"a":"', "[", '{"a":{}'])
def test_a_line_of_no_records_is_given_up(unit: str) -> None:
    """A line of megabytes that is broken over and over is looked at a thousand times, not more."""
    line = unit * (4_000_000 // len(unit))

    assert len(broken(line)) <= 1_002
