from __future__ import annotations

import json
import os
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clawstate
from clawstate.encryption import FieldSealer, KeyStore, ask_with
from clawstate.encryption.ciphertext import is_sealed, new_key, open_text, seal_text
from clawstate.encryption.key_file import make_key_file, read_key_file
from clawstate.encryption.passphrase import Stretching
from clawstate.errors import (
    CorruptError,
    InvalidError,
    NotFoundError,
    StateError,
    UnavailableError,
    VersionError,
)
from clawstate.state.encryption import Encryption

SECRET = "sk-canary-0123456789-abcdefgh"
REFRESH = "1//canary-refresh-0123456789"
ACCESS = "ya29-canary-access-0123456789"
CANARIES = ("canary", "0123456789")
PLACE = "auth:main/openai:default/key"
KEY = {"type": "api_key", "provider": "openai", "key": SECRET}
TOKENS = {
    "type": "oauth",
    "provider": "google",
    "access": ACCESS,
    "refresh": REFRESH,
    "expires": 4_000_000_000_000,
}

every_store = pytest.mark.parametrize("store", ["file", "sqlite"])


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Give a home of its own to the keys, with nobody to ask for a passphrase."""
    place = tmp_path / "home"
    place.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring")
    # What another test of this process had chosen counts no more.
    monkeypatch.setattr("keyring.core._keyring_backend", None)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "CLAWSTATE_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CLAWSTATE_PASSPHRASE_FILE", "CLAWSTATE_NEW_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    return place


@pytest.fixture
def key_store(tmp_path):
    return KeyStore(tmp_path / "vault")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "state"


def filled(root, store="file"):
    """Keep a key of one agent and tokens of another."""
    with clawstate.open(root, store=store) as state:
        state.auth().upsert("openai:default", KEY)
        state.auth("bob").upsert("google:me", TOKENS)
    return root


def secrets_of(root, store="file"):
    with clawstate.open(root, store=store) as state:
        bob = state.auth("bob").require("google:me")
        return state.auth().secret("openai:default"), bob.access, bob.refresh


def encrypted(root, choice="file", store="file"):
    with clawstate.open(root, store=store) as state:
        return Encryption(state._context).turn_on(choice)


def holding(root, *texts):
    """Return the files below *root* that hold any of *texts*."""
    wanted = [each.encode() for each in texts]
    files = [each for each in root.rglob("*") if each.is_file()]
    return [each for each in files if any(text in each.read_bytes() for text in wanted)]


@pytest.fixture
def passphrase(tmp_path, monkeypatch):
    """Put a passphrase into a private file, and say where that is."""

    def put(text, mode=0o600):
        path = tmp_path / "passphrase"
        path.write_text(text)
        path.chmod(mode)
        monkeypatch.setenv("CLAWSTATE_PASSPHRASE_FILE", str(path))

    return put


@given(st.text(), st.text(max_size=50))
def test_what_is_sealed_opens(text, place) -> None:
    """Any text opens again with its key at its place, and is not to be seen in between."""
    key = new_key()

    sealed = seal_text(key, text, place=place)

    assert open_text(key, json.loads(json.dumps(sealed)), place=place) == text
    assert len(text) < 6 or text not in json.dumps(sealed, ensure_ascii=False)


@given(st.text(), st.text(), st.text())
def test_a_sealed_text_opens_at_its_place_alone(text, place, other) -> None:
    """Another place, or another key, opens nothing."""
    key = new_key()
    sealed = seal_text(key, text, place=place)

    if other != place:
        with pytest.raises(CorruptError):
            open_text(key, sealed, place=other)
    with pytest.raises(CorruptError):
        open_text(new_key(), sealed, place=place)


def test_no_bit_of_a_sealed_value_can_be_flipped() -> None:
    """With any one bit of its JSON text changed, a sealed value is damaged, or no JSON at all."""
    key = new_key()
    raw = json.dumps(seal_text(key, SECRET, place=PLACE)).encode()
    opened = 0

    for position in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[position // 8] ^= 1 << position % 8
        try:
            value = json.loads(bytes(flipped))
        except ValueError:
            continue
        opened += 1
        with pytest.raises(CorruptError) as caught:
            open_text(key, value, place=PLACE)
        assert not any(each in repr(caught.value) for each in CANARIES)

    assert opened > len(raw)


@pytest.mark.parametrize(
    "change",
    [
        {"sealed": True},
        {"sealed": 1.0},
        {"sealed": 0},
        {"nonce": ""},
        {"nonce": 7},
        {"data": None},
        {"data": ""},
        {"data": "AAAA\n"},
        {"key": ["a"]},
        {"key": ""},
        {"more": 1},
    ],
    ids=str,
)
def test_only_what_was_sealed_opens(change) -> None:
    """Members of another type, too many of them, and other spellings are damage."""
    key = new_key()

    with pytest.raises(CorruptError):
        open_text(key, {**seal_text(key, SECRET, place=PLACE), **change}, place=PLACE)


def test_a_later_format_is_named() -> None:
    """A value that a newer release sealed asks for that release."""
    key = new_key()

    with pytest.raises(VersionError, match="format 2"):
        open_text(key, {**seal_text(key, SECRET, place=PLACE), "sealed": 2}, place=PLACE)


def test_equal_secrets_look_different() -> None:
    """Nobody sees from outside that two profiles have the same secret."""
    key = new_key()

    sealed = [seal_text(key, SECRET, place=PLACE) for _ in range(50)]

    assert len({each["data"] for each in sealed}) == 50
    assert len({each["nonce"] for each in sealed}) == 50


def test_a_machine_whose_chance_repeats_gives_nothing_away(monkeypatch) -> None:
    """With random numbers that repeat, different texts still get different nonces."""
    key = new_key()
    monkeypatch.setattr(os, "urandom", bytes)

    sealed = [seal_text(key, text, place=PLACE) for text in (SECRET, SECRET, REFRESH)]

    assert sealed[0] == sealed[1]
    assert sealed[0]["nonce"] != sealed[2]["nonce"]


@pytest.mark.parametrize("choice", ["file", "keyring"])
def test_keys_are_made_once(key_store, choice) -> None:
    """Another process finds the same keys, and no file of the state holds one in the clear."""
    key_store.prepare(choice)
    again = KeyStore(key_store.path.parents[1])
    again.prepare(choice)

    assert again.current() == key_store.current()
    assert again.names() == key_store.names()
    kek = key_store.source().key(lambda: None)
    for raw in (key_store.current(), kek):
        assert raw not in key_store.path.read_bytes()
        assert raw.hex() not in key_store.path.read_text()


def test_everything_about_keys_is_private_from_birth(key_store, home) -> None:
    """Under a umask of 0 the key file, the keys and their directories are ours alone."""
    before = os.umask(0)
    try:
        key_store.prepare("file")
    finally:
        os.umask(before)

    places = [*home.rglob("*"), key_store.path.parents[1], *key_store.path.parents[1].rglob("*")]
    modes = {each: stat.S_IMODE(each.stat().st_mode) for each in places}
    assert {each for each, mode in modes.items() if mode & 0o077} == set()


def test_a_key_file_of_others_is_refused(tmp_path, key_store) -> None:
    """What others may read, a link, and what is no key, are not taken for a key."""
    path = tmp_path / "own.key"
    key_store.prepare(f"file:{path}")
    link = tmp_path / "link.key"
    link.symlink_to(path)

    with pytest.raises(InvalidError, match="link"):
        read_key_file(link)
    path.chmod(0o640)
    with pytest.raises(InvalidError, match=r"others may read it \(mode 0640\)"):
        read_key_file(path)
    path.chmod(0o600)
    path.write_bytes(b"\xff no key")
    with pytest.raises(InvalidError, match="holds no key"):
        read_key_file(path)
    path.unlink()
    with pytest.raises(UnavailableError, match="missing"):
        read_key_file(path)


def test_a_key_inside_of_the_state_is_refused(key_store) -> None:
    """Who takes the state must not have taken the key with it."""
    inside = key_store.path.parents[1] / "own.key"

    with pytest.raises(InvalidError, match="inside of the state"):
        key_store.prepare(f"file:{inside}")

    assert not key_store.exists
    assert not inside.exists()


def test_a_key_file_that_is_there_is_used(tmp_path, key_store) -> None:
    """A key is never overwritten: two states may share a file."""
    path = tmp_path / "shared.key"
    key = make_key_file(path, new_key(), state=tmp_path / "elsewhere")

    key_store.prepare(f"file:{path}")

    assert key_store.source().key(lambda: None) == key == read_key_file(path)


def test_the_place_of_a_key_file_can_be_told(key_store, home, tmp_path, monkeypatch) -> None:
    """A state that was moved finds its key where CLAWSTATE_KEY_FILE says."""
    key_store.prepare("file")
    known = key_store.current()
    moved = tmp_path / "moved.key"
    next(home.rglob("*.key")).rename(moved)
    other = KeyStore(key_store.path.parents[1])

    with pytest.raises(UnavailableError, match="CLAWSTATE_KEY_FILE"):
        other.current()
    monkeypatch.setenv("CLAWSTATE_KEY_FILE", str(moved))

    assert other.current() == known


@pytest.mark.parametrize("choice", ["", "off", "file:", "file:relative", "vault", "file:/a\0b"])
def test_a_choice_that_names_no_source_is_refused(key_store, choice) -> None:
    """Nothing is made for a word that means nothing."""
    with pytest.raises(InvalidError):
        key_store.prepare(choice)

    assert not key_store.path.parent.exists()


def test_a_passphrase_opens_and_another_does_not(key_store, passphrase) -> None:
    """The passphrase in a private file is the key; a wrong one says so and shows none."""
    passphrase("correct horse battery\n")
    key_store.prepare("passphrase")
    current = key_store.current()

    same = KeyStore(key_store.path.parents[1])
    passphrase("incorrect horse battery\n")
    with pytest.raises(UnavailableError, match="not the one") as caught:
        same.current()
    passphrase("correct horse battery\r\n")

    assert same.current() == current
    assert "horse" not in str(caught.value)
    assert "horse" not in key_store.path.read_text()


def test_a_person_is_asked_once(key_store) -> None:
    """A new passphrase is asked for twice, a known one once, and never again by the same state."""
    asked = []

    def ask(title, is_new):
        asked.append((title, is_new))
        return "correct horse battery"

    with ask_with(ask):
        key_store.prepare("passphrase")
        other = KeyStore(key_store.path.parents[1])
        for _ in range(3):
            other.current()

    assert [is_new for _, is_new in asked] == [True, False]


def test_without_anybody_to_ask_a_passphrase_is_missing(key_store, passphrase) -> None:
    """The error says where a passphrase can be put; a short one and a public file are refused."""
    with pytest.raises(UnavailableError, match="CLAWSTATE_PASSPHRASE_FILE"):
        key_store.prepare("passphrase")
    passphrase("short")
    with pytest.raises(InvalidError, match="8 characters"):
        key_store.prepare("passphrase")
    passphrase("correct horse battery", mode=0o644)
    with pytest.raises(InvalidError, match="others may read"):
        key_store.prepare("passphrase")

    assert not key_store.exists


def test_stretching_is_that_of_rfc_7914() -> None:
    """A key from a passphrase is scrypt's, with the parameters that are noted."""
    known = Stretching(b"SodiumChloride\0\0", cost=2**14)

    key = known.key("pleaseletmein")

    assert len(key) == 32
    assert key == Stretching.read(known.document, path="p").key("pleaseletmein")
    for cost in (2**10, 2**30, True, "16384", 20_000):
        with pytest.raises(CorruptError):
            Stretching.read({**known.document, "cost": cost}, path="p")


