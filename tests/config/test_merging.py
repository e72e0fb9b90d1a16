from __future__ import annotations

from typing import Any

from config_files import piece
from hypothesis import given
from hypothesis import strategies as st

from clawstate.config.merging import join, override

SHAPED = st.fixed_dictionaries(
    {},
    optional={
        "list": st.lists(st.integers(), max_size=3),
        "text": st.text(max_size=3),
        "object": st.dictionaries(st.sampled_from("abc"), st.integers(), max_size=3),
    },
)


@given(SHAPED, SHAPED, SHAPED)
def test_joining_is_associative_where_kinds_agree(a: Any, b: Any, c: Any) -> None:
    """Files with the same kinds at the same keys may be joined in any grouping."""
    left = join([join([piece(a), piece(b)]), piece(c)])
    right = join([piece(a), join([piece(b), piece(c)])])

    assert left.value == right.value
    assert list(left.trace.members()) == list(left.value)


@given(SHAPED)
def test_joining_with_nothing_changes_nothing(a: Any) -> None:
    """An empty object is the neutral element, on both sides."""
    assert join([piece({}), piece(a)]).value == a
    assert join([piece(a), piece({})]).value == a


@given(st.lists(st.deferred(lambda: ANY), min_size=1, max_size=5))
def test_joining_all_is_joining_one_after_the_other(values: list[Any]) -> None:
    """Whatever the kinds, many pieces at once are the same as each over the one before it."""
    at_once = join([piece(value) for value in values])

    whole = piece(values[0])
    for value in values[1:]:
        whole = join([whole, piece(value)])
    assert at_once.value == whole.value


ANY = st.recursive(
    st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=8,
)


@given(ANY, ANY, ANY)
def test_last_word_of_an_override_stands(a: Any, b: Any, c: Any) -> None:
    """An override twice is an override once, and grouping matters only where kinds differ."""
    once = override(a, b)

    assert override(once, b) == once
    assert override(a, {}) == (a if isinstance(a, dict) else {})
    if all(isinstance(each, dict) for each in (a, b, c)):
        flat = [
            {key: v for key, v in each.items() if not isinstance(v, dict)} for each in (a, b, c)
        ]
        one, two, three = flat
        assert override(override(one, two), three) == override(one, override(two, three))
