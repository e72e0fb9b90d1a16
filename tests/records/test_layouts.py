from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawstate.errors import InvalidError, VersionError
from clawstate.records.layouts import ListLayout, MapLayout, SectionsLayout

WHOLE = MapLayout()
SECTION = MapLayout("records", version=2)
LIST = ListLayout("records", "id", version=2)
SECTIONS = SectionsLayout({"one": "ones", "two": "twos"}, version=2)
NEEDED = SectionsLayout({"one": "ones", "two": "twos"}, always=frozenset({"one"}))
IN_A_MEMBER = [SECTION, LIST, SECTIONS]
ALL = [WHOLE, *IN_A_MEMBER]

KEYS = st.sampled_from(["a", "b", "c", "version", "42", "a/b", "\u00e9", "__proto__"])
VALUES = st.integers(0, 9) | st.dictionaries(st.sampled_from("xy"), st.integers(0, 9))
MEMBERS = st.dictionaries(KEYS, VALUES, max_size=4)
ITEMS = st.builds(lambda key, rest: {**rest, "id": key}, KEYS, st.dictionaries(KEYS, VALUES))
STRANGE = st.sampled_from([7, None, "a", {}, {"id": 5}, {"id": ""}, {"id": None}, [{"id": "a"}]])
MISFITS = st.just([1, "x"]) | st.integers(0, 9)
REST = st.dictionaries(st.sampled_from(["z", "first", "more", "x"]), VALUES, max_size=3)

