from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import clawstate
from clawstate.errors import CorruptError, CorruptWarning, InvalidError, StateError, VersionError

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
SOURCE = Path(clawstate.__file__).parents[1]

ASK = """
import sys
import clawstate
sys.stdin.readline()
with clawstate.open(sys.argv[1]) as state:
    print(state.identity.device_id, state.identity.public_key)
"""


@pytest.fixture
def place(state):
    return state.paths.device_identity


def document(place):
    return json.loads(place.read_bytes())


def test_nothing_is_made_before_it_is_needed(state) -> None:
    """Looking whether there is a key pair makes none; asking who we are makes one, once."""
    assert state.identity.get() is None
    assert not state.paths.root.exists()

    made = state.identity.load_or_create()

    assert state.identity.get() == state.identity.load_or_create() == made
    assert state.identity.device_id == made.device_id


def test_the_file_is_openclaws(state, place, clock) -> None:
    """The document has OpenClaw's members in its order, is 0600 and ends with a line end."""
    made = state.identity.load_or_create()

    found = document(place)
    assert list(found) == ["version", "deviceId", "publicKeyPem", "privateKeyPem", "createdAtMs"]
    assert (found["version"], found["createdAtMs"]) == (1, round(clock() * 1000))
    raw = serialization.load_pem_public_key(found["publicKeyPem"].encode()).public_bytes_raw()
    assert found["deviceId"] == made.device_id == hashlib.sha256(raw).hexdigest()
    assert base64.urlsafe_b64decode(made.public_key + "=") == raw
    assert "BEGIN PRIVATE KEY" in found["privateKeyPem"]
    assert place.read_bytes().endswith(b"}\n")
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700


def test_it_is_a_file_whatever_the_engine(tmp_path) -> None:
    """The key pair stays where OpenClaw reads it, also when records are in a database."""
    with clawstate.open(tmp_path, store="sqlite") as state:
        made = state.identity.device_id
        state.device_auth.set("gateway", "token")

    with clawstate.open(tmp_path) as state:
        assert state.identity.device_id == made
        assert state.device_auth.tokens() == {"gateway": "token"}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=st.binary(), other=st.binary(), text=st.text(st.characters(codec="utf-8")))
def test_a_signature_is_good_for_its_message(state, message, other, text) -> None:
    """What is signed verifies, text as its UTF-8, and nothing else does."""
    key = state.identity.public_key
    signature = state.identity.sign(message)

    assert state.identity.verify(key, message, signature)
    assert state.identity.verify(key, other, signature) == (other == message)
    assert state.identity.verify(key, text.encode(), state.identity.sign(text))
    assert "=" not in signature


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.text(max_size=50), signature=st.text(max_size=90))
def test_nonsense_is_no_signature(state, key, signature) -> None:
    """Whatever is given as a key or a signature, the answer is no."""
    good = state.identity.public_key, state.identity.sign("x")

    assert not state.identity.verify(key, "x", good[1])
    assert not state.identity.verify(good[0], "x", signature)
    assert not state.identity.verify(key, "x", signature)


def test_other_types_are_no_signature(state) -> None:
    """What is no text is no key and no signature, and half a character cannot be signed."""
    key, signature = state.identity.public_key, state.identity.sign("x")

    assert not state.identity.verify(None, "x", signature)
    assert not state.identity.verify(key, "x", signature.encode())
    with pytest.raises(InvalidError):
        state.identity.sign("\ud800")


def test_another_file_is_another_identity(state, place, tmp_path) -> None:
    """A file that somebody exchanged counts at once, for the id and for signatures."""
    first = state.identity.device_id
    state.identity.sign("x")
    with clawstate.open(tmp_path / "other") as other:
        second = other.identity.load_or_create()
        place.write_bytes(other.paths.device_identity.read_bytes())

    assert state.identity.load_or_create() == second != first
    assert state.identity.verify(second.public_key, "x", state.identity.sign("x"))