def test_no_byte_of_the_keys_can_be_changed(key_store) -> None:
    """With any byte of state/keys.json changed, it is damaged, and stays as it is."""
    key_store.prepare("file")
    raw = key_store.path.read_bytes()
    text = json.loads(raw)

    for position in range(0, len(raw), 3):
        flipped = bytearray(raw)
        flipped[position] ^= 1
        key_store.path.write_bytes(bytes(flipped))
        try:
            same = json.loads(bytes(flipped)) == text
        except ValueError:
            same = False
        if not same:
            with pytest.raises((CorruptError, InvalidError)):
                KeyStore(key_store.path.parents[1]).current()
        assert key_store.path.read_bytes() == bytes(flipped)


def test_old_keys_open_what_they_sealed(key_store) -> None:
    """After a rotation new text is sealed with a new key, and old text still opens."""
    key_store.prepare("file")
    sealer = FieldSealer(key_store)
    old, first = sealer.seal(SECRET, place=PLACE), key_store.source()

    made = key_store.rotate("file")
    new = sealer.seal(SECRET, place=PLACE)

    assert made != first
    assert old["key"] != new["key"]
    for each in (old, new):
        assert FieldSealer(KeyStore(key_store.path.parents[1])).open(each, place=PLACE) == SECRET


def test_a_text_of_another_state_asks_for_its_key(key_store, tmp_path) -> None:
    """Encrypted text that came from elsewhere is told from damage: its key is missing."""
    other = KeyStore(tmp_path / "other")
    for each in (key_store, other):
        each.prepare("file")

    with pytest.raises(UnavailableError, match="has no key"):
        FieldSealer(key_store).open(FieldSealer(other).seal(SECRET, place=PLACE), place=PLACE)


