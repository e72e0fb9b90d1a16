from __future__ import annotations

import json
import os

import pytest

import clawstate
from clawstate.errors import CorruptWarning
from clawstate.stores.auth.credentials import ApiKey, OAuth, Token
from clawstate.stores.auth.legacy import AuthImport

KEY = {"type": "api_key", "provider": "openai", "key": "sk-1"}
CACHE = {
    "openai": {"type": "api_key", "key": "sk-old\n", "email": "ada@example.com"},
    "xai": {"mode": "token", "provider": "x.ai", "token": "t"},
    "odd": {"type": "passkey"},
}
LOGINS = {
    "anthropic": {"access": "a", "refresh": "r", "expires": 9_000, "more": 1},
    "openai": {"access": "other"},
    "none": None,
}
FOUND = ["anthropic:default", "openai:default", "xai:default"]


@pytest.fixture(params=["file", "sqlite"])
def state(request, tmp_path, clock):
    with clawstate.open(tmp_path, store=request.param, clock=clock) as opened:
        yield opened


@pytest.fixture
def auth(state):
    return state.auth()


@pytest.fixture
def cache(state):
    path = state.paths.auth_cache("main")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(CACHE))
    return path


@pytest.fixture
def logins(state):
    path = state.paths.legacy_oauth
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(LOGINS))
    return path


@pytest.fixture
def both(cache, logins):
    return cache, logins


def ids(auth):
    return [profile.id for profile in auth.profiles()]


def reopened(state):
    return clawstate.open(
        state.paths.root, store=state._context.backends.store, clock=lambda: 1.8e9
    )


@pytest.mark.usefixtures("both")
def test_credentials_of_older_releases_are_seen_at_once(auth, state) -> None:
    """Profiles in files of older releases are there before anything is written."""
    assert ids(auth) == FOUND
    assert auth.get("openai:default") == ApiKey(
        provider="openai", key="sk-old", email="ada@example.com"
    )
    assert auth.get("xai:default") == Token(provider="x.ai", token="t")
    assert auth.get("anthropic:default") == OAuth(
        provider="anthropic", access="a", refresh="r", expires=9.0, extra={"more": 1}
    )
    assert {each.origin for each in auth.profiles()} == {"legacy"}
    assert auth.secret("openai:default") == "sk-old"
    assert auth.order("openai") == ("openai:default",)
    assert sorted(auth.document()["profiles"]) == FOUND
    assert [(each.place, each.key) for each in auth.problems()] == [
        ("auth:main/auth.json", "odd:default")
    ]
    assert not state.paths.auth_profiles("main").exists()
    assert not (state.paths.root / "state").exists()


def test_the_first_change_keeps_them(auth, state, both) -> None:
    """Whatever is changed first, all that was seen is kept, and the old files stay as they are."""
    texts = [file.read_text() for file in both]

    auth.mark_used("anthropic:default")

    assert {each.origin for each in auth.profiles()} == {"own"}
    assert ids(auth) == FOUND
    assert [file.read_text() for file in both] == texts
    for file in both:
        file.unlink()
    with reopened(state) as other:
        assert ids(other.auth()) == FOUND
        assert other.auth().get("openai:default").key == "sk-old"


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("name", FOUND)
def test_a_removed_profile_does_not_come_back(auth, state, name) -> None:
    """What was removed stays removed, even as the last one, and even if it was never imported."""
    assert auth.remove(name)
    assert auth.get(name) is None
    for other in FOUND:
        auth.remove(other)

    assert auth.profiles() == ()
    assert auth.import_legacy().imported == 0
    with reopened(state) as other:
        assert other.auth().profiles() == ()


@pytest.mark.usefixtures("both")
def test_an_import_tells_what_it_did(auth) -> None:
    """An import counts what is new, what was there, and what cannot be used; again, nothing new."""
    assert auth.import_legacy() == AuthImport(imported=3, present=1, invalid=1)
    assert auth.import_legacy() == AuthImport(imported=0, present=4, invalid=1)
    assert ids(auth) == FOUND


@pytest.mark.usefixtures("both")
def test_a_store_in_use_is_not_mixed_with_old_files(auth, state) -> None:
    """Where there are profiles, old files are read only by an import, which replaces none."""
    path = state.paths.auth_profiles("main")
    if state._context.backends.store == "file":
        path.write_text(json.dumps({"version": 1, "profiles": {"openai:default": KEY}}))
    else:
        state._context.backends.records().collection(auth._own.collection.spec).put(
            "profile/openai:default", KEY
        )
    assert ids(auth) == ["openai:default"]
    auth.mark_used("openai:default")
    assert ids(auth) == ["openai:default"]

    assert auth.import_legacy() == AuthImport(imported=2, present=2, invalid=1)
    assert auth.get("openai:default").key == "sk-1"
    assert ids(auth) == FOUND


