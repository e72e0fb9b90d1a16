"""The secrets of Matrix clients while the secrets of a state are encrypted."""

from __future__ import annotations

import json

import pytest

import clawstate
from clawstate.doctor.audit import audit
from clawstate.errors import CorruptError, UnavailableError
from clawstate.openclaw.owner import Era

TOKEN, WORK_TOKEN = "syt_canary_0123456789_bot", "syt_canary_9876543210_work"
SERVER, USER = "https://h.org", "@bot:h.org"
DEVICE = (SERVER, USER, "DEV")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Let the keys lie in a home of their own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    for name in ("CLAWSTATE_KEY_FILE", "CLAWSTATE_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def reopen(each_engine, tmp_path):
    """Return what opens the state."""
    return lambda: clawstate.open(tmp_path / "state", **each_engine)


def fill(state) -> str:
    """Keep two logins and the key of one database of keys, and return that key."""
    state.matrix.credentials().save(SERVER, USER, TOKEN, device_id="DEV")
    state.matrix.credentials("work").save(SERVER, USER, WORK_TOKEN)
    return state.matrix().keys.make(*DEVICE).pickle_key


def records(state) -> list[dict]:
    """Return the documents of a login and of a key, as they are stored."""
    found = state.matrix.credentials()._records, state.matrix().keys._records
    return [each.value for records in found for each in records.scan()]


def held(state, *secrets: str) -> list[str]:
    """Return the files of the state in which any of *secrets* stands."""
    files = [each for each in state.paths.root.rglob("*") if each.is_file()]
    return [
        each.name for each in files if any(text.encode() in each.read_bytes() for text in secrets)
    ]


def test_nothing_of_them_stays_in_the_clear(reopen) -> None:
    """Turned on, no file holds a token or a key, and each is read as before; off gives it back."""
    with reopen() as state:
        key = fill(state)
        before = records(state)

        made = state.encryption.turn_on("file")

        assert (made.changed, made.matrix, made.failed, made.remains) == (3, 3, (), ())
        assert held(state, TOKEN, WORK_TOKEN, key) == []
        assert state.matrix.credentials("work").require().access_token == WORK_TOKEN
        assert list(state.health.check("encryption")) == []
    with reopen() as state:
        assert state.matrix().access_token == TOKEN
        assert state.matrix().keys.require().pickle_key == key

        assert state.encryption.turn_off().matrix == 3

        found = records(state)
        assert found == before
        assert list(map(list, found)) == list(map(list, before))


def test_what_comes_later_is_sealed_and_sealed_anew(reopen) -> None:
    """A login and a key that come while it is on are sealed at once; rekeying takes them along."""
    with reopen() as state:
        state.encryption.turn_on("file")
        key = fill(state)
        assert held(state, TOKEN, WORK_TOKEN, key) == []
        old = state.encryption.summary()

        made = state.encryption.rekey()

        new = state.encryption.summary()
        assert (old.sealed, new.sealed, new.clear, made.matrix) == (3, 3, 0, 3)
        assert len(new.keys) == 1
        assert not old.keys & new.keys
        assert state.matrix().keys.require().pickle_key == key
        state.matrix.credentials().mark_used()
        state.matrix().keys.note_identity("ed25519")
        assert state.matrix().keys.require().identity_key == "ed25519"
        assert held(state, TOKEN, key) == []


def test_whose_they_are_is_known_without_the_key(reopen, home) -> None:
    """Without the key a login and its keys are not to be had, none is made, and a check says so."""
    with reopen() as state:
        fill(state)
        state.encryption.turn_on("file")
    next(home.rglob("*.key")).unlink()

    with reopen() as state:
        login = {"homeserver": SERVER, "user_id": USER, "access_token": TOKEN}
        assert state.matrix(**login).keys.owner().device_id == "DEV"
        assert state.matrix.known_device(SERVER, USER) == "DEV"
        with pytest.raises(UnavailableError, match="missing"):
            state.matrix.credentials().get()
        with pytest.raises(UnavailableError, match="missing"):
            state.matrix.credentials().save(SERVER, USER, "another")
        with pytest.raises(UnavailableError, match="missing"):
            state.matrix(**login).keys.make(*DEVICE)
        assert [each.code for each in state.health.check("encryption")] == ["key"]
        assert list(state.health.check("matrix")) == []
        assert state.encryption.summary().sealed == 3


def test_what_was_put_elsewhere_does_not_open(reopen) -> None:
    """The token of one account is not that of another one, though sealed with the same key."""
    with reopen() as state:
        fill(state)
        state.encryption.turn_on("file")
        own, other = (state.matrix.credentials(each)._records for each in (None, "work"))
        own.put("credentials", other.get("credentials").value)

        with pytest.raises(CorruptError, match="moved here"):
            state.matrix.credentials().get()


def test_what_openclaw_writes_in_the_clear_counts(tmp_path) -> None:
    """A login that OpenClaw made meanwhile is newer than the sealed one; doctor seals it."""
    with clawstate.open(tmp_path / "state", store="file") as state:
        fill(state)
        state.encryption.turn_on("file")
        path = state.paths.credentials_dir / "matrix" / "credentials.json"
        document = json.loads(path.read_text())
        assert "accessToken" not in document
        path.write_text(json.dumps({**document, "accessToken": "syt_newer_canary_123"}))

        assert state.matrix.credentials().require().access_token == "syt_newer_canary_123"
        (found,) = state.health.check("encryption")
        found.repair()

        assert held(state, "syt_newer_canary_123") == []
        assert state.matrix.credentials().require().access_token == "syt_newer_canary_123"
        assert list(state.health.check("encryption")) == []


def test_a_damaged_file_holds_up_no_other(tmp_path) -> None:
    """What cannot be read is named, stays as it is, and the others are sealed."""
    with clawstate.open(tmp_path / "state", store="file") as state:
        fill(state)
        path = state.paths.credentials_dir / "matrix" / "credentials-work.json"
        path.write_text("{")

        with pytest.warns(clawstate.CorruptWarning):
            made = state.encryption.turn_on("file")

        assert made.matrix == 2
        assert any("credentials-work" in each for each in made.failed)
        assert path.read_text() == "{"
        assert held(state, TOKEN) == []


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_an_audit_finds_them_and_copies_of_them(tmp_path, store) -> None:
    """In the clear each is a finding; sealed none is, but a copy in another file is."""
    with clawstate.open(tmp_path / "state", store=store) as state:
        key = fill(state)
        clear = audit(state)
        state.encryption.turn_on("file")
        sealed = audit(state)
        (state.paths.root / "notes.txt").write_text(f"{TOKEN}\n{key}\n")
        copied = audit(state)

    wheres = sorted(each.where.rpartition(".")[2] for each in clear.exposures)
    assert {"accessToken", "pickleKey"} <= set(wheres)
    assert [each for each in sealed.exposures if each.code != "LEGACY_RESIDUE"] == []
    assert [each.code for each in copied.exposures] == ["SECRET_COPY"] * 2
    told = json.dumps([each.message for each in (*clear.exposures, *copied.exposures)])
    assert TOKEN not in told
    assert key not in told


def test_rows_beside_an_openclaw_of_the_sqlite_era_are_sealed(tmp_path) -> None:
    """What is copied from files of before is sealed in its rows, and the files are named."""
    root = tmp_path / "state"
    with clawstate.open(root, store="file") as state:
        key = fill(state)
    (root / "state").mkdir(exist_ok=True)
    (root / "state" / "openclaw.sqlite").touch()

    with clawstate.open(root) as state:
        assert state.owner.era is Era.SQLITE
        state.encryption.turn_on("file")
        assert state.matrix().keys.require().pickle_key == key
        assert state.matrix.credentials().require().access_token == TOKEN
        summary = state.encryption.summary()

    assert (summary.clear, summary.sealed) == (0, 3)
    raw = (root / "state" / "records.db").read_bytes()
    assert not any(text.encode() in raw for text in (TOKEN, WORK_TOKEN, key))
