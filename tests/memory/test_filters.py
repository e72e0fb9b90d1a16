from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clawstate
from clawstate.errors import InvalidError
from clawstate.memory.filters import OPERATORS, filter_from, matches

KEYS = st.sampled_from(["a", "b", "c", "ä", "x y", "0", "a\\b", "it's"])
TEXTS = st.sampled_from(["", "a", "b", "B", "1", "true", "null", "ä", "\U0001f99e", "[1]", "a\nb"])
NUMBERS = st.integers(-3, 3) | st.sampled_from(
    [0.5, -0.0, 1.0, 2.0, 1e300, 2**53, 2**53 + 1, -(2**63), 2**63 - 1]
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
METADATA = st.lists(st.dictionaries(KEYS, VALUES, max_size=4), min_size=1, max_size=12)
PATHS = st.lists(KEYS, min_size=1, max_size=2).map(".".join)
DEMANDS = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("eq", "ne", "contains"), SCALARS)),
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("gt", "gte", "$lt", "$lte"), NUMBERS | TEXTS)
    ),
    st.fixed_dictionaries(
        {}, optional={name: st.lists(SCALARS, max_size=3) for name in ("in", "not_in")}
    ),
    st.fixed_dictionaries({"exists": st.booleans()}),
).filter(lambda demand: demand != {})
WHERE = st.dictionaries(PATHS, DEMANDS, min_size=1, max_size=2)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with clawstate.open(tmp_path_factory.mktemp("state")) as opened:
        yield opened.memory


def kept(memory, documents):
    """Replace what *memory* keeps by one record for each document; return them by id."""
    old = [record.id for record in memory.records(limit=1000)]
    memory.delete_many(old)
    values = [{"text": "lobster", "metadata": metadata} for metadata in documents]
    return dict(zip(memory.add_many(values), documents, strict=True))


def found(memory, **filters):
    return {record.id for record in memory.records(**filters)}


def names(memory, **filters):
    return {record.text for record in memory.records(**filters)}


@given(METADATA, WHERE)
def test_sql_means_what_matches_means(shared, documents, where) -> None:
    """The database lets exactly those records through that `matches` does."""
    by_id = kept(shared, documents)
    conditions = filter_from(where=where).conditions

    expected = {record_id for record_id, metadata in by_id.items() if matches(metadata, conditions)}
    assert found(shared, where=where) == expected


@given(METADATA, WHERE)
def test_a_search_is_filtered_like_a_listing(shared, documents, where) -> None:
    """Both legs of a search return the records that a listing with the same filter returns."""
    kept(shared, documents)

    expected = found(shared, where=where)
    for mode in ("words", "vector", "hybrid"):
        hits = shared.search("lobster", k=100, mode=mode, where=where)
        assert {hit.record.id for hit in hits} == expected


@given(SCALARS)
def test_ne_is_the_opposite_of_eq(shared, value) -> None:
    """Each record meets a value or its negation, also where the key is missing."""
    everything = kept(shared, [{}, {"a": None}, {"a": 1}, {"a": "1"}, {"a": [1]}, {"a": {"b": 1}}])

    equal = found(shared, where={"a": {"eq": value}})
    other = found(shared, where={"a": {"ne": value}})

    assert equal | other == everything.keys()
    assert not equal & other


def test_all_tags_are_wanted(memory) -> None:
    """A record is let through when it has every tag, and a string is one tag."""
    memory.add("both", tags=["red", "blue"])
    memory.add("one", tags=["red"])
    memory.add("none")

    assert names(memory, tags=["red", "blue"]) == {"both"}
    assert names(memory, tags="red") == {"both", "one"}
    assert names(memory, tags=[]) == {"both", "one", "none"}
    assert names(memory, tags=["red", "green"]) == set()


def test_source_is_compared_exactly(memory) -> None:
    """Only records of the very source are let through."""
    memory.add("a", source="/notes/a.md")
    memory.add("b", source="/notes/A.md")
    memory.add("none")

    assert names(memory, source="/notes/a.md") == {"a"}


@pytest.mark.parametrize("form", ["seconds", "text", "datetime"])
def test_times_bound_the_creation(memory, clock, form) -> None:
    """`since` includes its moment and `until` does not, in seconds, ISO text and datetime."""
    start = clock.now
    for number in range(4):
        memory.add(str(number))
        clock.advance(3600)

    def moment(hours):
        at = datetime.fromtimestamp(start, UTC) + timedelta(hours=hours)
        return {"seconds": at.timestamp(), "text": at.isoformat(), "datetime": at}[form]

    assert names(memory, since=moment(1), until=moment(3)) == {"1", "2"}
    assert names(memory, since=moment(2)) == {"2", "3"}
    assert names(memory, until=moment(1)) == {"0"}


