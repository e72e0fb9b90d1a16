from __future__ import annotations

import math
import re
import uuid
from datetime import UTC, datetime
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clawstate
from clawstate.errors import ConflictError, InvalidError
from clawstate.memory.records import MemoryRecord, new_id
from clawstate.memory.validation import MAX_METADATA, MAX_TEXT

HALF_A_PAIR = "half \ud800 pair"
LATE = 300_000_000_000  # seconds: the year 11476

BAD = {
    "text": [
        "",
        "   ",
        "\n\t\u2003",
        "x" * (MAX_TEXT + 1),
        "a\0b",
        HALF_A_PAIR,
        b"bytes",
        5,
        None,
        ["a"],
    ],
    "importance": [-0.1, 1.1, math.nan, math.inf, "0.5", True],
    "position": [1.5, "1", True, 1 << 53, -(1 << 53)],
    "ttl": ["60", True, math.nan, math.inf, -math.inf, 10**400, [60]],
    "metadata": [
        5,
        "text",
        [("a", 1)],
        {"a": object()},
        {"a": {1, 2}},
        {"a": math.nan},
        {"a": [math.inf]},
        {"a": HALF_A_PAIR},
        {"a": "x" * MAX_METADATA},
        {"a": 10**5000},
        {1: "the key is no string"},
        {"a": {None: 1}},
    ],
    "tags": ["one", ["fine", ""], [" "], [5], ["a\nb"], ["x" * 513], [HALF_A_PAIR], 5, [[]]],
    "source": ["", " ", 5, "a\0b", "x" * 4097, HALF_A_PAIR],
    "thread": ["", " ", 5, "a\x1fb", "x" * 4097, HALF_A_PAIR],
    "category": ["", " ", 5, "a\x7fb", "x" * 513, HALF_A_PAIR],
    "namespace": ["", " ", 5, "a\nb", "x" * 513, HALF_A_PAIR],
    "id": [" ", 5, "a\0b", "x" * 513, HALF_A_PAIR],
    "created_at": ["2020", -1.0, math.nan, LATE, True, 10**400],
    "updated_at": ["2020", -1.0, math.nan, LATE, True],
    "expires_at": ["2020", -1.0, math.nan, LATE, True],
}
CASES = [
    pytest.param(name, value, id=f"{name}-{number}")
    for name, values in BAD.items()
    for number, value in enumerate(values)
]
CHANGES = [case for case in CASES if case.values[0] not in {"id", "namespace"} | {"created_at"}]
CHANGES = [case for case in CHANGES if case.values[0] != "updated_at"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with clawstate.open(tmp_path_factory.mktemp("state")) as opened:
        yield opened.memory


def circle():
    value: dict[str, object] = {}
    value["self"] = value
    return value


@pytest.mark.parametrize(("name", "value"), CASES)
def test_bad_values_are_refused_by_name(memory, state, name, value) -> None:
    """A value that cannot be kept raises `InvalidError` naming its field, and makes no file."""
    with pytest.raises(InvalidError) as caught:
        memory.add_many([{"text": "fine", name: value}])

    assert caught.value.name.partition(".")[0].rstrip("s") == name.rstrip("s")
    assert not state.paths.root.exists()


@pytest.mark.parametrize(("name", "value"), CHANGES)
def test_bad_changes_are_refused_by_name(shared, name, value) -> None:
    """A change to a value that cannot be kept raises `InvalidError` and changes nothing."""
    record_id = shared.add("fine", tags=["a"], thread="t")
    before = shared.get(record_id)

    with pytest.raises(InvalidError) as caught:
        shared.update(record_id, **{name: value})

    assert caught.value.name.partition(".")[0].rstrip("s") == name.rstrip("s")
    assert shared.get(record_id) == before


@pytest.mark.parametrize(
    "values",
    [
        "only a text",
        None,
        5,
        ["text"],
        {},
        {"text": "a", "colour": "red"},
        {"text": "a", 5: 6, "x": 7},
    ],
    ids=repr,
)
def test_what_is_no_record_is_refused(memory, state, values) -> None:
    """Anything but a record or a mapping with the names of its fields raises `InvalidError`."""
    with pytest.raises(InvalidError):
        memory.add_many([values])

    assert not state.paths.root.exists()


def test_endless_metadata_is_refused(memory, state) -> None:
    """Metadata that holds itself raises `InvalidError`."""
    with pytest.raises(InvalidError, match="metadata"):
        memory.add("fine", metadata=circle())

    assert not state.paths.root.exists()


@pytest.mark.parametrize("metadata", [[], "", 0, False, ()], ids=repr)
def test_empty_values_are_no_metadata(memory, metadata) -> None:
    """A value that is false but no mapping is not taken for empty metadata."""
    with pytest.raises(InvalidError, match="metadata"):
        memory.add("fine", metadata=metadata)


def test_one_bad_record_keeps_all_from_being_written(memory, state) -> None:
    """All records of a call are checked before the first is written; the bad one is numbered."""
    good = [{"text": f"good {number}"} for number in range(3000)]

    with pytest.raises(InvalidError, match=r"record 3000: text"):
        memory.add_many([*good, {"text": ""}])

    assert not state.paths.root.exists()


@pytest.mark.parametrize(
    "text",
    ["x" * MAX_TEXT, "a\x01b", "  padded  ", "\U0001f99e", "e\u0301", "line\r\nline", "\ufeffx"],
    ids=["longest", "control", "padded", "emoji", "combining", "lines", "mark"],
)
def test_every_other_text_comes_back_as_it_was(memory, text) -> None:
    """Text is kept to the character: nothing is trimmed, folded or normalised."""
    record_id = memory.add(text)

    assert memory.get(record_id).text == text


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8")),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner)
        ),
        max_leaves=12,
    )
)
def test_metadata_comes_back_as_it_was(shared, value) -> None:
    """Any JSON value survives as metadata, with the types of its numbers."""
    record_id = shared.add("fine", metadata={"value": value})

    assert repr(shared.get(record_id).metadata) == repr({"value": value})


