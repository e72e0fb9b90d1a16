from __future__ import annotations

import copy
import json
import os
import pickle
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clawstate.errors import (
    ConflictError,
    CorruptError,
    CorruptWarning,
    InvalidError,
    StateError,
    VersionError,
)
from clawstate.stores.device_auth import StoredToken

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
TOKEN = "a-very-secret-token"


@pytest.fixture
def place(state):
    return state.paths.device_auth


@pytest.fixture
def openclaws(state):
    return state.paths.device_identity.with_name("device-auth.json")


def document(place):
    return json.loads(place.read_bytes())


def kept(place, owner, tokens):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps({"version": 1, "deviceId": owner, "tokens": tokens}))


def openclaw_token(token, **others):
    return {"token": token, "role": "operator", "scopes": ["operator.read"], **others}


def test_the_file_is_the_one_specified(state, place) -> None:
    """A token is kept as a text under its name, for the id of this device."""
    state.device_auth.set("gateway", TOKEN)

    assert document(place) == {
        "version": 1,
        "deviceId": state.identity.device_id,
        "tokens": {"gateway": TOKEN},
    }
    assert place.stat().st_mode & 0o777 == 0o600
    assert state.device_auth.tokens() == {"gateway": TOKEN}
    assert state.device_auth.device_id == state.identity.device_id


def test_looking_makes_nothing(state) -> None:
    """Without tokens there are none, and neither a key pair nor a file is made for that."""
    assert state.device_auth.tokens() == {}
    assert state.device_auth.get("gateway") is None
    assert state.device_auth.device_id is None
    assert not state.device_auth.remove("gateway")
    assert not state.paths.root.exists()


def test_scopes_make_it_openclaws_form(state, place, clock) -> None:
    """A token with scopes is kept as OpenClaw keeps it, and read back with them."""
    state.device_auth.set("operator", TOKEN, ["operator.write", "operator.read"])

    assert document(place)["tokens"]["operator"] == {
        "token": TOKEN,
        "role": "operator",
        "scopes": ["operator.read", "operator.write"],
        "updatedAtMs": round(clock() * 1000),
    }
    found = state.device_auth.get("operator")
    assert (found, found.role, found.updated_at) == (TOKEN, "operator", clock())
    assert found.scopes == ("operator.read", "operator.write")


def test_openclaws_form_is_kept(state, place, clock) -> None:
    """A token in OpenClaw's form keeps it, and its other members, when it is replaced."""
    kept(place, "abc", {"operator": openclaw_token("old", updatedAtMs=1, note="x")})

    state.device_auth.set("operator", TOKEN)

    now = round(clock() * 1000)
    assert document(place) == {
        "version": 1,
        "deviceId": "abc",
        "tokens": {"operator": openclaw_token(TOKEN, updatedAtMs=now, note="x")},
    }


def test_removing_leaves_the_others(state, place) -> None:
    """Removing tells whether there was one; others stay, in whatever form."""
    kept(place, "abc", {"a": "1", "b": openclaw_token("2"), "odd": 7})

    assert state.device_auth.remove("a")
    assert not state.device_auth.remove("a")

    assert document(place)["tokens"] == {"b": openclaw_token("2"), "odd": 7}
    assert state.device_auth.tokens() == {"b": "2"}


def test_openclaws_file_is_read_until_there_is_ours(state, place, openclaws) -> None:
    """What OpenClaw holds counts at first; the first change takes it over, and leaves its file."""
    owner = state.identity.device_id
    kept(openclaws, owner, {"operator": openclaw_token("theirs")})
    before = openclaws.read_bytes()
    assert state.device_auth.tokens() == {"operator": "theirs"}

    state.device_auth.set("gateway", TOKEN)

    assert state.device_auth.tokens() == {"operator": "theirs", "gateway": TOKEN}
    assert state.device_auth.remove("operator")
    assert state.device_auth.tokens() == {"gateway": TOKEN}
    assert openclaws.read_bytes() == before


