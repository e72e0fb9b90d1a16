from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clawstate
from clawstate.errors import InvalidError
from clawstate.memory.backends.inmemory import InMemoryMemory
from clawstate.memory.filters import FIELDS, JOINTS, MAX_DEPTH, OPERATORS, filter_from
from clawstate.memory.matching import lets_through
from clawstate.memory.service import Memory
from clawstate.testing.hooks import ManualTime
from manual_clock import ManualClock

START = 1_700_000_000.0
KEYS = st.sampled_from(
    ["a", "b", "c", "ä", "x y", "0", "a\\b", "it's", "a.b", "b.a.c", "a.", "$a", "$$", "$tags"]
)
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
PATHS = (
    st.lists(KEYS, min_size=1, max_size=3)
    .map(".".join)
    .map(lambda path: f"${path}" if path.startswith("$") else path)
)
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
NAMES = st.sampled_from(["a", "b", "1", "\u00e4", "it's"])
MOMENTS = st.sampled_from([START - 0.25, START, START + 2, "2023-11-14T22:13:20.500Z"])
OF_RECORDS = st.one_of(
    st.tuples(st.sampled_from(["$source", "$thread", "$category"]), DEMANDS),
    st.tuples(st.just("$importance"), DEMANDS),
    st.tuples(
        st.just("$tags"),
        NAMES
        | st.lists(NAMES, max_size=2)
        | st.dictionaries(st.sampled_from(["eq", "ne", "contains"]), NAMES, min_size=1)
        | st.dictionaries(st.sampled_from(["in", "not_in"]), st.lists(NAMES), min_size=1)
        | st.fixed_dictionaries({"exists": st.booleans()}),
    ),
    st.tuples(
        st.sampled_from(["$created_at", "$updated_at", "$expires_at"]),
        MOMENTS
        | st.none()
        | st.lists(MOMENTS | st.none(), max_size=2)
        | st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte", "ne"]), MOMENTS, min_size=1)
        | st.fixed_dictionaries({"exists": st.booleans()}),
    ),
)
LEAVES = st.dictionaries(PATHS, DEMANDS, max_size=2) | OF_RECORDS.map(lambda pair: dict([pair]))
WHERE = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"$and": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"$or": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"$not": inner}),
    ),
    max_leaves=5,
)


@st.composite
def records(draw):
    """Return what is given of some records, the fields beside metadata included."""
    fields = st.fixed_dictionaries(
        {"metadata": st.dictionaries(KEYS, VALUES, max_size=4)},
        optional={
            "tags": st.lists(NAMES, max_size=2),
            "source": NAMES,
            "thread": NAMES,
            "category": NAMES,
            "importance": st.sampled_from([0, 0.5, 1]),
            "created_at": st.sampled_from([START, START + 0.5, START + 2]),
            "ttl": st.sampled_from([0.001, 10_000_000_000 - START]),
        },
    )
    return draw(st.lists(fields, min_size=1, max_size=12))


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
)
def shared(request, tmp_path_factory):
    clock, root = ManualClock(), tmp_path_factory.mktemp("state")
    if request.param == "postgresql":
        from postgres_memory import open_engine  # noqa: PLC0415 - it needs the driver

        memory = Memory(open_engine(request.getfixturevalue("postgres"), root, clock), clock=clock)
        memory.clock = clock
        yield memory
        memory.close()
        return
    with clawstate.open(root, clock=clock) as opened:
        opened.memory.clock = clock
        yield opened.memory


def kept(memory, given):
    """Replace what *memory* keeps by *given*, some of which expires; return it by id."""
    old = [record.id for record in memory.records(limit=1000)]
    memory.delete_many(old)
    ids = memory.add_many({"text": "lobster", **each} for each in given)
    by_id = memory.get_many(ids)
    memory.clock.advance(1)
    return by_id


def nested(depth):
    where = {"a": 1}
    for _ in range(depth):
        where = {"$not": where}
    return where


def found(memory, **filters):
    return {record.id for record in memory.records(**filters)}


def names(memory, **filters):
    return {record.text for record in memory.records(**filters)}


@given(records(), WHERE)
def test_sql_means_what_lets_through_means(shared, given, where) -> None:
    """The database lets exactly those records through that `lets_through` does."""
    by_id = kept(shared, given)
    chosen = filter_from(where=where)

    now = shared.now()
    expected = {key for key, each in by_id.items() if lets_through(chosen, each, now=now)}
    assert found(shared, where=where) == expected


