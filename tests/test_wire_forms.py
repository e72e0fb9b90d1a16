"""The JSON forms of public values: all have one, none holds a secret, what comes back is equal."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clawstate.types as values
from clawstate.clock import from_ms, to_iso
from clawstate.config.history import FileChange
from clawstate.errors import InvalidError
from clawstate.memory.filters import And, Condition, Filter, Not, Or, filter_from
from clawstate.types import (
    ApiKey,
    AuthProblem,
    Change,
    Compaction,
    Conflict,
    Device,
    DeviceIdentity,
    DeviceToken,
    DuplicateGroup,
    Explanation,
    Finding,
    Forgotten,
    Hit,
    InboxItem,
    IssuedToken,
    LegScore,
    MatrixCredential,
    MatrixStoragePaths,
    MemoryChange,
    MemoryRecord,
    MemorySpan,
    MergeResult,
    Message,
    OAuth,
    OpenClawSession,
    PairingRequest,
    PluginInfo,
    Profile,
    Proof,
    Provenance,
    Recall,
    Receipt,
    RecordVersion,
    Reembedding,
    RetentionPolicy,
    RetentionReport,
    RetentionRule,
    ScorePart,
    SessionChange,
    SessionEntry,
    Standing,
    StoredToken,
    Token,
    TranscriptHit,
    TranscriptImport,
    TranscriptInfo,
    TranscriptProblem,
    Unmet,
    Verdict,
)
from clawstate.wire import FORMS, from_wire, to_wire
from clawstate.wire.members import Members

SECRET = "made-up-secret-0123456789abcdef"
# Handed in, or only paths of this machine: no face shows them.
# A map goes over HTTP as columns of numbers.
FORMLESS = {"LockOptions", "MapColumn", "MapRegion", "MemoryMap", "Plugin", "Runtime", "StatePaths"}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text("abcefghjkl", min_size=1, max_size=6)  # none that a form itself uses
# What others put into messages and entries may have any name.
foreign_names = names | st.sampled_from(
    ["key", "updatedAtMs", "sessionId", "score", "snippet", "timestampMs", "others", "owner"]
)
moments = st.integers(0, 10**13).map(from_ms)
maybe_moments = st.none() | moments
maybe_texts = st.none() | texts
scores = st.floats(0, 1).map(lambda score: round(score, 4))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
tuples_of_texts = st.lists(texts, max_size=3).map(tuple)

records = st.builds(
    MemoryRecord,
    id=names,
    text=texts,
    source=maybe_texts,
    tags=tuples_of_texts,
    metadata=st.dictionaries(texts, json_values, max_size=3),
    importance=st.floats(0, 1),
    category=texts,
    namespace=texts,
    thread=maybe_texts,
    position=st.none() | st.integers(0, 2**40),
    created_at=moments,
    updated_at=moments,
    expires_at=maybe_moments,
)
rules = st.builds(
    RetentionRule,
    action=st.sampled_from(["archive", "forget"]),
    older_than=st.none() | st.floats(0, 1e9),
    importance_below=st.none() | st.floats(0, 1),
    category=maybe_texts,
    source=maybe_texts,
    tag=maybe_texts,
    namespace=maybe_texts,
)
forgotten = st.builds(
    Forgotten,
    names,
    names,
    versions=st.integers(0, 99),
    words=st.integers(0, 99),
    tags=st.integers(0, 99),
    vector=st.booleans(),
    sources=st.integers(0, 99),
)
parts = st.builds(
    ScorePart,
    kind=st.sampled_from(["word", "phrase", "meaning", "neighbours"]),
    points=scores,
    value=scores,
    leg=st.sampled_from(["words", "vector", ""]),
    term=texts,
    written=texts,
    field=texts,
    lenders=tuples_of_texts,
)
legs = st.builds(
    LegScore, score=scores, best=scores, share=scores, rank=st.integers(1), compared=st.integers(1)
)
explanations = st.builds(
    Explanation,
    score=scores,
    parts=st.lists(parts, max_size=3).map(tuple),
    legs=st.dictionaries(st.sampled_from(["words", "vector"]), legs),
    factor=scores,
    top=scores,
    strength=scores,
    missing=tuples_of_texts,
    equals=st.integers(0, 99),
)
unmet = st.builds(Unmet, texts, texts)
verdicts = st.builds(
    Verdict,
    id=names,
    reason=st.sampled_from(["shown", "below-cut", "filtered", "no-match", "not-embedded"]),
    mode=st.sampled_from(["hybrid", "words", "vector"]),
    source=maybe_texts,
    score=st.none() | scores,
    rank=st.none() | st.integers(1),
    vector_score=st.none() | scores,
    compared=st.integers(0),
    hits=st.integers(0),
    least=st.none() | scores,
    min_score=scores,
    legs=st.dictionaries(st.sampled_from(["words", "vector"]), legs),
    unmet=st.lists(unmet, max_size=2).map(tuple),
    expired_at=maybe_moments,
    is_embedded=st.none() | st.booleans(),
    explanation=st.none() | explanations,
)
noted = st.dictionaries(
    foreign_names.filter(lambda name: name != "sessionId"), json_values, max_size=3
)
entries = st.builds(SessionEntry, texts, names, texts, moments, noted)


@st.composite
def messages(draw):
    moment, said = draw(moments), draw(st.dictionaries(foreign_names, json_values, max_size=3))
    kind, role = draw(st.sampled_from([("message", "user"), ("message", ""), ("note", "")]))
    entry = {"type": kind, "id": "m", "parentId": None, "timestamp": to_iso(moment)}
    if role:
        said = {"role": role, **said}
    body = {"message": said} if kind == "message" else said
    return Message("", "m", None, kind, role, moment, 0, {**entry, **body})


tokens = st.builds(
    DeviceToken,
    names,
    st.just(""),
    tuples_of_texts,
    moments,
    maybe_moments,
    maybe_moments,
    maybe_moments,
    maybe_moments,
)
devices = st.builds(
    Device,
    names,
    names,
    tuples_of_texts,
    tuples_of_texts,
    moments,
    moments,
    account_id=maybe_texts,
    name=maybe_texts,
    public_key=maybe_texts,
    revoked_at=maybe_moments,
    role=names,
    tokens=st.lists(tokens, max_size=2).map(lambda found: {each.role: each for each in found}),
)
problems = st.builds(TranscriptProblem, st.integers(1), texts)
changes = st.builds(
    Change,
    st.integers(1, 10**6),
    moments,
    maybe_texts,
    texts,
    tuples_of_texts,
    texts,
    texts,
    st.none() | st.integers(1, 99),
    st.lists(st.builds(FileChange, texts, maybe_texts, texts), max_size=2).map(tuple),
)
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
demands = st.one_of(
    st.tuples(names, plain),
    st.tuples(names, st.lists(plain, max_size=3)),
    st.tuples(names, st.fixed_dictionaries({"gte": numbers, "lt": numbers})),
    st.tuples(names, st.sampled_from([{"ne": 1}, {"not_in": ["a"]}, {"exists": False}])),
    st.just(("$tags", {"not_in": ["a", "b"]})),
    st.just(("$tags", ["a", "b"])),
    st.just(("$tags", {"ne": "a"})),
    st.just(("$tags", [])),
    st.just(("$created_at", {"gte": 5.25})),
)
wheres = st.recursive(
    st.lists(demands, max_size=3).map(dict),
    lambda inner: st.builds(
        lambda both, more: {**both, **more},
        st.lists(demands, max_size=2).map(dict),
        st.dictionaries(st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=1, max_size=3))
        | inner.map(lambda part: {"$not": part}),
    ),
    max_leaves=8,
)
filters = st.builds(
    lambda namespace, where, tags: filter_from(namespace=namespace, where=where, tags=tags),
    st.none() | names,
    wheres,
    st.none() | st.lists(names, max_size=2),
)

provenances = st.builds(
    Provenance, texts, texts, texts, st.sampled_from(["owner", "agent", "untrusted"])
)

ROUND_TRIPS = {
    MergeResult: st.builds(
        MergeResult, *[tuples_of_texts] * 4, refused=st.dictionaries(texts, texts, max_size=2)
    ),
    AuthProblem: st.builds(AuthProblem, texts, texts, texts),
    Change: changes,
    Device: devices,
    MatrixStoragePaths: st.builds(MatrixStoragePaths, st.just(Path("/a/b")), texts, texts, texts),
    DeviceIdentity: st.builds(DeviceIdentity, texts, texts, maybe_moments),
    DeviceToken: tokens,
    Filter: filters,
    Finding: st.builds(
        Finding, names, st.sampled_from(["error", "warning", "info"]), texts, texts, texts
    ),
    TranscriptHit: st.builds(
        lambda message, score, snippet: TranscriptHit(
            dataclasses.replace(message, session_id="s"), score, snippet
        ),
        messages(),
        scores,
        texts,
    ),
    TranscriptInfo: st.builds(
        TranscriptInfo, names, st.integers(0), st.integers(0), maybe_texts, moments, moments
    ),
    Compaction: st.builds(
        Compaction,
        st.integers(0),
        st.integers(0),
        st.integers(0),
        complete=st.booleans(),
        waits_for=maybe_texts,
    ),
    Forgotten: forgotten,
    Receipt: st.builds(
        Receipt,
        st.lists(forgotten).map(tuple),
        st.lists(names).map(tuple),
        gone=st.booleans(),
        waits_for=maybe_texts,
    ),
    Conflict: st.builds(
        Conflict,
        st.sampled_from(["successors", "position"]),
        st.lists(names).map(tuple),
        texts,
    ),
    DuplicateGroup: st.builds(
        DuplicateGroup,
        st.lists(names).map(tuple),
        st.lists(scores).map(tuple),
        st.integers(0),
    ),
    MemoryChange: st.builds(
        MemoryChange,
        moments,
        st.sampled_from(["added", "updated", "forgotten"]),
        maybe_texts,
        st.none() | records,
        st.none() | records,
        st.lists(names).map(tuple),
        st.integers(1),
        st.none() | st.integers(1),
    ),
    MemorySpan: st.builds(MemorySpan, *[st.integers(0)] * 7),
    SessionChange: st.builds(
        SessionChange,
        moments,
        st.sampled_from(["added", "updated", "ended"]),
        texts,
        texts,
        changed=st.lists(names).map(tuple),
    ),
    RetentionRule: rules,
    RetentionPolicy: st.builds(
        RetentionPolicy,
        rules=st.lists(rules, max_size=2).map(tuple),
        archive_for=st.none() | st.floats(0, 1e9),
    ),
    RetentionReport: st.builds(
        RetentionReport,
        archived=st.lists(names).map(tuple),
        forgotten=st.lists(names).map(tuple),
        expired=st.integers(0),
        is_dry=st.booleans(),
    ),
    RecordVersion: st.builds(
        RecordVersion,
        records,
        moments,
        maybe_moments,
        st.none() | st.sampled_from(["updated", "superseded"]),
        successors=st.lists(names).map(tuple),
        changed=st.lists(names).map(tuple),
    ),
    Reembedding: st.builds(
        Reembedding,
        maybe_texts,
        texts,
        st.integers(1),
        records=st.integers(0),
        done=st.integers(0),
        texts=st.integers(0),
        characters=st.integers(0),
        seconds=st.integers(0, 10**9).map(lambda number: number / 1000),
        bytes=st.integers(0),
        local=st.none() | st.booleans(),
        complete=st.booleans(),
    ),
    Explanation: explanations,
    LegScore: legs,
    ScorePart: parts,
    Unmet: unmet,
    Verdict: verdicts,
    Hit: st.builds(
        Hit, records, scores, st.none() | scores, st.none() | scores, st.none() | explanations
    ),
    MemoryRecord: records,
    Message: messages(),
    InboxItem: st.builds(InboxItem, *[texts] * 4, scores, texts, provenances, moments),
    Provenance: provenances,
    Recall: st.builds(
        Recall,
        texts,
        st.lists(st.builds(Hit, records, scores), max_size=2).map(tuple),
        st.integers(0),
        st.integers(0),
    ),
    PluginInfo: st.builds(
        PluginInfo, *[texts] * 4, maybe_texts, *[texts] * 4, st.lists(names, max_size=2).map(tuple)
    ),
    PairingRequest: st.builds(
        PairingRequest,
        names,
        names,
        names,
        st.integers(0, 2**52).map(from_ms),
        account_id=maybe_texts,
        scopes=st.none() | tuples_of_texts,
        name=maybe_texts,
        public_key=maybe_texts,
        collects=st.booleans(),
    ),
    Proof: st.builds(Proof, names, names, st.integers(0, 2**52), names),
    SessionEntry: entries,
    Standing: st.builds(Standing, names, maybe_moments),
    TranscriptImport: st.builds(
        TranscriptImport, st.integers(0), st.integers(0), st.lists(problems, max_size=2).map(tuple)
    ),
    TranscriptProblem: problems,
}

by_kind = pytest.mark.parametrize("kind", ROUND_TRIPS, ids=lambda kind: kind.__name__)


def sent(value) -> object:
    """Return the form of *value* as another program reads it."""
    return json.loads(json.dumps(to_wire(value)))


def test_every_public_value_has_a_form() -> None:
    """Each type of `clawstate.types` has a JSON form, or is one of the few that no face shows."""
    public = {name: getattr(values, name) for name in values.__all__}

    formless = {
        name
        for name, kind in public.items()
        if isinstance(kind, type)
        and not any(f"{each.__module__}:{each.__qualname__}" in FORMS for each in kind.__mro__)
    }

    assert formless == FORMLESS


@pytest.mark.parametrize("place", FORMS)
def test_a_form_belongs_to_a_class(place: str) -> None:
    """Each entry of the table names a class that is there, and a function that writes it."""
    module, _, name = place.partition(":")
    forms, _, form = FORMS[place].partition(":")

    assert isinstance(getattr(import_module(module), name), type)
    assert callable(getattr(import_module(f"clawstate.wire.{forms}"), f"write_{form}"))


def test_every_way_back_is_tried() -> None:
    """Each class that can be read from its form is one of those that go there and back here."""
    readable = {
        place
        for place, form in FORMS.items()
        if hasattr(
            import_module(f"clawstate.wire.{form.partition(':')[0]}"),
            f"read_{form.partition(':')[2]}",
        )
    }

    assert readable == {f"{kind.__module__}:{kind.__qualname__}" for kind in ROUND_TRIPS}


@by_kind
@given(data=st.data())
def test_what_comes_back_is_equal(kind, data) -> None:
    """A value that went through JSON is the same value, and has the same form again."""
    value = data.draw(ROUND_TRIPS[kind])
    context = {"session_id": value.session_id} if kind is Message else {}

    back = from_wire(kind, sent(value), **context)

    assert back == value
    assert sent(back) == sent(value)


@by_kind
@given(data=st.data())
def test_a_broken_document_is_refused(kind, data) -> None:
    """A form with a member lost or changed gives a value or an `InvalidError`, nothing else."""
    document = sent(data.draw(ROUND_TRIPS[kind]))
    name = data.draw(st.sampled_from([*document]))
    document[name] = data.draw(json_values)
    if data.draw(st.booleans()):
        del document[name]

    for given_ in (document, document.get(name), [document]):
        try:
            found = from_wire(kind, given_)
        except InvalidError:
            continue
        assert isinstance(found, kind)


SECRETIVE = [
    ApiKey(provider="openai", key=SECRET, extra={"old": SECRET}),
    Token(provider="openai", token=SECRET, extra={"old": SECRET}),
    OAuth(provider="google", access=SECRET, refresh=SECRET, extra={"old": SECRET}),
    Profile(id="openai:a", credential=ApiKey(provider="openai", key=SECRET)),
    Profile(id="google:a", credential=OAuth(provider="google", access=SECRET, refresh=SECRET)),
    StoredToken(SECRET, role="operator"),
    MatrixCredential("https://h.org", "@a:h.org", SECRET),
    DeviceToken("operator", SECRET, (), 1.0),
    Device("d", "u", (), (), 1.0, 1.0, tokens={"operator": DeviceToken("operator", SECRET, (), 1)}),
    IssuedToken("d", "u", "operator", SECRET, ()),
]


@pytest.mark.parametrize("value", SECRETIVE, ids=lambda value: type(value).__name__)
def test_no_form_holds_a_secret(value) -> None:
    """A key, a token or the digest of one is in no form, not even beside or below another value."""
    assert SECRET in str(dataclasses.astuple(value) if dataclasses.is_dataclass(value) else value)

    for shown in (value, [value], {"a": (value,)}):
        assert SECRET not in json.dumps(to_wire(shown))


def test_every_field_with_a_secret_is_tried() -> None:
    """Each public value with a field that holds a secret is one of those that are shown here."""
    holding = {"key", "token", "access", "refresh", "hash", "credential", "tokens"}
    # The key of a problem is the id of a profile, the tokens of texts are counted.
    others = {"AuthProblem", "Recall", "Reembedding"}
    public = [getattr(values, name) for name in values.__all__ if name not in others]

    found = {
        kind.__name__
        for kind in public
        if dataclasses.is_dataclass(kind) and holding & {f.name for f in dataclasses.fields(kind)}
    }

    assert found <= {type(each).__name__ for each in SECRETIVE}


def test_what_has_no_form_is_refused() -> None:
    """A value that no face shows, and a kind without a way back, are `InvalidError`s."""
    with pytest.raises(InvalidError, match="no JSON form"):
        to_wire(object())
    with pytest.raises(InvalidError, match="cannot be read"):
        from_wire(IssuedToken, {})
    assert to_wire({"a": [1, None, True, "x"]}) == {"a": [1, None, True, "x"]}


def test_a_filter_nested_as_deep_as_may_be_comes_back() -> None:
    """The form of a filter is no deeper than what the caller wrote."""
    where = {"a": 1, "b": {"gte": 1, "lt": 2}, "$tags": ["x", "y"]}
    for _ in range(19):
        where = {"$not": where}

    chosen = filter_from(where=where)

    assert from_wire(Filter, sent(chosen)) == chosen


@pytest.mark.parametrize(
    "tree",
    [
        And(()),
        Or(()),
        Not(Or(())),
        And((Condition("metadata", ("a",), "gt", 1), Condition("metadata", ("a",), "gt", 2))),
        And((Condition("metadata", ("a",), "eq", 1),)),
        Condition("metadata", ("a",), "lt", float("inf")),
    ],
)
def test_a_tree_comes_back(tree) -> None:
    """Trees that only code makes come back as well."""
    assert from_wire(Filter, sent(Filter(tree=tree))).tree == tree


def test_own_members_of_a_form_count_over_those_of_others() -> None:
    """What a message or an entry says under a name of the form stands below `others`."""
    said = {"role": "user", "content": "hi", "timestamp": 7, "score": 1, "id": None, "others": [2]}
    entry = {"type": "message", "id": "m", "parentId": None, "timestamp": to_iso(5.0)}
    message = Message("s", "m", None, "message", "user", 5.0, 0, {**entry, "message": said})
    session = SessionEntry("k", "i", "", 5.0, {"key": "x", "updatedAtMs": "y", "owner": 1})

    found = to_wire(TranscriptHit(message, 0.5, "hi"))
    kept = to_wire(session)
    theirs = to_wire(OpenClawSession("main", session))

    assert (found["score"], found["id"], found["timestampMs"]) == (0.5, "m", 5000)
    assert found["others"] == {"score": 1, "id": None, "timestamp": 7, "others": [2]}
    assert to_wire(message)["score"] == 1
    assert from_wire(Message, to_wire(message), session_id="s") == message
    assert from_wire(TranscriptHit, found) == TranscriptHit(message, 0.5, "hi")
    assert (kept["key"], kept["updatedAtMs"], kept["owner"]) == ("k", 5000, 1)
    assert kept["others"] == {"key": "x", "updatedAtMs": "y"}
    assert from_wire(SessionEntry, kept) == session
    assert theirs["owner"] == "openclaw"
    assert theirs["others"] == {**kept["others"], "owner": 1}


@pytest.mark.parametrize(
    "value", [math.nan, [math.inf], {1: "a", "1": "b"}, {"deep": {"in": -math.inf}}], ids=str
)
def test_what_is_no_json_has_no_form(value) -> None:
    """Numbers that JSON has not, and two members of one name, are refused."""
    with pytest.raises(InvalidError):
        to_wire(value)


def test_what_holds_itself_has_no_form() -> None:
    """A list that holds itself is refused, and not followed for ever."""
    endless: list[object] = []
    endless.append(endless)

    with pytest.raises(InvalidError, match="holds itself"):
        to_wire(endless)


@pytest.mark.parametrize("number", [10**400, -(10**400), 10**308])
def test_a_number_without_bounds_is_wrong_or_right_but_no_accident(number) -> None:
    """An integer that is greater than any float is a mistake of the document."""
    document = {**to_wire(Finding("a", "info", "p", "m", "f")), "severity": number}
    with pytest.raises(InvalidError):
        from_wire(Finding, document)
    members = Members({"n": number}, "thing")
    if abs(number) > sys.float_info.max:
        with pytest.raises(InvalidError, match="n"):
            members.number("n")
    else:
        assert members.number("n") == float(number)