def test_nothing_shows_a_key(key_store) -> None:
    """Key stores, sealers and sources can be printed."""
    key_store.prepare("file")
    raw = key_store.current()

    shown = repr((key_store, FieldSealer(key_store), key_store.source(), key_store._opened))

    assert raw.hex() not in shown
    assert repr(raw) not in shown


@every_store
def test_encryption_leaves_no_secret_in_the_clear(root, store) -> None:
    """Once it is on, no file of the state holds a secret, and all of them are there."""
    filled(root, store)
    before = secrets_of(root, store)

    made = encrypted(root, store=store)

    assert made.changed == 3
    assert (made.failed, made.remains) == ((), ())
    assert secrets_of(root, store) == before == (SECRET, ACCESS, REFRESH)
    assert holding(root, SECRET, ACCESS, REFRESH) == []


@every_store
def test_what_comes_later_is_sealed_as_well(root, store) -> None:
    """A profile that is added or changed while encryption is on never lies in the clear."""
    filled(root, store)
    encrypted(root, store=store)
    later = "sk-later-canary-9876543210"

    with clawstate.open(root, store=store) as state:
        state.auth("eve").upsert("openai:eve", {**KEY, "key": later})
        state.auth().upsert("openai:default", {**KEY, "key": later})

    with clawstate.open(root, store=store) as state:
        assert state.auth("eve").secret("openai:eve") == later
        assert state.auth().secret("openai:default") == later
    assert holding(root, later, SECRET) == []


