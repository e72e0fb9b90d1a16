from __future__ import annotations

import pytest

from clawstate.errors import CorruptError, CorruptWarning

LOGIN = {"homeserver": "https://h.org", "user_id": "@bot:h.org", "access_token": "t"}
DEVICE = ("https://h.org", "@bot:h.org", "DEV")


@pytest.fixture
def keys(state):
    return state.matrix(**LOGIN).keys


@pytest.fixture
def path(state):
    return state.matrix(**LOGIN).crypto_path / "nio-key.json"


def test_the_key_is_made_once(state, keys, path) -> None:
    """Whoever comes later is given the key that there is; it is random, private and not shown."""
    made = keys.make(*DEVICE)

    assert state.matrix(**LOGIN).keys.make(*DEVICE) == made == keys.get()
    assert state.matrix(**{**LOGIN, "user_id": "@o:h.org"}).keys.make(*DEVICE) != made
    assert made.pickle_key not in repr(made)
    assert len(made.pickle_key) == 44
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_an_identity_is_noted_and_never_replaced(keys) -> None:
    """The key of a device that is known by one Ed25519 key does not get another."""
    keys.make(*DEVICE)
    keys.note_identity("first")
    keys.note_identity("first")

    with pytest.raises(CorruptError, match="another database"):
        keys.note_identity("second")

    assert keys.require().identity_key == "first"


def test_a_damaged_key_is_not_replaced(keys, path) -> None:
    """A key file that cannot be read gives its last good state, and no new key takes its place."""
    made = keys.make(*DEVICE)
    path.write_text("{")

    with pytest.warns(CorruptWarning):
        assert keys.get() == made
    with pytest.raises(CorruptError):
        keys.make(*DEVICE)

    assert path.read_text() == "{"