def test_any_mapping_is_metadata(memory) -> None:
    """Metadata may be given as any mapping, not only as a dict."""
    record_id = memory.add("fine", metadata=MappingProxyType({"a": 1}))

    assert memory.get(record_id).metadata == {"a": 1}


def test_fields_come_back_as_given(memory, clock) -> None:
    """What `get` returns has every field that was given to `add`."""
    record_id = memory.add(
        "tea",
        source="notes.md",
        tags=["b", "a", "b"],
        metadata={"n": 1},
        importance=1,
        category="fact",
        ttl=60,
        namespace="home",
        thread="t",
        position=-4,
    )

    record = memory.get(record_id)
    assert set(record.tags) == {"a", "b"}
    assert record == MemoryRecord(
        id=record_id,
        text="tea",
        source="notes.md",
        tags=record.tags,
        metadata={"n": 1},
        importance=1.0,
        category="fact",
        namespace="home",
        thread="t",
        position=-4,
        created_at=clock.now,
        updated_at=clock.now,
        expires_at=clock.now + 60,
    )


def test_new_ids_are_uuids_in_the_order_they_were_made() -> None:
    """Ids are UUIDs of version 7 and variant 1, never twice the same, and ascend over time."""
    ids = [new_id() for _ in range(2000)]

    parsed = [uuid.UUID(each) for each in ids]
    assert {each.version for each in parsed} == {7}
    assert {each.variant for each in parsed} == {uuid.RFC_4122}
    assert [str(each) for each in parsed] == ids
    assert len(set(ids)) == len(ids)
    stamps = [each.int >> 80 for each in parsed]
    assert stamps == sorted(stamps)


def test_ids_are_returned_in_the_order_of_the_records(memory) -> None:
    """`add_many` answers the ids of its records in their order, given ones unchanged."""
    ids = memory.add_many([{"text": "a"}, {"text": "b", "id": "mine"}, MemoryRecord(text="c")])

    assert ids[1] == "mine"
    assert [memory.get(each).text for each in ids] == ["a", "b", "c"]
    assert all(re.fullmatch(r"[0-9a-f-]{36}", each) for each in (ids[0], ids[2]))


def test_a_given_id_replaces_the_record(memory, clock) -> None:
    """Adding an id that is kept replaces all of its fields but the time it was made."""
    memory.add_many([{"id": "x", "text": "old", "tags": ["a"], "metadata": {"a": 1}, "ttl": 60}])
    made = clock.now
    clock.advance(5)

    memory.add_many([{"id": "x", "text": "new", "category": "fact"}])

    assert memory.records() == [
        MemoryRecord(id="x", text="new", category="fact", created_at=made, updated_at=made + 5)
    ]


def test_the_last_of_equal_ids_is_kept(memory) -> None:
    """An id given twice in one call is one record, with what was said last."""
    memory.add_many([{"id": "x", "text": "first"}, {"id": "x", "text": "second"}])

    assert [record.text for record in memory.records()] == ["second"]


def test_a_given_time_of_creation_wins(memory) -> None:
    """A `created_at` that is given replaces the one that is kept."""
    memory.add_many([{"id": "x", "text": "old"}])

    memory.add_many([{"id": "x", "text": "old", "created_at": 5.5}])

    assert memory.get("x").created_at == 5.5


