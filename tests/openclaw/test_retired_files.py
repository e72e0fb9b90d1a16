"""Files of ours in the way of an OpenClaw: found, taken over and put aside."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

import clawstate
from clawstate.doctor import examine
from clawstate.errors import ElsewhereWarning
from clawstate.importers.openclaw import import_openclaw
from openclaw.openclaw_databases import OpenClawDatabases

KEY = {"type": "api_key", "provider": "openai", "key": "sk-of-ours"}
THEIRS = {"sessionId": "11111111-1111-4111-8111-111111111111", "updatedAt": 1}


@pytest.fixture
def root(tmp_path, clock) -> Path:
    """Return a state that nobody shared so far."""
    with clawstate.open(tmp_path / "state", clock=clock) as state:
        state.sessions.resolve("agent:main:main")
        state.sessions.resolve("agent:main:ours")
        state.sessions.resolve("agent:main:gone")
        state.sessions.delete("agent:main:gone")
        state.auth().upsert("openai:ours", KEY)
        state.identity.load_or_create()
        state.dedupe.check_and_record("update-1", namespace="telegram")
    return tmp_path / "state"


def codes(findings) -> list[str]:
    return [each.code for each in findings if each.severity != "info"]


def fixed(root: Path, clock) -> list[str]:
    with clawstate.open(root, clock=clock) as state:
        found = examine(state, fix=True, deep=False)
        assert codes(examine(state, deep=False)).count("retired-place") == 0
    return codes(found)


def openclaw_moves_in(root: Path) -> Path:
    index = root / "agents/main/sessions/sessions.json"
    index.parent.mkdir()
    index.write_text(json.dumps({"agent:main:main": THEIRS}))
    (root / "cron").mkdir()
    return index


def test_an_index_in_the_legacy_place_comes_into_the_live_one(root, clock) -> None:
    """Where OpenClaw moved in, the repair merges our index into its, and its entries stay."""
    index = openclaw_moves_in(root)

    assert "retired-place" in fixed(root, clock)

    live = json.loads(index.read_text())
    assert live["agent:main:main"] == THEIRS
    assert "agent:main:ours" in live
    assert not (root / "sessions/sessions.json").exists()
    assert not (root / "sessions/profile").exists()
    with clawstate.open(root, clock=clock) as state:
        assert [each.session_key for each in state.sessions.archived()] == ["agent:main:gone"]
        assert len(state.sessions.entries()) == 2
    aside = next((root / "state/set-aside").iterdir())
    assert "agent:main:main" in json.loads((aside / "sessions/sessions.json").read_text())


def test_an_index_of_openclaws_own_past_is_left_to_it(root, clock) -> None:
    """Sessions that a release of OpenClaw long ago left there are no business of ours."""
    openclaw_moves_in(root)
    old = root / "sessions/sessions.json"
    old.write_text(json.dumps({"+15550100": THEIRS}))

    with clawstate.open(root, clock=clock) as state:
        examine(state, fix=True, deep=False)

    assert json.loads(old.read_text()) == {"+15550100": THEIRS}


def test_in_the_sqlite_era_our_files_come_into_rows(root, clock) -> None:
    """Files that would stop a current OpenClaw are taken into rows of ours, and put aside."""
    database = OpenClawDatabases(root, clock())
    database.credentials({"profiles": {"openai:theirs": {**KEY, "key": "sk-theirs"}}})
    row = ("f" * 64, "public", "private", 1, 1)
    database.state("INSERT INTO device_identities VALUES ('primary', ?, ?, ?, ?, ?)", row)

    assert fixed(root, clock).count("retired-place") == 4

    for path in (
        *("sessions/sessions.json", "agents/main/agent/auth-profiles.json"),
        *("identity/device.json", "sessions/archive/sessions.json"),
    ):
        assert not (root / path).exists(), path
    with clawstate.open(root, clock=clock) as state:
        assert len(state.sessions.entries()) == 2
        assert state.auth().get("openai:ours").key == KEY["key"]
        assert len(state.sessions.archived()) == 1


def test_what_openclaw_has_yet_to_take_over_is_left_to_it(root, clock) -> None:
    """Before OpenClaw moved its own files into SQLite, its credentials and key pair stay."""
    OpenClawDatabases(root, clock()).state("SELECT ?", (1,))

    with clawstate.open(root, clock=clock) as state:
        found = [
            each for each in examine(state, fix=True, deep=False) if "waits for" in each.message
        ]

    assert len(found) == 2
    assert (root / "agents/main/agent/auth-profiles.json").exists()
    assert (root / "identity/device.json").exists()


def test_a_handled_key_is_not_new_after_an_upgrade(root, clock) -> None:
    """Marks in files come into rows by themselves when OpenClaw's upgrade changes the engine."""
    OpenClawDatabases(root, clock()).credentials({"profiles": {}})

    with clawstate.open(root, clock=clock) as state:
        assert not state.dedupe.check_and_record("update-1", namespace="telegram")
        assert state.dedupe.forget("update-1", namespace="telegram")
    with clawstate.open(root, clock=clock) as state:
        assert state.dedupe.check_and_record("update-1", namespace="telegram")