@every_store
def test_decrypting_gives_everything_back(root, store) -> None:
    """Turned on and off again, each record is what it was, whatever else was in it."""
    with clawstate.open(root, store=store) as state:
        record = {**KEY, "email": "ada@example.org", "mine": {"a": [1, None]}}
        state.auth().upsert("openai:default", record)
        before = state.auth().document()
        encryption = Encryption(state._context)

        encryption.turn_on("file")
        between = state.auth().document()
        encryption.turn_off()

        assert state.auth().document() == before
        assert SECRET not in json.dumps(between)
        assert encryption.summary().clear == 1
        assert not encryption.is_on


def test_a_sealed_record_says_all_but_the_secret(root) -> None:
    """Provider, type, expiry and the like stay readable without any key."""
    filled(root)
    encrypted(root)

    record = json.loads((root / "agents/bob/agent/auth-profiles.json").read_text())
    found = record["profiles"]["google:me"]

    assert (found["type"], found["provider"]) == ("oauth", "google")
    assert found["expires"] == TOKENS["expires"]
    assert sum(map(is_sealed, found.values())) == 2


def test_swapped_ciphertexts_do_not_open(root) -> None:
    """A secret that somebody moved to another field, profile or agent is damage."""
    filled(root)
    with clawstate.open(root) as state:
        state.auth().upsert("openai:other", {**KEY, "key": REFRESH})
        Encryption(state._context).turn_on("file")
    path = root / "agents/main/agent/auth-profiles.json"
    document = json.loads(path.read_text())
    profiles = document["profiles"]
    profiles["openai:default"], profiles["openai:other"] = (
        profiles["openai:other"],
        profiles["openai:default"],
    )
    path.write_text(json.dumps(document))

    with clawstate.open(root) as state:
        for name in profiles:
            with pytest.raises(CorruptError, match="changed, or moved"):
                state.auth().secret(name)


def test_without_the_key_nothing_is_written_in_the_clear(root, home) -> None:
    """A lost key is an error that names it; a new profile is refused, and no file changes."""
    filled(root)
    encrypted(root)
    next(home.rglob("*.key")).unlink()
    files = {each: each.read_bytes() for each in root.rglob("*.json") if each.is_file()}

    with clawstate.open(root) as state:
        with pytest.raises(UnavailableError, match="missing"):
            state.auth().secret("openai:default")
        with pytest.raises(UnavailableError, match="missing"):
            state.auth().upsert("openai:new", {**KEY, "key": "sk-new-canary-0000000000"})
        with pytest.raises(UnavailableError, match="missing"):
            Encryption(state._context).turn_off()
        assert [each.id for each in state.auth().profiles()] == ["openai:default"]

    assert {each: each.read_bytes() for each in files} == files