@pytest.mark.parametrize(
    "change",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"version": 1}',
        b'{"version": 1, "deviceId": "x", "publicKeyPem": "x", "privateKeyPem": "x"}',
        b'{"version": true, "deviceId": "x", "publicKeyPem": "x", "privateKeyPem": "x"}',
    ],
)
def test_what_cannot_be_read_is_never_overwritten(state, place, change) -> None:
    """A damaged file raises, and stays as it is."""
    place.parent.mkdir(parents=True)
    place.write_bytes(change)
    os.utime(place, (0, 0))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CorruptWarning)
        with pytest.raises(CorruptError, match=r"device\.json"):
            state.identity.load_or_create()
        with pytest.raises(CorruptError):
            state.identity.sign("x")

    assert place.read_bytes() == change


def test_a_newer_format_is_left_alone(state, place) -> None:
    """A file of a newer format raises, and stays as it is."""
    place.parent.mkdir(parents=True)
    place.write_text('{"version": 2, "keys": []}')

    with pytest.raises(VersionError):
        state.identity.load_or_create()

    assert place.read_text() == '{"version": 2, "keys": []}'


def test_every_damage_keeps_the_identity(state, place) -> None:
    """Cut or flipped anywhere, a file never becomes another identity, nor is it written."""
    made = state.identity.load_or_create()
    whole = place.read_bytes()
    key_ends = whole.index(b"privateKeyPem")
    key_starts = whole.index(b"publicKeyPem")
    step = 1 if FULL else 17
    damages = [whole[:length] for length in range(0, len(whole), step)]
    for position in range(0, len(whole), step):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 7
        damages.append(bytes(flipped))

    for damaged in damages:
        place.write_bytes(damaged)
        os.utime(place, (0, 0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CorruptWarning)
            try:
                found = state.identity.load_or_create()
                signature = state.identity.sign("x")
            except StateError:
                continue
            finally:
                assert place.read_bytes() == damaged
        if damaged[key_starts:key_ends] == whole[key_starts:key_ends]:
            assert found.device_id == made.device_id
        assert state.identity.verify(found.public_key, "x", signature)


def test_a_wrong_id_is_corrected_only_when_asked(state, place) -> None:
    """The id is that of the key whatever the file says; reading does not write."""
    made = state.identity.load_or_create()
    wrong = {**document(place), "deviceId": "0" * 64, "extra": 1}
    place.write_text(json.dumps(wrong))

    assert state.identity.device_id == made.device_id
    assert state.identity.mismatch() == ("0" * 64, made.device_id)
    assert document(place) == wrong

    assert state.identity.correct_id()
    assert not state.identity.correct_id()
    assert document(place) == {**wrong, "deviceId": made.device_id}


def test_keys_that_do_not_belong_together_sign_nothing(state, place, tmp_path) -> None:
    """A private key of another pair raises, and no error holds anything of it."""
    state.identity.load_or_create()
    with clawstate.open(tmp_path / "other") as other:
        other.identity.load_or_create()
        stranger = document(other.paths.device_identity)["privateKeyPem"]

    for pem in (stranger, "x", stranger[:-40]):
        place.write_text(json.dumps({**document(place), "privateKeyPem": pem}))
        with pytest.raises(CorruptError) as caught:
            state.identity.sign("x")
        assert stranger.split("\n")[1] not in repr(caught.value) + str(caught.value)


def test_the_private_key_is_in_no_repr(state, place) -> None:
    """Nothing that is returned or shown holds the private key."""
    state.identity.sign("x")
    secret = document(place)["privateKeyPem"].split("\n")[1]

    shown = f"{state.identity!r} {state.identity.load_or_create()!r} {state.identity.get()!r}"

    assert secret not in shown


@pytest.mark.slow
def test_a_crowd_makes_one_identity(tmp_path) -> None:
    """Of sixteen processes that begin at once, all have the same identity."""
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, str(tmp_path / "state")],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(16)
    ]
    for each in crowd:
        each.stdin.write("go\n")
        each.stdin.flush()

    answers = {each.communicate(timeout=120)[0] for each in crowd}

    with clawstate.open(tmp_path / "state") as state:
        assert answers == {f"{state.identity.device_id} {state.identity.public_key}\n"}
