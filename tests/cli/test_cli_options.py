from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawstate.cli.options import Duration, Pair, Where, plain_or_json, where_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("30d", 2_592_000),
        ("1w", 604_800),
        ("1y", 31_557_600),
        ("500ms", 0.5),
        ("1.5h", 5400),
        ("1h30m", 5400),
        ("45", 45),
        (" 2 H ", 7200),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    """A length of time is a number of the unit that follows it, seconds without one."""
    assert Duration().convert(text, None, None) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "-5s", "30m1h", "5 fortnights", "1e3", "h", "٣d٣"])
def test_no_duration_is_refused_with_examples(text: str) -> None:
    """What is no length of time is a usage error that shows how to write one."""
    with pytest.raises(click.UsageError, match="90s, 15m, 2h"):
        Duration().convert(text, None, None)


@given(st.floats(0, 1e6, allow_nan=False).map(lambda value: round(value, 3)))
def test_a_number_of_seconds_is_itself(seconds: float) -> None:
    """A plain number of seconds means just that."""
    assert Duration().convert(f"{seconds:.3f}", None, None) == pytest.approx(seconds)


@given(key=st.text(min_size=1).filter(lambda key: "=" not in key and key.strip()), value=st.text())
def test_a_pair_ends_its_key_at_the_first_equals_sign(key: str, value: str) -> None:
    """Everything behind the first `=` belongs to the value."""
    assert Pair().convert(f"{key}={value}", None, None) == (key.strip(), plain_or_json(value))


@given(
    key=st.from_regex(r"[a-z.]{1,9}", fullmatch=True),
    sign=st.sampled_from(["=", "!=", ">=", "<=", ">", "<", "~"]),
    value=st.from_regex(r"[a-z0-9 \n]{0,9}", fullmatch=True),
)
def test_a_condition_is_key_sign_and_value(key: str, sign: str, value: str) -> None:
    """A condition falls into its key, the operator of its sign, and its value."""
    names = {"=": "eq", "!=": "ne", ">=": "gte", "<=": "lte", ">": "gt", "<": "lt"}

    found = Where().convert(f"{key}{sign}{value}", None, None)

    assert found == (key, names.get(sign, "contains"), plain_or_json(value))


def test_a_list_for_equals_means_one_of_it() -> None:
    """`=` with a list asks for one of its items, and conditions on one key join."""
    conditions = [("a", "eq", [1, 2]), ("b", "gte", 1), ("b", "lt", 5), ("c", "eq", "x")]

    assert where_of(conditions) == {"a": {"in": [1, 2]}, "b": {"gte": 1, "lt": 5}, "c": {"eq": "x"}}


@given(st.text() | st.text('[]{}",:1'))
def test_any_text_is_a_value(text: str) -> None:
    """Every text can be a value: it is JSON, or else it is itself."""
    plain_or_json(text)


def test_a_value_nested_too_deeply_is_text() -> None:
    """JSON that is nested deeper than can be read is taken as text, not as a crash."""
    assert plain_or_json("[" * 100_000) == "[" * 100_000
