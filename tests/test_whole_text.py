from __future__ import annotations

import pytest

from clawstate.arguments import require_whole
from clawstate.errors import InvalidError

HALF = "half \ud83e"


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (HALF, "turn"),
        ([HALF], r"turn\[0\]"),
        (["a", ("b", HALF)], r"turn\[1\]\[1\]"),
        ({"a": [1, {"b": HALF}]}, r"turn\.a\[1\]\.b"),
        ({"a": {HALF: 1}}, r"turn\.a: has a key"),
    ],
    ids=["text", "list", "tuple", "mapping", "key"],
)
def test_half_a_surrogate_pair_is_refused_with_its_place(value: object, where: str) -> None:
    """Text that has no form in UTF-8 is refused at any depth; the error tells where."""
    with pytest.raises(InvalidError, match=where) as caught:
        require_whole("turn", value)

    assert "\ud83e" not in str(caught.value)


def test_a_value_that_holds_itself_is_looked_through_once() -> None:
    """A value that holds itself is looked through to its end, and so is what lies behind it."""
    circle: dict[str, object] = {"list": []}
    circle["self"] = circle
    circle["list"].append(circle["list"])

    require_whole("turn", circle)
    circle["last"] = HALF
    with pytest.raises(InvalidError, match=r"turn\.last"):
        require_whole("turn", circle)


def test_a_part_that_is_in_many_places_is_looked_at_once() -> None:
    """A list of two lists of two lists, sixty deep, is one list each time, and takes no time."""
    value: list[object] = ["text"]
    for _ in range(60):
        value = [value, value]

    require_whole("turn", value)


def test_depth_has_no_limit() -> None:
    """Half a pair in a hundred thousand lists is found, without recursion."""
    value: list[object] = [HALF]
    for _ in range(100_000):
        value = [value]

    with pytest.raises(InvalidError, match="half a surrogate pair"):
        require_whole("turn", value)