@pytest.mark.usefixtures("cache")
def test_an_empty_store_does_not_hide_old_files(auth, state) -> None:
    """A store without profiles, as a program leaves that locked it first, hides nothing."""
    if state._context.backends.store == "file":
        state.paths.auth_profiles("main").write_text('{"version": 1, "profiles": {}}')

    assert ids(auth) == ["openai:default", "xai:default"]


def test_profiles_under_their_ids_are_understood(auth, cache) -> None:
    """An old file that has profiles by their ids is understood as well."""
    cache.write_text(json.dumps({"version": 1, "profiles": {"openai:me": KEY, "bad": KEY}}))

    assert ids(auth) == ["openai:me"]
    assert [each.key for each in auth.problems()] == ["bad"]


def test_a_file_that_comes_back_is_not_imported_again(auth, cache) -> None:
    """After the first import an old file counts no more, whatever is written to it."""
    auth.mark_used("openai:default")
    for name in ids(auth):
        auth.remove(name)

    cache.write_text(json.dumps({"openai": {"type": "api_key", "key": "sk-3"}}))

    assert auth.profiles() == ()


@pytest.mark.parametrize("damage", ["", "{", "7", "[]"])
def test_a_damaged_old_file_hides_nothing(auth, cache, logins, damage) -> None:
    """A damaged file is warned of, left alone and not noted: repaired, it is imported."""
    cache.write_text(damage)
    os.utime(cache, (0, 0))

    with pytest.warns(CorruptWarning, match=r"auth\.json"):
        auth.mark_used("anthropic:default")
    with pytest.warns(CorruptWarning, match=r"auth\.json"):
        assert auth.import_legacy().imported == 0
    assert ids(auth) == ["anthropic:default", "openai:default"]
    assert cache.read_text() == damage
    cache.write_text(json.dumps(CACHE))

    assert auth.import_legacy() == AuthImport(imported=1, present=3, invalid=1)
    assert ids(auth) == FOUND
    assert logins.exists()


def test_the_ledger_holds_no_secret(auth, state, both) -> None:
    """What is noted of an import are ids, a digest and the moment."""
    auth.import_legacy()

    stores = {state.paths.auth_profiles(), state.paths.records_db, *both}
    for file in state.paths.root.rglob("*"):
        if file.is_file() and not any(file.name.startswith(each.name) for each in stores):
            assert b"sk-old" not in file.read_bytes()
    if state._context.backends.store == "file":
        ledger = json.loads((state.paths.root / "state/imports.json").read_text())
        entry = ledger["imports"]["auth:main/auth.json"]
        assert entry["profiles"] == ["openai:default", "xai:default"]
        assert entry["importedAt"] == "2027-01-15T08:00:00.000Z"
        assert len(entry["digest"]) == 64


@pytest.mark.usefixtures("both")
def test_another_agent_sees_them_through_the_main_one(auth, state) -> None:
    """What belongs to no agent is the main agent's, and others inherit it."""
    work = state.auth("work")
    assert ids(work) == FOUND
    assert {each.origin for each in work.profiles()} == {"inherited"}

    work.mark_used("xai:default")

    assert {each.origin for each in auth.profiles()} == {"own"}
    assert work.document()["profiles"] == {}


def test_an_agent_has_an_old_file_of_its_own(state) -> None:
    """The old file of an agent is that agent's alone."""
    path = state.paths.auth_cache("work")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(CACHE))

    assert ids(state.auth("work")) == ["openai:default", "xai:default"]
    assert state.auth().profiles() == ()


def test_a_file_of_an_older_release_is_never_written(state, auth) -> None:
    """Whatever changes, no `auth.json` is made, which OpenClaw would import and delete."""
    auth.upsert("openai:default", KEY)
    auth.upsert("google:me", {**LOGINS["anthropic"], "type": "oauth", "provider": "google"})
    auth.refresh("google:me", lambda _: {"access_token": "b"}, force=True)
    auth.mark_failure("openai:default", "rate_limit")
    state.auth("worker").upsert("openai:own", KEY)
    auth.import_legacy()
    auth.remove("openai:default")

    assert list(state.paths.root.rglob("auth.json")) == []


def test_a_check_names_what_of_an_older_release_cannot_be_used(auth, cache) -> None:
    """Each problem is one finding of the check, by its file and id, and repeats nothing of it."""
    cache.write_text(json.dumps({"version": 1, "profiles": {"openai:me": KEY, "bad": KEY}}))

    found = auth.check()

    assert [(each.code, each.severity) for each in found] == [("profile", "warning")]
    assert "auth:main/auth.json: bad" in found[0].message
    assert "sk-1" not in found[0].message
    assert len(auth.problems()) == 1