def test_an_upgrade_that_took_our_records_is_told(root, clock) -> None:
    """What was shared in files, and left them with OpenClaw's upgrade, is named once each."""
    path = root / "agents/main/agent/auth-profiles.json"
    path.rename(path.with_name("auth-profiles.json.migrated-2026-11-29T00-00-00.000Z-x"))
    OpenClawDatabases(root, clock()).credentials({"profiles": {}})

    with clawstate.open(root, clock=clock) as state:
        with pytest.warns(ElsewhereWarning, match="import openclaw"):
            assert state.auth().profiles() == ()
        found = examine(state, fix=True, deep=False)

    assert "taken-over" in codes(found)
    assert not path.exists()
    with clawstate.open(root, clock=clock) as state:
        state.sessions.resolve("x")
        with pytest.warns(ElsewhereWarning):
            state.auth().upsert("openai:new", KEY)
        assert "taken-over" not in codes(examine(state, deep=False))


@pytest.mark.parametrize(
    "left", ["agent/auth-profiles.json.migrated-2026-11-29-x", "session-sqlite-import-archive"]
)
def test_what_openclaw_left_of_files_is_told_where_we_were_in_use(tmp_path, clock, left) -> None:
    """Files that OpenClaw moved away are named in a state of ours, and not in one of its alone."""
    root = tmp_path / "state"
    OpenClawDatabases(root, clock()).credentials({"profiles": {}})
    (root / "agents/main" / left).mkdir(parents=True)

    with clawstate.open(root, clock=clock) as state:
        assert "taken-over" not in codes(examine(state, deep=False))
        state.memory.add("tea")
        assert "taken-over" in codes(examine(state, deep=False))


@pytest.fixture
def upgraded(tmp_path, clock) -> Path:
    """Return a state of ours in a directory whose files OpenClaw took into its databases."""
    made = OpenClawDatabases(tmp_path / "state", clock()).everything()
    made.file("devices/paired.json.migrated", "{}")
    for empty in ("identity", "credentials"):
        (made.root / empty).mkdir()
    with clawstate.open(made.root, clock=clock) as state:
        state.memory.add("tea")
    return made.root


def told(root: Path, clock) -> str:
    with clawstate.open(root, clock=clock) as state:
        found = examine(state, deep=False)
    return " ".join(each.message for each in found if each.code == "taken-over")


def test_devices_tokens_and_pairing_that_an_upgrade_took_are_told(upgraded, clock) -> None:
    """Paired devices, tokens that are held and channel pairing are named until they are here."""
    assert "devices, device tokens and channel pairing" in told(upgraded, clock)
    with clawstate.open(upgraded, clock=clock) as state:
        with pytest.warns(ElsewhereWarning, match=r"took the devices .*import openclaw"):
            assert state.devices.paired() == ()
        with pytest.warns(ElsewhereWarning, match=r"took the device tokens .*import openclaw"):
            assert state.device_auth.tokens() == {}
        import_openclaw(state, upgraded)

    assert told(upgraded, clock) == ""
    with clawstate.open(upgraded, clock=clock) as state:
        assert len(state.devices.paired()) == len(state.device_auth.tokens()) == 1


def test_the_key_pair_that_an_upgrade_took_is_used_and_told(upgraded, clock) -> None:
    """The key pair of the device stays the same one, and `doctor` says where it lies."""
    with clawstate.open(upgraded, clock=clock) as state:
        found = [each for each in examine(state, deep=False) if each.code == "key-pair"]
        assert state.identity.get() is not None

    assert [each.severity for each in found] == ["info"]


def test_only_what_openclaw_has_is_told_as_taken_over(upgraded, clock) -> None:
    """A folder that is empty for other reasons is no sign: the database has to have records."""
    for table in ("device_pairing_paired", "device_auth_tokens"):
        with sqlite3.connect(upgraded / "state/openclaw.sqlite") as connection:
            connection.execute(f"DELETE FROM {table}")
        connection.close()

    assert "took the channel pairing" in told(upgraded, clock)


def test_a_state_that_we_were_never_used_in_is_told_nothing(tmp_path, clock) -> None:
    """What OpenClaw took over in a directory of its own alone is nobody's loss."""
    made = OpenClawDatabases(tmp_path / "state", clock()).everything()
    made.file("devices/paired.json.migrated", "{}")

    assert told(made.root, clock) == ""