@given(records(), WHERE)
def test_a_search_is_filtered_like_a_listing(shared, given, where) -> None:
    """Both legs of a search return the records that a listing with the same filter returns."""
    kept(shared, given)

    expected = found(shared, where=where)
    for mode in ("words", "vector", "hybrid"):
        hits = shared.search("lobster", k=100, mode=mode, where=where)
        assert {hit.record.id for hit in hits} == expected


@given(SCALARS)
def test_ne_is_the_opposite_of_eq(shared, value) -> None:
    """Each record meets a value or its negation, also where the key is missing."""
    values = [{}, {"a": None}, {"a": 1}, {"a": "1"}, {"a": [1]}, {"a": {"b": 1}}]
    everything = kept(shared, [{"metadata": each} for each in values])

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
    """Only records of the very source are let through, in capitals or not."""
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
    """`a.b` names the key of that name, else the key `b` of the object `a`."""
    memory.add("object", metadata={"a": {"b": 1}})
    memory.add("flat", metadata={"a.b": 1})
    memory.add("both", metadata={"a.b": 2, "a": {"b": 1}})
    memory.add("list", metadata={"a": [{"b": 1}]})
    memory.add("mixed", metadata={"x": {"a.b": 1}, "v1.": "yes"})

    assert names(memory, where={"a.b": 1}) == {"object", "flat"}
    assert names(memory, where={"a.b": {"in": [2, "x"]}}) == {"both"}
    assert names(memory, where={"a.b": {"exists": False}}) == {"list", "mixed"}
    assert names(memory, where={"x.a.b": {"gte": 1}}) == {"mixed"}
    assert names(memory, where={"v1.": "yes"}) == {"mixed"}


def test_true_is_not_one(memory) -> None:
    """Booleans and numbers are two kinds, alone, in lists and as members."""
    memory.add("true", metadata={"a": True, "l": [True]}, importance=1)
    memory.add("one", metadata={"a": 1, "l": [1]}, importance=1)
    memory.add("float", metadata={"a": 1.0, "l": [1.0]}, importance=0)

    assert names(memory, where={"a": True}) == {"true"}
    assert names(memory, where={"a": 1}) == {"one", "float"}
    assert names(memory, where={"a": [True, "1"]}) == {"true"}
    assert names(memory, where={"a": {"ne": True}}) == {"one", "float"}
    assert names(memory, where={"l": {"contains": True}}) == {"true"}
    assert names(memory, where={"l": {"contains": 1}}) == {"one", "float"}
    assert names(memory, where={"$importance": True}) == set()
    assert names(memory, where={"$importance": {"ne": False}}) == {"true", "one", "float"}


def test_a_time_without_a_zone_is_utc(memory) -> None:
    """Texts, dates and datetimes without a zone mean the same everywhere: UTC."""
    memory.add_many([{"text": "new year", "created_at": 1767225600.0}])  # 2026-01-01T00:00Z

    for moment in ("2026-01-01", datetime(2026, 1, 1), date(2026, 1, 1), 1767225600):  # noqa: DTZ001
        assert names(memory, since=moment) == {"new year"}
        assert names(memory, until=moment) == set()
        assert names(memory, where={"$created_at": moment}) == {"new year"}


def test_a_source_may_be_a_folder_or_a_pattern(memory) -> None:
    """A name stands for itself and for what lies below it; `*` and `?` for any characters."""
    for source in ("/n/a.md", "/n/b/c.md", "/n2/a.md", "/n", "/n/[x].md", "/n/x.md", "/n/é.md"):
        memory.add(source, source=source)
    memory.add("none")

    assert names(memory, source="/n/b") == names(memory, source="/n/b/") == {"/n/b/c.md"}
    assert names(memory, source="/n") == {
        *("/n", "/n/a.md", "/n/b/c.md", "/n/[x].md", "/n/x.md", "/n/é.md")
    }
    assert names(memory, source="/n*/a.md") == {"/n/a.md", "/n2/a.md"}
    assert names(memory, source="*/c.md") == {"/n/b/c.md"}
    assert names(memory, source="/n/?.md") == {"/n/a.md", "/n/x.md", "/n/é.md"}
    assert names(memory, source="/n/[*].md") == {"/n/[x].md"}
    assert [hit.record.text for hit in memory.search("c md", source="/n/b")] == ["/n/b/c.md"]
    assert memory.forget_source("/n/b") == 1
    assert memory.forget_source("/n?/*") == 1


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
    "key", ["$tag", "$titles", "$gte", "$nor", "$", "$created_at.year", "$AND"]
)
@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("demand", ["x", ["x"], {"gte": "x"}])
def test_an_unknown_key_behind_a_dollar_is_refused(key, depth, demand) -> None:
    """At any depth a slip such as `$tag` is an error that names it, not a filter of all records."""
    where = {key: demand}
    for _ in range(depth):
        where = {"$not": {"$or": [where]}}

    with pytest.raises(InvalidError) as told:
        filter_from(where=where)

    assert told.value.name == f"where.{key}"