few = settings(max_examples=max(settings().max_examples // 4, 1))
by_layout = pytest.mark.parametrize("layout", ALL, ids=repr)
in_a_member = pytest.mark.parametrize("layout", IN_A_MEMBER, ids=repr)


@st.composite
def documents(draw, layout):
    """Return a document as another program might have left it, or None."""
    if layout is WHOLE:
        return draw(st.none() | MEMBERS)
    parts = {**draw(REST), **draw(st.fixed_dictionaries({}, optional=members(layout)))}
    names = draw(st.permutations(sorted(parts)))
    return draw(st.none() | st.just({name: parts[name] for name in names}))


def members(layout):
    version = {"version": st.integers(0, 2)}
    if layout is SECTIONS:
        return {**version, "ones": st.none() | MEMBERS, "twos": st.none() | MEMBERS | MISFITS}
    found = st.lists(ITEMS | STRANGE, max_size=5) if layout is LIST else MEMBERS
    return {**version, "records": st.none() | found}


def records(layout):
    if layout is LIST:
        return st.lists(ITEMS, max_size=4).map(lambda items: {each["id"]: each for each in items})
    if layout is SECTIONS:
        names = st.sampled_from(["one/", "two/"])
        return st.dictionaries(st.builds(str.__add__, names, KEYS), VALUES, max_size=5)
    return MEMBERS


def text(value):
    return json.dumps(value)


@by_layout
@few
@given(data=st.data())
def test_what_was_encoded_is_decoded(layout, data) -> None:
    """A document into which records were put holds those records and no others."""
    document = data.draw(documents(layout))
    wanted = data.draw(records(layout))

    found = layout.decode(layout.encode(document, wanted))

    assert found == wanted


@by_layout
@few
@given(data=st.data())
def test_encoding_what_was_decoded_changes_nothing(layout, data) -> None:
    """Putting back the records that a document holds gives the same document, in its order."""
    document = data.draw(documents(layout).filter(bool))
    document = {name: value for name, value in document.items() if value is not None}
    if layout is not WHOLE:
        document = {"version": 1, "records": [] if layout is LIST else {}, **document}

    again = layout.encode(document, layout.decode(document))

    assert text(again) == text(document)


@by_layout
@few
@given(data=st.data())
def test_encoding_alters_nothing_it_is_given(layout, data) -> None:
    """Document and records that were given stay as they were."""
    document = data.draw(documents(layout))
    wanted = data.draw(records(layout))
    before = copy.deepcopy((document, wanted))

    layout.encode(document, wanted)

    assert text([document, wanted]) == text(list(before))


@in_a_member
@few
@given(data=st.data())
def test_what_is_no_record_stays(layout, data) -> None:
    """All other members of a document stay, with their values and in their order."""
    document = data.draw(documents(layout).filter(bool))
    own = {"records", "ones", "twos"}

    changed = layout.encode(document, data.draw(records(layout)))

    rest = [(name, value) for name, value in document.items() if name not in own]
    kept = [(name, value) for name, value in changed.items() if name not in own]
    assert [pair for pair in kept if pair[0] in document] == rest
    assert {name for name, _ in kept} - document.keys() <= {"version"}


@few
@given(items=st.lists(STRANGE, max_size=6), wanted=records(LIST))
def test_items_that_are_no_records_stay(items, wanted) -> None:
    """A list keeps the items that have no usable key, before the new ones."""
    changed = LIST.encode({"version": 2, "records": items}, wanted)

    assert changed["records"] == [*items, *wanted.values()]


@by_layout
def test_records_stay_in_their_places(layout) -> None:
    """A changed record stays where it was, a deleted one leaves, a new one comes last."""
    prefix = "one/" if layout is SECTIONS else ""
    old, new = (
        {prefix + key: {"id": key, "n": n} for key in keys} for n, keys in enumerate(("bca", "xab"))
    )

    found = layout.decode(layout.encode(layout.encode(None, old), new))

    assert [key.removeprefix(prefix) for key in found] == ["b", "a", "x"]
    assert found == new


def test_of_two_items_with_one_key_the_first_is_the_record() -> None:
    """A list with a key twice gives the first item, and changing it leaves the second alone."""
    document = {"records": [{"id": "a", "n": 1}, {"id": "b"}, {"id": "a", "n": 2}]}

    found = LIST.decode(document)
    changed = LIST.encode(document, {**found, "a": {"id": "a", "n": 3}})

    assert found == {"a": {"id": "a", "n": 1}, "b": {"id": "b"}}
    assert changed["records"] == [{"id": "a", "n": 3}, {"id": "b"}, {"id": "a", "n": 2}]


@in_a_member
def test_a_new_document_has_the_version_first(layout) -> None:
    """A new document starts with the version of its format."""
    document = layout.encode(None, {})

    assert next(iter(document.items())) == ("version", 2)


@in_a_member
@pytest.mark.parametrize("version", [0, 1, 2, "2", None, [], True])
def test_an_older_version_stays(layout, version) -> None:
    """A document of an older or a strange version is understood, and keeps its version."""
    assert layout.decode({"version": version}) == {}
    assert layout.encode({"version": version}, {})["version"] is version


@in_a_member
@pytest.mark.parametrize("version", [3, 2.5, 10**20, 1e300, float("inf")])
def test_a_newer_version_is_refused(layout, version) -> None:
    """A document of a newer format is neither read nor written."""
    with pytest.raises(VersionError):
        layout.decode({"version": version})
    with pytest.raises(VersionError):
        layout.encode({"version": version}, {})


@by_layout
@pytest.mark.parametrize("document", [[], [1], 7, 0, "", "text", True, False], ids=repr)
def test_what_is_no_object_is_refused(layout, document) -> None:
    """A document that is no object can hold no records."""
    with pytest.raises(InvalidError, match="not an object"):
        layout.decode(document)
    with pytest.raises(InvalidError, match="not an object"):
        layout.encode(document, {})


@in_a_member
@pytest.mark.parametrize("found", [7, "text", True, "object or list"], ids=repr)
def test_a_section_of_another_kind_is_refused(layout, found) -> None:
    """A member that should hold the records and cannot is an error that names it."""
    name = "ones" if layout is SECTIONS else "records"
    layout = NEEDED if layout is SECTIONS else layout
    if found == "object or list":
        found = {} if layout is LIST else []

    with pytest.raises(InvalidError, match=name):
        layout.decode({name: found})
    with pytest.raises(InvalidError, match=name):
        layout.encode({name: found}, {})


@by_layout
def test_no_document_holds_no_records(layout) -> None:
    """A collection whose document does not exist is empty."""
    assert layout.decode(None) == {}


@pytest.mark.parametrize("value", [{"id": "b"}, {}, {"id": 1}, 7, None, [], "a"], ids=repr)
def test_a_list_holds_objects_with_their_keys(value) -> None:
    """A value without its key in it has no place in a list."""
    with pytest.raises(InvalidError):
        LIST.encode(None, {"a": value})


@pytest.mark.parametrize("key", ["three", "three/a", "", "/a", "ones/a"])
def test_a_key_names_its_section(key) -> None:
    """A key that starts with no section's name has no place in sections."""
    with pytest.raises(InvalidError, match="one/, two/"):
        SECTIONS.encode(None, {key: 1})


@pytest.mark.parametrize("found", [7, "text", True, [], [{"a": 1}]], ids=repr)
def test_a_section_of_another_kind_hides_no_other(found) -> None:
    """What stands in the place of a section is a record of its own, and stays through changes."""
    document = {"version": 2, "ones": found, "twos": {"a": 1}, "rest": 3}

    records = SECTIONS.decode(document)
    changed = SECTIONS.encode(document, {**records, "two/b": 2})

    assert records == {"one": found, "two/a": 1}
    assert changed == {"version": 2, "ones": found, "twos": {"a": 1, "b": 2}, "rest": 3}


def test_a_section_of_another_kind_goes_with_its_record() -> None:
    """Who removes what stands in the place of a section may put records there."""
    document = {"version": 2, "ones": [7]}

    with pytest.raises(InvalidError, match="ones: is a list"):
        SECTIONS.encode(document, {"one": [7], "one/a": 1})

    assert SECTIONS.encode(document, {"one/a": 1}) == {"version": 2, "ones": {"a": 1}}
    assert SECTIONS.encode(document, {}) == {"version": 2, "ones": {}}


@pytest.mark.parametrize("value", [None, {}, {"a": 1}], ids=repr)
def test_what_is_no_misfit_needs_a_whole_key(value) -> None:
    """An object, or nothing, under the bare name of a section is refused."""
    with pytest.raises(InvalidError, match="one/, two/"):
        SECTIONS.encode(None, {"one": value})
    with pytest.raises(InvalidError, match="one/, two/"):
        NEEDED.encode(None, {"one": 7})


def test_an_empty_section_is_left_out() -> None:
    """A section without records is written only if it was there, or is always."""
    layout = SectionsLayout({"one": "ones", "two": "twos"}, always=frozenset({"two"}))

    assert layout.encode(None, {}) == {"twos": {}}
    assert layout.encode({"ones": {"a": 1}}, {}) == {"ones": {}, "twos": {}}
    assert layout.encode({"ones": None}, {}) == {"ones": None, "twos": {}}


def test_a_key_may_hold_the_separator() -> None:
    """Only the first separator parts the section from the rest of a key."""
    document = SECTIONS.encode(None, {"one/a/b": 1, "two/": 2})

    assert document == {"version": 2, "ones": {"a/b": 1}, "twos": {"": 2}}
    assert SECTIONS.decode(document) == {"one/a/b": 1, "two/": 2}