def test_tokens_of_another_device_are_neither_used_nor_lost(state, place) -> None:
    """With a key pair of another id, tokens stay, are not given, and are dropped only by name."""
    kept(place, "someone-else", {"operator": "theirs"})
    mine = state.identity.device_id

    assert state.device_auth.tokens() == {}
    assert state.device_auth.foreign() == "someone-else"
    for change in (
        lambda: state.device_auth.set("gateway", TOKEN),
        lambda: state.device_auth.remove("operator"),
    ):
        with pytest.raises(ConflictError, match="someone-else"):
            change()
    assert document(place)["tokens"] == {"operator": "theirs"}

    assert state.device_auth.discard_foreign() == ("operator",)
    state.device_auth.set("gateway", TOKEN)
    assert document(place) == {"version": 1, "deviceId": mine, "tokens": {"gateway": TOKEN}}
    assert state.device_auth.discard_foreign() == ()


def test_foreign_tokens_of_openclaw_are_not_taken_over(state, place, openclaws) -> None:
    """What OpenClaw holds for another id is not used, and does not hinder."""
    kept(openclaws, "someone-else", {"operator": "theirs"})
    state.identity.load_or_create()

    state.device_auth.set("gateway", TOKEN)

    assert document(place)["tokens"] == {"gateway": TOKEN}


def test_a_token_is_in_no_repr_and_no_error(state) -> None:
    """A token is a text to use, whose repr hides it; refusing one does not repeat it."""
    state.device_auth.set("gateway", TOKEN, ["operator.read"])
    found = state.device_auth.tokens()

    assert TOKEN not in repr(found)
    assert f"Bearer {found['gateway']}" == f"Bearer {TOKEN}"
    for copied in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert (copied, copied["gateway"].scopes) == (found, ("operator.read",))
        assert isinstance(copied["gateway"], StoredToken)
    for wrong in (f"{TOKEN}\n", f"{TOKEN} x", "", "é", TOKEN * 1000, None):
        with pytest.raises(InvalidError) as caught:
            state.device_auth.set("gateway", wrong)
        assert TOKEN not in str(caught.value) + repr(caught.value)
    assert state.device_auth.tokens() == found


@pytest.mark.parametrize("name", ["", " a", "a\n", "\ud800", "x" * 257, None, 7])
def test_a_strange_name_is_refused(state, name) -> None:
    """A name that cannot be shown is refused, and nothing is made."""
    with pytest.raises(InvalidError):
        state.device_auth.set(name, TOKEN)

    assert not state.paths.root.exists()


@pytest.mark.parametrize("scopes", ["operator.read", ["a b"], [7], ["x"] * 33])
def test_strange_scopes_are_refused(state, scopes) -> None:
    """Scopes are a short list of texts without spaces."""
    with pytest.raises(InvalidError):
        state.device_auth.set("gateway", TOKEN, scopes)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
        max_size=4,
    )
)
def test_what_is_set_is_there(state, tokens) -> None:
    """Every name that is accepted gives its token back, until it is removed."""
    names = []
    for name, token in tokens.items():
        try:
            state.device_auth.set(name, token)
        except InvalidError:
            continue
        names.append(name)

    assert state.device_auth.tokens() == {name: tokens[name] for name in names}
    assert all(state.device_auth.remove(name) for name in names)
    assert state.device_auth.tokens() == {}


@pytest.mark.parametrize(
    "text", ["{", "", "[]", '{"version": 1, "tokens": []}', '{"version": 1, "deviceId": 7}']
)
def test_a_damaged_file_is_not_overwritten(state, place, text) -> None:
    """A damaged file gives nothing, with a warning, and refuses changes."""
    place.parent.mkdir(parents=True)
    place.write_text(text)
    os.utime(place, (0, 0))

    with pytest.warns(CorruptWarning):
        assert state.device_auth.tokens() == {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CorruptWarning)
        with pytest.raises(CorruptError):
            state.device_auth.set("gateway", TOKEN)

    assert place.read_text() == text


def test_a_newer_format_is_left_alone(state, place) -> None:
    """A file of a newer format is not read as something else."""
    place.parent.mkdir(parents=True)
    place.write_text('{"version": 2}')

    with pytest.raises(VersionError):
        state.device_auth.tokens()


def test_every_damage_is_told(state, place) -> None:
    """Cut or flipped anywhere, the file gives other tokens or none, and typed errors only."""
    state.device_auth.set("gateway", TOKEN, ["operator.read"])
    whole = place.read_bytes()
    step = 1 if FULL else 7
    for position in range(0, len(whole), step):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        for damaged in (whole[:position], bytes(flipped)):
            place.write_bytes(damaged)
            os.utime(place, (0, 0))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CorruptWarning)
                try:
                    found = state.device_auth.tokens()
                except StateError:
                    continue
            assert all(isinstance(each, str) for each in found.values())