def test_without_the_keys_of_the_state_nothing_is_written_in_the_clear(root) -> None:
    """The same holds when state/keys.json is lost: it is not made anew behind sealed text."""
    filled(root)
    encrypted(root)
    (root / "state/keys.json").unlink()

    with clawstate.open(root) as state:
        for call in (
            lambda: state.auth().secret("openai:default"),
            lambda: state.auth().upsert("openai:new", KEY),
            lambda: Encryption(state._context).turn_on("file"),
        ):
            with pytest.raises(UnavailableError, match=r"keys\.json"):
                call()

    assert not (root / "state/keys.json").exists()


def test_what_is_sealed_opens_though_encryption_was_turned_off_by_hand(root) -> None:
    """The setting says what happens to new secrets; old ones are read either way."""
    filled(root)
    encrypted(root)

    with clawstate.open(root) as state:
        state.config.set("state.encryption.key", "off", force=True)
        assert state.auth().secret("openai:default") == SECRET
        state.auth().upsert("openai:new", {**KEY, "key": "sk-clear-9876543210"})

    assert holding(root, "sk-clear-9876543210") != []
    assert holding(root, SECRET) == []


def test_a_broken_configuration_does_not_turn_encryption_off(root) -> None:
    """What is written while nobody can say whether encryption is on is sealed if there are keys."""
    filled(root)
    encrypted(root)
    (root / "openclaw.json").write_text("{broken")
    later = "sk-later-canary-9876543210"

    with clawstate.open(root, store="file") as state:
        state.auth().upsert("openai:later", {**KEY, "key": later})
        assert state.auth().secret("openai:later") == later
        assert state.auth().secret("openai:default") == SECRET

    assert holding(root, later) == []


def test_a_broken_configuration_stops_nobody_without_keys(root) -> None:
    """Where nothing was ever encrypted, credentials are kept as before."""
    filled(root)
    (root / "openclaw.json").write_text("{broken")

    with clawstate.open(root, store="file") as state:
        state.auth().upsert("openai:later", KEY)
        assert state.auth().secret("openai:later") == SECRET


def test_every_change_can_be_repeated(root) -> None:
    """Turning on what is on, and off what is off, changes nothing."""
    filled(root)

    with clawstate.open(root) as state:
        encryption = Encryption(state._context)
        counts = [encryption.turn_on("file").changed for _ in range(2)]
        counts += [encryption.turn_off().changed for _ in range(2)]

    assert counts == [3, 0, 3, 0]


def test_a_key_from_elsewhere_is_a_matter_of_rekeying(root) -> None:
    """Encrypting with another source than there is says how to change it."""
    filled(root)
    encrypted(root)

    with pytest.raises(InvalidError, match="auth rekey"):
        encrypted(root, "keyring")


def test_rekeying_seals_everything_anew(root, home) -> None:
    """After it every secret has a new key, the old key opens none of them, and the new one all."""
    filled(root)
    first = encrypted(root)
    old = (root / "state/keys.json").read_bytes()

    with clawstate.open(root) as state:
        encryption = Encryption(state._context)
        before = encryption.summary().keys
        made = encryption.rekey("keyring")
        after = encryption.summary()
        assert state.config.get("state.encryption.key") == "keyring"

    assert made.changed == 3
    assert made.source.kind == "keyring"
    assert not before & after.keys
    assert secrets_of(root) == (SECRET, ACCESS, REFRESH)
    next(home.rglob("*.key")).unlink()
    assert secrets_of(root) == (SECRET, ACCESS, REFRESH)
    (root / "state/keys.json").write_bytes(old)
    with pytest.raises(UnavailableError):
        secrets_of(root)
    assert first.source.kind == "file"


def test_there_is_nothing_to_rekey_or_decrypt_at_first(root) -> None:
    """Without keys both say what comes first."""
    filled(root)

    with clawstate.open(root) as state:
        with pytest.raises(NotFoundError):
            Encryption(state._context).rekey()
        with pytest.raises(NotFoundError):
            Encryption(state._context).turn_off()


def test_a_damaged_secret_holds_up_no_other(root) -> None:
    """One that does not open is left as it is and reported; all others change."""
    filled(root)
    encrypted(root)
    path = root / "agents/main/agent/auth-profiles.json"
    document = json.loads(path.read_text())
    (sealed,) = filter(is_sealed, document["profiles"]["openai:default"].values())
    sealed["data"] = "AAAA"
    path.write_text(json.dumps(document))

    with clawstate.open(root) as state:
        made = Encryption(state._context).turn_off()
        assert state.auth("bob").require("google:me").refresh == REFRESH

    assert made.changed == 2
    assert len(made.failed) == 1
    assert "AAAA" in path.read_text()


