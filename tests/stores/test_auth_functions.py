from __future__ import annotations

import json

import pytest

import clawstate
from clawstate.errors import CorruptError, CorruptWarning, InvalidError
from clawstate.state.auth_functions import (
    load_auth_profile_store,
    reload_auth_profile_store,
    save_auth_profile_store,
    upsert_auth_profile,
)

KEY = {"type": "api_key", "provider": "openai", "key": "sk-1"}
NAME = "openai:default"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def test_they_share_a_store_with_the_state(home) -> None:
    """What a function stores, the state finds, and the other way round."""
    assert upsert_auth_profile(NAME, {**KEY, "key": " sk-1\n"}) == KEY

    with clawstate.open() as state:
        assert state.auth().get(NAME).key == "sk-1"
        state.auth().upsert("xai:b", {**KEY, "provider": "xai"})
    assert sorted(reload_auth_profile_store()["profiles"]) == [NAME, "xai:b"]
    assert load_auth_profile_store(state_dir=home) == reload_auth_profile_store("main")


def test_a_loaded_store_is_a_plain_document() -> None:
    """What is loaded is a dict that JSON writes."""
    assert load_auth_profile_store() == {"version": 1, "profiles": {}}
    upsert_auth_profile(NAME, KEY)

    assert json.loads(json.dumps(load_auth_profile_store()))["profiles"] == {NAME: KEY}


def test_saving_writes_what_was_changed() -> None:
    """Profiles, orders and usage that the holder changed, added or removed are saved."""
    upsert_auth_profile("a:x", KEY)
    upsert_auth_profile("b:x", KEY)
    store = load_auth_profile_store()

    store["profiles"]["c:x"] = {**KEY, "key": "sk-\n3"}
    store["profiles"]["a:x"]["email"] = "ada@example.com"
    del store["profiles"]["b:x"]
    store["order"] = {"openai": ["c:x", "a:x"]}
    save_auth_profile_store(store)

    assert load_auth_profile_store() == {
        "version": 1,
        "profiles": {"a:x": {**KEY, "email": "ada@example.com"}, "c:x": {**KEY, "key": "sk-3"}},
        "order": {"openai": ["c:x", "a:x"]},
    }


def test_saving_undoes_nothing_of_others() -> None:
    """What others changed since a store was loaded stays when it is saved."""
    upsert_auth_profile("a:x", KEY)
    upsert_auth_profile("b:x", KEY)
    store = load_auth_profile_store()
    upsert_auth_profile("a:x", {**KEY, "key": "sk-2"})
    with clawstate.open() as state:
        state.auth().remove("b:x")
        state.auth().upsert("c:x", KEY)

    store["profiles"]["d:x"] = KEY
    save_auth_profile_store(store)

    found = load_auth_profile_store()["profiles"]
    assert found == {"a:x": {**KEY, "key": "sk-2"}, "c:x": KEY, "d:x": KEY}


def test_any_other_document_replaces_what_is_kept(home) -> None:
    """A document that was not loaded replaces the profiles, but none of an unknown type."""
    odd = {"type": "passkey", "provider": "x"}
    path = home / "agents/main/agent/auth-profiles.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"profiles": {"a:x": KEY, "b:odd": odd}, "zebra": 1}))

    save_auth_profile_store({"version": 1, "profiles": {NAME: KEY}})

    found = json.loads(path.read_text())
    assert found == {"version": 1, "profiles": {"b:odd": odd, NAME: KEY}, "zebra": 1}


def test_what_is_inherited_is_not_copied() -> None:
    """Saving the merged document of an agent writes what is its own."""
    upsert_auth_profile(NAME, KEY)
    store = load_auth_profile_store("work")
    assert store["profiles"] == {NAME: KEY}

    store["profiles"]["a:own"] = KEY
    save_auth_profile_store(store, "work")
    with clawstate.open() as state:
        assert state.auth("work").document()["profiles"] == {"a:own": KEY}
        save_auth_profile_store(dict(load_auth_profile_store("work")), "work")
        assert state.auth("work").document()["profiles"] == {"a:own": KEY}
        save_auth_profile_store({"profiles": {NAME: {**KEY, "key": "sk-2"}}}, "work")
        assert state.auth("work").document()["profiles"] == {NAME: {**KEY, "key": "sk-2"}}
        assert state.auth().secret(NAME) == "sk-1"


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"profiles": []},
        {"profiles": {"a:x": {**KEY, "type": "odd"}}},
        {"profiles": {"nocolon": KEY}},
        {"profiles": {"a:x": {**KEY, "key": 7}}},
    ],
    ids=repr,
)
def test_a_document_that_cannot_be_kept_changes_nothing(document) -> None:
    """One bad profile in a document, and nothing of it is saved."""
    upsert_auth_profile(NAME, KEY)

    with pytest.raises(InvalidError):
        save_auth_profile_store(document)

    assert load_auth_profile_store()["profiles"] == {NAME: KEY}


def test_saving_overwrites_no_damaged_file(home) -> None:
    """A damaged store is an error for who saves, and a warning for who loads."""
    upsert_auth_profile(NAME, KEY)
    path = home / "agents/main/agent/auth-profiles.json"
    path.write_text("{")

    with pytest.warns(CorruptWarning):
        store = load_auth_profile_store()
    with pytest.raises(CorruptError):
        save_auth_profile_store({"profiles": {}})

    assert store["profiles"] == {NAME: KEY}
    assert path.read_text() == "{"


def test_nothing_is_saved_where_nothing_changed(home) -> None:
    """A store that is saved as it was loaded is not written, and creates nothing."""
    save_auth_profile_store(load_auth_profile_store())

    assert not list(home.rglob("auth-profiles.json"))
