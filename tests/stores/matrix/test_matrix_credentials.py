from __future__ import annotations

import json

import pytest

from clawstate.errors import CorruptError, InvalidError

SERVER, USER, TOKEN = "https://example.org", "@bot:example.org", "syt_a_secret"


@pytest.fixture
def path(state):
    return state.paths.credentials_dir / "matrix" / "credentials.json"


def test_the_file_is_openclaws(state, path) -> None:
    """The credential lies where OpenClaw has it, in its form, and only its owner may read it."""
    state.matrix.credentials().save(SERVER, USER, TOKEN, device_id="DEV")

    document = json.loads(path.read_text())
    assert {k: v for k, v in document.items() if not k.endswith("At")} == {
        "homeserver": SERVER,
        "userId": USER,
        "accessToken": TOKEN,
        "deviceId": "DEV",
    }
    assert document["createdAt"] == document["lastUsedAt"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_an_account_has_a_file_of_its_own(state, path) -> None:
    """Any account but the default one has its name in that of the file."""
    state.matrix.credentials("Work").save(SERVER, USER, TOKEN)

    assert path.with_name("credentials-work.json").exists()
    assert state.matrix.credentials("work").get() is not None
    assert state.matrix.credentials().get() is None


def test_what_openclaw_saved_is_read(state, path) -> None:
    """A file of OpenClaw's, with members of its own, is a credential, and they stay."""
    path.parent.mkdir(parents=True)
    made = "2026-02-26T10:00:00.000Z"
    document = {"homeserver": SERVER, "userId": USER, "accessToken": "old", "createdAt": made}
    path.write_text(json.dumps({**document, "theirs": 1}))

    assert state.matrix.credentials().require().access_token == "old"
    state.matrix.credentials().save(SERVER, USER, TOKEN, device_id="D")

    found = json.loads(path.read_text())
    assert (found["createdAt"], found["theirs"], found["accessToken"]) == (made, 1, TOKEN)


def test_a_device_stays_with_its_user(state) -> None:
    """A new token of the same user keeps the device; one of another user does not."""
    credentials = state.matrix.credentials()
    credentials.save(SERVER, USER, "one", device_id="DEV")

    assert credentials.save(SERVER, USER, "two").device_id == "DEV"
    assert credentials.save(SERVER, "@other:example.org", "three").device_id is None


def test_the_last_use_is_noted(state, clock) -> None:
    """`mark_used` moves the time of the last use alone."""
    credentials = state.matrix.credentials()
    made = credentials.save(SERVER, USER, TOKEN)
    clock.advance(5)

    assert credentials.mark_used()

    found = credentials.require()
    assert found.last_used_at == pytest.approx(made.created_at + 5)
    assert found.created_at == made.created_at


def test_what_is_removed_is_gone(state) -> None:
    """After `remove` the account is not logged in."""
    credentials = state.matrix.credentials()
    credentials.save(SERVER, USER, TOKEN)

    assert credentials.remove()
    assert not credentials.remove()
    assert not credentials.mark_used()
    assert credentials.get() is None


@pytest.mark.parametrize("text", ["{", "[]", '{"homeserver": "https://h", "userId": "@a:b"}'])
def test_a_damaged_file_is_never_overwritten(state, path, text: str) -> None:
    """A login is not saved over what cannot be read, and the error does not show the token."""
    path.parent.mkdir(parents=True)
    path.write_text(text)

    with pytest.raises(CorruptError) as caught:
        state.matrix.credentials().save(SERVER, USER, TOKEN)

    assert path.read_text() == text
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    "login",
    [("nowhere", USER, TOKEN), (SERVER, "bot", TOKEN), (SERVER, USER, "a b"), (5, USER, TOKEN)],
)
def test_what_is_no_login_is_not_saved(state, path, login) -> None:
    """A wrong server, user or token is refused before anything is written."""
    with pytest.raises(InvalidError):
        state.matrix.credentials().save(*login)

    assert not path.exists()