def test_an_id_lives_in_one_namespace(memory) -> None:
    """An id of another namespace raises `ConflictError`, and nothing of the call is kept."""
    memory.add_many([{"id": "x", "text": "at home", "namespace": "home"}])

    with pytest.raises(ConflictError, match="home"):
        memory.add_many([{"text": "other"}, {"id": "x", "text": "at work", "namespace": "work"}])

    assert memory.get("x").text == "at home"
    assert memory.records(namespace=None) == [memory.get("x")]


@pytest.mark.parametrize("changes", [{"text": "new"}, {"importance": 0.1}, {}], ids=repr)
def test_an_update_keeps_the_time_of_creation(memory, clock, changes) -> None:
    """`update` moves `updated_at` to the present and leaves `created_at` alone."""
    record_id = memory.add("old")
    made = clock.now
    clock.advance(7)

    memory.update(record_id, **changes)

    record = memory.get(record_id)
    assert (record.created_at, record.updated_at) == (made, made + 7)


@pytest.mark.parametrize("step", [0.0, -3600.0, 0.0001], ids=["still", "back", "tiny"])
def test_updated_at_strictly_increases(memory, clock, step) -> None:
    """Each update has a later `updated_at` than the one before, whatever the clock does."""
    record_id = memory.add("text")
    seen = [memory.get(record_id).updated_at]

    for number in range(5):
        clock.advance(step)
        seen.append(memory.update(record_id, importance=number / 10).updated_at)

    assert seen == sorted(set(seen))
    assert memory.get(record_id).updated_at == seen[-1]


@pytest.mark.parametrize("step", [0.0, -3600.0], ids=["still", "back"])
def test_updated_at_strictly_increases_when_replaced(memory, clock, step) -> None:
    """A record that is replaced gets a later `updated_at`: no version looks like another."""
    memory.add_many([{"id": "x", "text": "first"}])
    before = memory.get("x").updated_at
    clock.advance(step)

    memory.add_many([{"id": "x", "text": "second"}])

    assert memory.get("x").updated_at > before


def test_update_returns_what_is_kept(memory) -> None:
    """The record that `update` returns is the one that `get` returns after it."""
    record_id = memory.add("old", thread="t")

    updated = memory.update(record_id, text="new", tags=["b", "a"], metadata={"n": 1}, ttl=9.8765)

    assert updated == memory.get(record_id)


def test_a_time_to_live_can_be_taken_away(memory, clock) -> None:
    """`ttl=None` in an update makes the record stay."""
    record_id = memory.add("text", ttl=10)

    memory.update(record_id, ttl=None)

    clock.advance(100)
    assert memory.get(record_id).expires_at is None


@pytest.mark.parametrize("name", ["id", "namespace", "created_at", "updated_at", "colour"])
def test_some_fields_cannot_be_changed(memory, name) -> None:
    """Changing what identifies a record, or no field at all, raises `InvalidError`."""
    record_id = memory.add("text")

    with pytest.raises(InvalidError, match=name):
        memory.update(record_id, **{name: "x"})


def test_an_expected_version_guards_the_change(memory, clock) -> None:
    """With `expected_updated_at` an update succeeds on that version and on no other."""
    record_id = memory.add("first")
    version = memory.get(record_id).updated_at
    clock.advance(1)
    memory.update(record_id, text="second", expected_updated_at=version)

    with pytest.raises(ConflictError):
        memory.update(record_id, text="third", expected_updated_at=version)

    assert memory.get(record_id).text == "second"


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({"a": 1, "b": {"c": [0, {"d": object()}]}}, "metadata.b.c[1].d"),
        ({"when": datetime(2026, 1, 1, tzinfo=UTC)}, "metadata.when"),
        ({"n": float("nan")}, "metadata.n"),
        ({"a": {1: "x"}}, "metadata.a"),
    ],
)
def test_the_error_names_what_cannot_be_kept(memory, metadata, path: str) -> None:
    """Metadata that JSON cannot hold is refused with the path to it."""
    with pytest.raises(InvalidError, match="cannot be written as JSON") as caught:
        memory.add("text", metadata=metadata)

    assert caught.value.name.startswith(path)


@pytest.mark.parametrize("ttl", [0, -1, -0.5])
def test_an_end_that_is_past_is_refused(memory, ttl: float) -> None:
    """What would be gone at once is not kept in silence."""
    with pytest.raises(InvalidError, match="ttl"):
        memory.add("text", ttl=ttl)


def test_a_misspelt_field_is_told(memory) -> None:
    """A change of an unknown field names the one that was meant; a fixed one says so."""
    record_id = memory.add("text")

    with pytest.raises(InvalidError, match=r"not a field of a record.*'tags'"):
        memory.update(record_id, tag=["x"])
    with pytest.raises(InvalidError, match="cannot be changed"):
        memory.update(record_id, namespace="x")
