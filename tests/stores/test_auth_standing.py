"""States of profiles: nothing is called good that cannot be used."""

from __future__ import annotations

import json

import pytest

import clawstate
from clawstate.clock import to_ms
from clawstate.doctor import examine
from clawstate.stores.auth.availability import STATES
from clawstate.stores.auth.credentials import ApiKey, OAuth, Token
from manual_clock import ManualClock

NOW = ManualClock()()
KEY = {"type": "api_key", "provider": "openai", "key": "sk-canary-0123456789"}
LOGIN = {"type": "oauth", "provider": "google", "access": "a", "refresh": "r"}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    place = tmp_path / "home"
    place.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(place))
    for name in ("XDG_CONFIG_HOME", "CLAWSTATE_PASSPHRASE_FILE", "CLAWSTATE_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    return place


@pytest.fixture(params=["file", "sqlite"])
def opened(request, tmp_path, clock):
    def opened():
        return clawstate.open(tmp_path / "state", store=request.param, clock=clock)

    return opened


def states(state):
    auth = state.auth()
    return {each.id: auth.standing(each).state for each in auth.profiles()}


def test_a_missing_key_is_told(opened, home):
    """With the key of the encryption gone no sealed secret is called good, and it comes back."""
    with opened() as state:
        state.auth().upsert("openai:a", KEY)
        state.auth().upsert("google:b", {**LOGIN, "expires": to_ms(NOW + 60)})
        state.auth().upsert("openai:c", {**KEY, "key": "${NOT_THERE}"})
        state.encryption.turn_on("file")
        assert states(state) == {"openai:a": "good", "google:b": "good", "openai:c": "not-set"}
    (key,) = home.rglob("*.key")
    away = key.rename(key.with_suffix(".away"))

    with opened() as state:
        assert states(state) == {
            "openai:a": "key-missing",
            "google:b": "key-missing",
            "openai:c": "not-set",
        }
        assert "is missing" in (state.encryption.problem() or "")
    away.rename(key)

    with opened() as state:
        assert states(state)["openai:a"] == "good"
        assert state.encryption.problem() is None


def test_missing_keys_of_the_state_are_told(opened, tmp_path):
    """So it is where `state/keys.json` is gone."""
    with opened() as state:
        state.auth().upsert("openai:a", KEY)
        state.encryption.turn_on("file")
    (tmp_path / "state/state/keys.json").unlink()

    with opened() as state:
        assert states(state) == {"openai:a": "key-missing"}


def test_a_secret_that_was_changed_is_damaged(opened):
    """A sealed secret that does not open with its key is told as damaged."""
    with opened() as state:
        state.auth().upsert("openai:a", KEY)
        state.encryption.turn_on("file")
        state.auth().upsert("openai:b", KEY)
        document = state.auth().document()
        moved = document["profiles"]["openai:b"]["keySealed"]
        state.auth()._own.collection.update(
            "profile/openai:a", lambda old: {**old, "keySealed": moved}
        )

        assert states(state) == {"openai:a": "damaged", "openai:b": "good"}


def test_a_passphrase_is_not_asked_for(opened, tmp_path, monkeypatch):
    """What opens with a passphrase that a person gives is looked at when it was given."""
    path = tmp_path / "passphrase"
    path.write_text("correct horse battery\n")
    path.chmod(0o600)
    monkeypatch.setenv("CLAWSTATE_PASSPHRASE_FILE", str(path))
    with opened() as state:
        state.auth().upsert("openai:a", KEY)
        state.encryption.turn_on("passphrase")
    monkeypatch.delenv("CLAWSTATE_PASSPHRASE_FILE")

    with opened() as state:
        assert states(state) == {"openai:a": "good"}
        assert state.encryption.problem() is None


@pytest.mark.parametrize(
    ("credential", "state"),
    [
        (ApiKey(provider="x", key="k"), "good"),
        (ApiKey(provider="x", key="${NOT_THERE}"), "not-set"),
        (
            ApiKey(provider="x", key_ref={"source": "env", "provider": "default", "id": "NO"}),
            "not-set",
        ),
        (ApiKey(provider="x", key_ref={"source": "file", "provider": "p", "id": "/x"}), "good"),
        (Token(provider="x", token="t"), "good"),
        (Token(provider="x", token="t", expires=NOW + 1), "good"),
        (Token(provider="x", token="t", expires=NOW), "expired"),
        (OAuth(provider="x", access="a", refresh="r", expires=NOW + 1), "good"),
        (OAuth(provider="x", access="a", refresh="r", expires=NOW - 1), "will-refresh"),
        (OAuth(provider="x", access=None, refresh="r", expires=NOW + 1), "will-refresh"),
        (OAuth(provider="x", access="a", refresh=None, expires=NOW - 1), "expired"),
        (OAuth(provider="x", access="a", refresh="", expires=NOW - 1), "expired"),
    ],
)
def test_a_profile_stands_as_it_can_be_used(tmp_path, clock, credential, state):
    """What is over, renewable, or only a name of a secret is told as that."""
    with clawstate.open(tmp_path / "state", clock=clock) as opened:
        opened.auth().upsert("x:a", credential)

        assert states(opened) == {"x:a": state}


def test_a_profile_without_a_secret_is_not_good(tmp_path, clock):
    """A profile that another program left empty lacks its secret."""
    path = tmp_path / "state/agents/main/agent/auth-profiles.json"
    path.parent.mkdir(parents=True)
    profiles = {
        "x:a": {"type": "api_key", "provider": "x"},
        "x:b": {**LOGIN, "access": "", "refresh": " "},
    }
    path.write_text(json.dumps({"version": 1, "profiles": profiles}))

    with clawstate.open(tmp_path / "state", clock=clock) as state:
        assert states(state) == {"x:a": "missing", "x:b": "missing"}


def test_every_state_is_in_the_documentation(request):
    """The page about credentials lists all states, by both names."""
    page = (request.config.rootpath / "docs/how-to/auth.md").read_text()

    rows = [line for line in page.splitlines() if line.startswith("|")]
    for name, words in STATES.items():
        assert any(f"`{name}`" in row and row[2:].startswith(words) for row in rows), name


def test_seconds_are_taken_as_seconds(opened, clock):
    """A login whose end is in seconds ends then, and is kept in milliseconds."""
    with opened() as state:
        made = state.auth().upsert("google:a", {**LOGIN, "expires": int(NOW) + 3600})
        assert made.expires == NOW + 3600
        assert state.auth().document()["profiles"]["google:a"]["expires"] == to_ms(NOW + 3600)

        state.auth()._own.collection.update(
            "profile/google:a", lambda old: {**old, "expires": int(NOW) - 5}
        )

        assert states(state) == {"google:a": "will-refresh"}
        assert state.auth().require("google:a").expires == NOW - 5
        assert "seconds" in {each.code for each in examine(state)}
        state.auth().upsert("google:a", {**LOGIN, "expires": int(NOW) - 5})
        assert state.auth().document()["profiles"]["google:a"]["expires"] == to_ms(NOW - 5)


def test_an_api_key_in_the_place_of_a_login_keeps_no_mark(opened):
    """A profile that becomes an API key while it is refreshed has nothing of a refresh left."""
    with opened() as state:
        state.auth().upsert("google:a", {**LOGIN, "expires": 1})

        def overtaken(_):
            state.auth().upsert("google:a", {"type": "api_key", "provider": "google", "key": "k"})
            return {"access_token": "b", "refresh_token": "s"}

        with pytest.raises(clawstate.errors.InvalidError, match="cannot be refreshed"):
            state.auth().refresh("google:a", overtaken)

        record = state.auth().document()["profiles"]["google:a"]
    assert record == {"type": "api_key", "provider": "google", "key": "k"}