def test_the_error_of_an_unknown_key_lists_what_there_is() -> None:
    """Who mistook the name of a field reads all of them, the operators, and the way to a key."""
    with pytest.raises(InvalidError) as told:
        filter_from(where={"$tag": "x"})

    known = {*(f"${field}" for field in FIELDS), *JOINTS, *OPERATORS, "$$tag"}
    assert all(each in str(told.value) for each in known)


@pytest.mark.parametrize("key", ["$ref", "$tags", "$$", "$and", "$a.b", "$"])
def test_metadata_whose_key_begins_with_a_dollar_is_reached_by_two(shared, key) -> None:
    """A key such as `$ref` is written `$$ref`, and is found in objects by its path as well."""
    kept(shared, [{"metadata": {key: 1}}, {"metadata": {"x": 1}}, {"tags": ["1"]}])

    (found,) = shared.records(where={f"${key}": 1})
    assert found.metadata == {key: 1}


@pytest.mark.parametrize(
    "bad",
    [
        {"where": "a = 1"},
        {"where": [("a", 1)]},
        {"where": {"a": {}}},
        {"where": {"$and": []}},
        {"where": {"$or": {}}},
        {"where": {"$or": [1]}},
        {"where": {"$and": "x"}},
        {"where": {"$not": []}},
        {"where": {"$not": {"a": {}}}},
        {"where": {"$tags": 5}},
        {"where": {"$tags": {"gt": "a"}}},
        {"where": {"$tags": [None]}},
        {"where": {"$created_at": "yesterday"}},
        {"where": {"$created_at": {"gt": True}}},
        {"where": {"$importance": {"gt": None}}},
        {"where": {"a": list(range(20_000))}},
        {"where": nested(MAX_DEPTH + 1)},
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


DOCUMENTS = {
    "one": {"metadata": {"page": 100, "kind": "book", "day": "2024-01-01", "price": 1.5}},
    "two": {"metadata": {"page": 20, "kind": "book", "day": "2023-06-30", "shelf": None}},
    "three": {"metadata": {"page": 3, "kind": "note", "by": {"name": "Ada"}}, "tags": ["x", "y"]},
    "four": {"metadata": {"kind": "note", "marks": [1, "x", None]}, "tags": ["y"]},
    "five": {"source": "a.md", "thread": "t", "category": "fact", "importance": 0.2},
}
CASES = [
    ({"page": 100}, "one"),
    ({"page": {"eq": None}}, "four five"),
    ({"page": {"ne": 100}}, "two three four five"),
    ({"page": {"ne": None}}, "one two three"),
    ({"page": {"gt": 3}}, "one two"),
    ({"page": {"gt": "3"}}, ""),
    ({"page": {"lte": 20}}, "two three"),
    ({"page": [20, 3, 7]}, "two three"),
    ({"page": [20, None]}, "two four five"),
    ({"page": {"not_in": [20, 3]}}, "one four five"),
    ({"page": {"not_in": [100, None]}}, "two three"),
    ({"page": {"not_in": []}}, "one two three four five"),
    ({"day": {"gte": "2023-01-01", "lt": "2024-01-01"}}, "two"),
    ({"day": {"gt": "2023-12-31"}}, "one"),
    ({"shelf": {"exists": True}}, "two"),
    ({"shelf": {"exists": False}}, "one three four five"),
    ({"by.name": "Ada"}, "three"),
    ({"by": "Ada"}, ""),
    ({"marks": {"contains": "x"}}, "four"),
    ({"marks": {"contains": None}}, "four"),
    ({"marks": 1}, ""),
    ({}, "one two three four five"),
    ({"$and": [{"kind": "book"}, {"page": {"lt": 50}}]}, "two"),
    ({"$or": [{"page": 100}, {"kind": "note"}]}, "one three four"),
    ({"$or": [{"page": {"gt": 50}}, {"page": {"lt": 5}}], "kind": "note"}, "three"),
    ({"$not": {"kind": "book"}}, "three four five"),
    ({"$not": {"kind": "book", "page": 100}}, "two three four five"),
    ({"$not": {"$or": [{"kind": "book"}, {"page": 3}]}}, "four five"),
    ({"$not": {"$not": {"kind": "book"}}}, "one two"),
    ({"$not": {"page": {"gt": 3}}}, "three four five"),
    ({"$or": [{"$and": [{"kind": "book"}, {"price": 1.5}]}, {"$tags": "x"}]}, "one three"),
    ({"$and": [{}]}, "one two three four five"),
    ({"$not": {}}, ""),
    ({"$not": [{"kind": "book"}, {"page": 100}]}, "two three four five"),
    ({"by.name": {"ne": "Ada"}}, "one two four five"),
    ({"by.name": {"not_in": ["Ada"]}}, "one two four five"),
    ({"$or": [{"page": {"ne": 100}}, {"kind": "book"}]}, "one two three four five"),
    ({"$not": {"page": {"lt": 50}}}, "one four five"),
    ({"$and": [{"$or": [{"page": 100}, {"page": 3}]}, {"$not": {"kind": "note"}}]}, "one"),
    ({"price": {"gte": 1, "lt": 2}}, "one"),
    ({"page": {"eq": True}}, ""),
    ({"$tags": "y"}, "three four"),
    ({"$tags": ["x", "z"]}, "three"),
    ({"$tags": {"ne": "x"}}, "one two four five"),
    ({"$tags": {"not_in": ["x", "y"]}}, "one two five"),
    ({"$tags": {"exists": False}}, "one two five"),
    ({"$source": "a.md"}, "five"),
    ({"$source": None}, "one two three four"),
    ({"$source": {"ne": "a.md"}}, "one two three four"),
    ({"$source": [None, "a.md"]}, "one two three four five"),
    ({"$thread": {"exists": True}}, "five"),
    ({"$category": ["fact", "idea"]}, "five"),
    ({"$category": {"gt": "g"}}, "one two three four"),
    ({"$category": 5}, ""),
    ({"$importance": {"lt": 0.5}}, "five"),
    ({"$importance": "0.2"}, ""),
    ({"$created_at": {"gt": START + 50}}, ""),
    ({"$created_at": {"lte": "2023-11-14T22:13:20Z"}}, "one"),
    ({"$updated_at": {"gte": START}}, "one two three four five"),
    ({"$expires_at": None}, "one two three four five"),
    ({"source": "a.md"}, ""),
    ({"$$unknown": None}, "one two three four five"),
]


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    with clawstate.open(tmp_path_factory.mktemp("state")) as opened:
        for number, (text, given) in enumerate(DOCUMENTS.items()):
            values = {"text": text, "created_at": START + number, **given}
            opened.memory.add_many([values])
        yield opened.memory


@pytest.mark.parametrize(("where", "texts"), CASES, ids=str)
def test_a_filter_lets_the_right_records_through(documents, where, texts) -> None:
    """Comparisons, missing values, dates, None, and what is put together of them."""
    assert names(documents, where=where) == set(texts.split())


def test_long_filters_are_answered(documents) -> None:
    """Thousands of alternatives, and thousands of demands, are no error of the engine."""
    many = [{"page": number} for number in range(3000)]

    assert names(documents, where={"$or": many}) == {"one", "two", "three"}
    assert names(documents, where={"page": list(range(9000))}) == {"one", "two", "three"}
    assert names(documents, where={"$not": {"$or": many}}) == {"four", "five"}
    assert names(documents, where=nested(MAX_DEPTH - 2)) == set()


@pytest.mark.parametrize("steps", [(0.001, 0.001), (0.001, 0.002), (0.1, 0.2), (0.003, 0.004)])
def test_a_record_ends_at_its_millisecond(steps) -> None:
    """A time to live is over at its end, however the floats of the clock add up."""
    clock = ManualTime()
    memory = Memory(InMemoryMemory(clock=clock), clock=clock, by_meaning=False)
    for each in steps:
        clock.now += each
    memory.add("tea", ttl=5)
    clock.now += 5

    assert memory.records() == []
    assert memory.stats()["expired"] == 1