def test_traces_of_ours_are_cleaned(root) -> None:
    """Last good copies, damaged files put aside and what killed writers left hold no secret."""
    filled(root)
    folder = root / "agents/main/agent"
    aside = folder / ".quarantine/auth-profiles.json.2026-02-27T09-30-00.000Z.01234567"
    aside.parent.mkdir(mode=0o700)
    aside.write_text(f'{{"profiles": {{"openai:default": "{SECRET}"')
    aside.chmod(0o600)
    (folder / f"auth-profiles.json.{'0' * 16}.tmp").write_text(SECRET)

    made = encrypted(root)

    assert holding(root, SECRET, ACCESS, REFRESH) == []
    assert [str(aside) in each for each in made.remains] == [True]
    assert aside.exists()


def test_what_is_not_ours_to_clean_is_named(root) -> None:
    """Files of older releases stay, and are named because they hold secrets in the clear."""
    filled(root)
    legacy = root / "agents/main/agent/auth.json"
    legacy.write_text(json.dumps({"xai": {"type": "api_key", "key": SECRET}}))

    made = encrypted(root)

    assert legacy.exists()
    assert any(str(legacy) in each for each in made.remains)


def test_references_are_not_sealed(root, monkeypatch) -> None:
    """A reference stays readable, and is resolved with encryption on as with it off."""
    monkeypatch.setenv("CANARY_KEY", SECRET)
    reference = {"source": "env", "provider": "default", "id": "CANARY_KEY"}

    with clawstate.open(root) as state:
        record = {"type": "api_key", "provider": "openai", "keyRef": reference}
        state.auth().upsert("openai:env", record)
        made = Encryption(state._context).turn_on("file")
        assert state.auth().secret("openai:env") == SECRET
        assert state.auth().document()["profiles"]["openai:env"]["keyRef"] == reference

    assert made.changed == 0
    assert holding(root, SECRET) == []


def test_a_reference_that_leads_nowhere_shows_nothing(root) -> None:
    """The error names the variable, and no profile is the worse for it."""
    with clawstate.open(root) as state:
        for record in (
            {"type": "api_key", "provider": "openai", "key": "${CANARY_MISSING}"},
            {"type": "api_key", "provider": "openai", "keyRef": {"source": "env", "id": "X Y"}},
        ):
            state.auth().upsert("openai:env", record)
            with pytest.raises(StateError):
                state.auth().secret("openai:env")


def test_a_passphrase_can_be_a_reference(root, monkeypatch) -> None:
    """A service without a person gets its passphrase from the configuration's own providers."""
    monkeypatch.setenv("STATE_PASSPHRASE", "correct horse battery")
    filled(root)
    reference = {"source": "env", "provider": "default", "id": "STATE_PASSPHRASE"}

    with clawstate.open(root) as state:
        state.config.set("state.encryption.passphrase", reference)
        Encryption(state._context).turn_on("passphrase")

    assert secrets_of(root) == (SECRET, ACCESS, REFRESH)
    monkeypatch.delenv("STATE_PASSPHRASE")
    with pytest.raises(StateError):
        secrets_of(root)


def test_a_passphrase_in_the_configuration_is_refused(root) -> None:
    """The setting takes a reference and no text."""
    with clawstate.open(root) as state, pytest.raises(InvalidError) as caught:
        state.config.set("state.encryption.passphrase", SECRET)

    assert SECRET not in str(caught.value)


@every_store
def test_writers_and_encryption_meet_without_loss(root, store) -> None:
    """What others write while everything is sealed and opened again is there, and can be read."""
    filled(root, store)
    done = threading.Event()
    written, problems = [], []

    def write():
        with clawstate.open(root, store=store) as state:
            number = 0
            while not done.is_set():
                number += 1
                try:
                    state.auth().upsert(f"openai:{number}", {**KEY, "key": f"{SECRET}{number}"})
                    written.append(number)
                except StateError as error:
                    problems.append(str(error))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with clawstate.open(root, store=store) as state:
            encryption = Encryption(state._context)
            encryption.turn_on("file")
            encryption.rekey()
            encryption.turn_off()
            encryption.turn_on("file")
    finally:
        done.set()
        writer.join()

    with clawstate.open(root, store=store) as state:
        found = {number: state.auth().secret(f"openai:{number}") for number in written}
    assert problems == []
    assert found == {number: f"{SECRET}{number}" for number in written}
    assert written