def test_namespaces_do_not_see_each_other(memory) -> None:
    """A listing and every search speak of one namespace; None means all of them."""
    memory.add("lobster one", namespace="a")
    memory.add("lobster two", namespace="b")

    assert names(memory, namespace="a") == {"lobster one"}
    assert names(memory) == set()
    assert names(memory, namespace=None) == {"lobster one", "lobster two"}
    for mode in ("words", "vector", "hybrid"):
        hits = memory.search("lobster", mode=mode, namespace="b")
        assert [hit.record.text for hit in hits] == ["lobster two"]
        hits = memory.search("lobster", mode=mode, namespace=None)
        assert {hit.record.text for hit in hits} == {"lobster one", "lobster two"}
        assert memory.search("lobster", mode=mode, namespace="c") == []


def test_nested_keys_are_reached_with_dots(memory) -> None:
    """`a.b` names the key `b` of the object `a`, and nothing else."""
    memory.add("object", metadata={"a": {"b": 1}})
    memory.add("flat", metadata={"a.b": 1})
    memory.add("list", metadata={"a": [{"b": 1}]})

    assert names(memory, where={"a.b": 1}) == {"object"}
    assert names(memory, where={"a.b": {"exists": False}}) == {"flat", "list"}


def test_contains_asks_for_a_member_of_a_list(memory) -> None:
    """`contains` finds plain values in lists, not parts of strings or keys of objects."""
    memory.add("list", metadata={"a": ["x", 1, None, True]})
    memory.add("text", metadata={"a": "x"})
    memory.add("object", metadata={"a": {"x": 1}})
    memory.add("deep", metadata={"a": [["x"], {"y": "x"}]})

    for value in ("x", 1, None):
        assert names(memory, where={"a": {"contains": value}}) == {"list"}


def test_a_list_means_one_of_them(memory) -> None:
    """A list of values is met by each of them, and an empty one by nothing."""
    for year in (2019, 2020, 2021):
        memory.add(str(year), metadata={"year": year})

    assert names(memory, where={"year": [2019, 2021, "2020"]}) == {"2019", "2021"}
    assert names(memory, where={"year": []}) == set()


def test_conditions_are_met_together(memory) -> None:
    """Several operators on a key, and several keys, must all be met."""
    for year in (2019, 2020, 2021):
        for kind in ("note", "mail"):
            memory.add(f"{kind} {year}", metadata={"year": year, "kind": kind})

    where = {"year": {"$gte": 2020, "$lt": 2021}, "kind": "note"}
    assert names(memory, where=where) == {"note 2020"}


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_dollar_sign_changes_nothing(operator) -> None:
    """Each operator may be written with a leading `$`, as other tools write it."""
    value = {"in": [1], "not_in": [1], "exists": True}.get(operator, 1)

    plain = filter_from(where={"a": {operator: value}})

    assert filter_from(where={"a": {f"${operator}": value}}) == plain


@pytest.mark.parametrize(
    "bad",
    [
        {"where": "a = 1"},
        {"where": [("a", 1)]},
        {"where": {"a": {}}},
        {"where": {"a": {"like": "x"}}},
        {"where": {"a": {"in": "abc"}}},
        {"where": {"a": {"in": 5}}},
        {"where": {"a": {"exists": "yes"}}},
        {"where": {"a": {"gt": None}}},
        {"where": {"a": {"gt": True}}},
        {"where": {"a": {"eq": [1]}}},
        {"where": {"a": {"eq": {"b": 1}}}},
        {"where": {"a": b"bytes"}},
        {"where": {"a": [[1]]}},
        {"where": {"": 1}},
        {"where": {"a..b": 1}},
        {"where": {'a"b': 1}},
        {"where": {"a\0b": 1}},
        {"where": {"\ud800": 1}},
        {"where": {"a": "\ud800"}},
        {"where": {"a": ["\ud800"]}},
        {"where": {"a": math.nan}},
        {"where": {"a": {"gt": math.nan}}},
        {"since": "yesterday"},
        {"since": True},
        {"since": [1]},
        {"since": math.nan},
        {"until": math.inf},
        {"tags": 5},
        {"tags": [5]},
        {"tags": [["a"]]},
        {"tags": ["\ud800"]},
        {"source": 5},
        {"source": "\ud800"},
        {"namespace": 5},
        {"namespace": "\ud800"},
        {"limit": 0},
        {"limit": -1},
        {"limit": "ten"},
        {"after": 5},
        {"after": "\ud800"},
    ],
    ids=repr,
)
def test_what_cannot_be_asked_is_refused(shared, bad) -> None:
    """A filter that has no meaning raises `InvalidError`, and never an error of the engine."""
    shared.add("text", metadata={"a": 1})

    with pytest.raises(InvalidError):
        shared.records(**bad)


@pytest.mark.parametrize("value", [10**30, -(10**30), 2**63], ids=repr)
def test_whole_numbers_of_any_size_can_be_asked(memory, value) -> None:
    """A number larger than the engine's own is compared, not refused by the engine."""
    memory.add("small", metadata={"a": 1})
    memory.add("same", metadata={"a": value})

    smaller = {"same"} if value < 0 else {"small"}
    assert names(memory, where={"a": {"ne": value}}) == {"small"}
    assert names(memory, where={"a": {"lt": value // 2}}) == smaller
