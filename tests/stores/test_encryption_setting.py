from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import clawstate
from clawstate.errors import ConfigError, CorruptWarning
from clawstate.state.encryption import Encryption
from clawstate.stores.auth.credentials import ApiKey

SECRET = "sk-canary-0123456789-abcdefgh"
SETTING = "state.encryption.key"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "home"
    place.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return place


@pytest.fixture
def state(tmp_path: Path):
    with clawstate.open(tmp_path / "state") as opened:
        opened.config.set("gateway.port", 7)
        opened.auth().upsert("openai:default", ApiKey(provider="openai", key=SECRET))
        yield opened


def encrypted(state: clawstate.State) -> Encryption:
    encryption = Encryption(state._context)
    encryption.turn_on("file")
    return encryption


def decrypted(state: clawstate.State) -> Encryption:
    encryption = encrypted(state)
    encryption.turn_off()
    return encryption


def rekeyed(state: clawstate.State, tmp_path: Path) -> Encryption:
    encryption = encrypted(state)
    encryption.rekey(f"file:{tmp_path / 'other.key'}")
    return encryption


@pytest.mark.parametrize(
    ("made", "command"),
    [
        (encrypted, "auth decrypt"),
        (decrypted, "auth encrypt --key file"),
        (rekeyed, "auth rekey --key file"),
    ],
)
def test_undo_leaves_the_encryption_alone(
    state: clawstate.State, tmp_path: Path, made: Callable[..., Encryption], command: str
) -> None:
    """Undo refuses to take back a setting that is half of a command, and names that command."""
    encryption = made(state, tmp_path) if made is rekeyed else made(state)
    choice, text = encryption.choice, state.config.path.read_text()

    with pytest.raises(ConfigError) as caught:
        state.config.undo()

    assert f"clawstate {command}'" in caught.value.hint
    assert caught.value.name == SETTING
    assert state.config.path.read_text() == text
    assert encryption.choice == choice
    assert state.auth().secret("openai:default") == SECRET


def test_undo_by_an_explicit_word(state: clawstate.State) -> None:
    """Forced, the setting alone goes back; what is encrypted is read all the same."""
    encryption = encrypted(state)

    state.config.undo(force=True)

    assert encryption.choice == "off"
    assert state.auth().secret("openai:default") == SECRET


@pytest.mark.parametrize(
    "call",
    [
        lambda config: config.unset(SETTING),
        lambda config: config.set(SETTING, "off"),
        lambda config: config.set(SETTING, "keyring"),
        lambda config: config.replace("{gateway: {port: 7}}"),
    ],
)
def test_no_change_of_the_setting_alone(state: clawstate.State, call) -> None:
    """Setting, removing and editing it are refused alike while secrets are encrypted."""
    encrypted(state)

    with pytest.raises(ConfigError, match=r"clawstate auth (decrypt|rekey)"):
        call(state.config)


def test_other_changes_are_undone_as_ever(state: clawstate.State) -> None:
    """Undo of what came after the encryption is not in its way."""
    encrypted(state)
    state.config.set("gateway.port", 8)

    state.config.undo()

    assert state.config.get("gateway.port") == 7
    assert state.config.get(SETTING) == "file"


def test_a_broken_text_is_mended_by_undo(state: clawstate.State) -> None:
    """While nobody can read what the setting says, putting the last good text back is allowed."""
    encrypted(state)
    state.config.set("gateway.port", 8)
    good = state.config.path.read_text()
    state.config.path.write_text("{broken")

    with pytest.warns(CorruptWarning):
        state.config.replace(good)

    assert state.config.get(SETTING) == "file"


def test_the_setting_may_be_written_before_there_are_keys(state: clawstate.State) -> None:
    """Nothing is encrypted yet, so nothing is at odds with it."""
    state.config.set(SETTING, "file")
    state.config.undo()

    assert state.config.get(SETTING) == "off"
