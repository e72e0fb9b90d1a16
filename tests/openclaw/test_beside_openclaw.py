"""What clawstate writes in a directory where an OpenClaw lives, and what it leaves alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import clawstate
from clawstate.errors import InvalidError, UnavailableError
from clawstate.openclaw.owner import Era
from clawstate.state import State
from openclaw.openclaw_databases import OpenClawDatabases

OURS = ("state/records.db", "memory/", "locks/", "state/keys.json")
KEY = {"type": "api_key", "provider": "openai", "key": "sk-of-ours"}

Write = Callable[[State], object]

WRITES: dict[str, Write] = {
    "auth": lambda state: state.auth().upsert("openai:ours", KEY),
    "auth of an agent": lambda state: state.auth("work").upsert("openai:ours", KEY),
    "auth order": lambda state: state.auth().import_legacy(),
    "sessions": lambda state: state.sessions.resolve("agent:main:main"),
    "sessions removed": lambda state: (
        state.sessions.resolve("a"),
        state.sessions.delete("a"),
        state.sessions.prune(enforce=True),
    ),
    "transcripts": lambda state: state.transcripts.append("s", [{"role": "user", "content": "x"}]),
    "pairing": lambda state: state.pairing.request(user_id="ada", device_id="phone"),
    "devices": lambda state: state.pairing.approve(
        state.pairing.request(user_id="ada", device_id="phone").code
    ),
    "identity": lambda state: state.identity.load_or_create(),
    "device auth": lambda state: state.device_auth.set("operator", "a-token", ["operator.read"]),
    "dedupe": lambda state: state.dedupe.check_and_record("update-1", namespace="telegram"),
    "memory": lambda state: state.memory.add("the user likes tea"),
}


def tree(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def database(tmp_path, clock) -> OpenClawDatabases:
    """Return a directory of OpenClaw's SQLite era with a session and a credential."""
    made = OpenClawDatabases(tmp_path / "state", clock())
    made.session("main", "agent:main:main", "11111111-1111-4111-8111-111111111111")
    made.credentials({"profiles": {"openai:theirs": {**KEY, "key": "sk-theirs"}}})
    return made


@pytest.fixture
def beside(database, clock) -> Iterator[State]:
    with clawstate.open(database.root, clock=clock) as state:
        yield state


@pytest.fixture
def shared(tmp_path, clock) -> Iterator[State]:
    """Return the state of a directory of OpenClaw's file era."""
    root = tmp_path / "state"
    (root / "agents/main/sessions").mkdir(parents=True)
    (root / "openclaw.json").write_text('{"meta": {"lastTouchedVersion": "2026.2.26"}}')
    with clawstate.open(root, clock=clock) as state:
        yield state


@pytest.mark.parametrize("name", WRITES)
def test_in_the_sqlite_era_only_files_of_ours_are_written(database, clock, name) -> None:
    """Whatever is kept beside a current OpenClaw, no file of it changes, and none that it takes."""
    before = tree(database.root)

    with clawstate.open(database.root, clock=clock) as state:
        WRITES[name](state)

    after = tree(database.root)
    assert {name: after.get(name) for name in before} == before
    assert [each for each in after if each not in before and not each.startswith(OURS)] == []


def test_what_was_kept_in_the_sqlite_era_is_there_for_the_next(database, clock) -> None:
    """Records beside a current OpenClaw are found by another state, without any setting."""
    with clawstate.open(database.root, clock=clock) as first:
        for write in WRITES.values():
            write(first)
        token, who = first.device_auth.get("operator"), first.identity.device_id

    with clawstate.open(database.root, clock=clock) as second:
        assert second.owner.era is Era.SQLITE
        assert [each.id for each in second.auth().profiles()] == ["openai:ours"]
        assert [each.id for each in second.auth("work").profiles()] == ["openai:ours"]
        assert second.sessions.get("agent:main:main") is not None
        assert len(second.devices.paired()) == 1
        assert second.device_auth.get("operator") == token
        assert second.identity.device_id == who
        assert second.dedupe.seen("update-1", namespace="telegram")


def test_files_are_refused_beside_the_sqlite_era(database) -> None:
    """`store="file"` beside a current OpenClaw is refused before anything is opened."""
    with pytest.raises(InvalidError, match=r"records\.db"):
        clawstate.open(database.root, store="file")


@pytest.mark.parametrize("store", ["sessions/sessions.json", "agents/{agentId}/sessions/x.json"])
def test_no_setting_brings_sessions_back_to_files(database, clock, store) -> None:
    """A path of sessions that was set in the file era counts no more in the SQLite era."""
    (database.root / "openclaw.json").write_text(json.dumps({"session": {"store": store}}))

    with clawstate.open(database.root, clock=clock) as state:
        state.sessions.resolve("k")

    assert not (database.root / "sessions").exists()
    assert not (database.root / "agents/main/sessions").exists()


def test_the_setting_of_files_counts_no_more(database, clock) -> None:
    """`state.store` that says files, from before OpenClaw's upgrade, leads to rows now."""
    (database.root / "openclaw.json").write_text('{"state": {"store": "file"}}')

    with clawstate.open(database.root, clock=clock) as state:
        state.auth().upsert("openai:ours", KEY)

    assert not (database.root / "agents/main/agent/auth-profiles.json").exists()


def test_the_key_pair_of_openclaw_is_that_of_this_device(database, tmp_path, clock) -> None:
    """Where OpenClaw has a key pair in a row, this device is known by it, and no other is made."""
    with clawstate.open(tmp_path / "elsewhere", clock=clock) as other:
        theirs = other.identity.load_or_create()
    document = json.loads((tmp_path / "elsewhere/identity/device.json").read_text())
    row = [document[name] for name in ("deviceId", "publicKeyPem", "privateKeyPem", "createdAtMs")]
    sql = "INSERT INTO device_identities VALUES ('primary', ?, ?, ?, ?, ?)"
    database.state(sql, (*row, row[-1]))

    with clawstate.open(database.root, clock=clock) as state:
        found = state.identity.load_or_create()
        signature = state.identity.sign("hello")

    assert found == theirs
    assert state.identity.verify(theirs.public_key, "hello", signature)
    assert not (database.root / "state/records.db").exists()


def test_a_key_pair_of_ours_stays_when_openclaw_makes_its_own(database, tmp_path, clock) -> None:
    """A key pair that gateways know of us counts on, although OpenClaw has one of its own later."""
    with clawstate.open(database.root, clock=clock) as state:
        ours = state.identity.load_or_create()
    with clawstate.open(tmp_path / "elsewhere", clock=clock) as other:
        other.identity.load_or_create()
    document = json.loads((tmp_path / "elsewhere/identity/device.json").read_text())
    row = [document[name] for name in ("deviceId", "publicKeyPem", "privateKeyPem", "createdAtMs")]
    database.state(
        "INSERT INTO device_identities VALUES ('primary', ?, ?, ?, ?, ?)", (*row, row[-1])
    )

    with clawstate.open(database.root, clock=clock) as state:
        assert state.identity.load_or_create() == ours


@pytest.mark.parametrize("name", ["auth", "sessions", "pairing", "identity", "dedupe"])
def test_an_upgrade_under_an_open_state_stops_its_writes(shared, clock, name) -> None:
    """When OpenClaw takes its files into SQLite, a state that is open writes none of them again."""
    for write in WRITES.values():
        write(shared)
    for each in (shared.paths.auth_profiles(), shared.paths.device_identity):
        each.unlink()
    before = tree(shared.paths.root)
    OpenClawDatabases(shared.paths.root, clock()).credentials({"profiles": {}})

    again = {
        "auth": lambda: shared.auth().upsert("openai:b", KEY),
        "sessions": lambda: shared.sessions.resolve("agent:main:b"),
        "pairing": lambda: shared.pairing.request(user_id="b", device_id="b"),
        "identity": shared.identity.load_or_create,
        "dedupe": lambda: shared.dedupe.check_and_record("update-2", namespace="telegram"),
    }
    with pytest.raises(UnavailableError, match="open the state again"):
        again[name]()

    after = tree(shared.paths.root)
    assert {path for path in after if path not in before} == {"state/openclaw.sqlite"}
    assert {path for path in before if after[path] != before[path]} == set()


def test_in_the_file_era_sessions_lie_where_openclaw_has_them(shared) -> None:
    """Beside an OpenClaw of the file era the index of an agent is shared, and no other is made."""
    made = shared.sessions.resolve("agent:main:main")
    shared.sessions.resolve("agent:work:main")

    index = json.loads((shared.paths.root / "agents/main/sessions/sessions.json").read_text())
    assert index["agent:main:main"]["sessionId"] == made.session_id
    assert (shared.paths.root / "agents/work/sessions/sessions.json").exists()
    assert not (shared.paths.root / "sessions").exists()


def test_in_the_file_era_the_sessions_of_openclaw_are_seen(shared) -> None:
    """What OpenClaw wrote into its index is listed, and stays when ours comes beside it."""
    index = shared.paths.root / "agents/main/sessions/sessions.json"
    theirs = {"sessionId": "11111111-1111-4111-8111-111111111111", "updatedAt": 1, "own": {"x": 1}}
    index.write_text(json.dumps({"agent:main:main": theirs}))

    shared.sessions.resolve("agent:main:ours")

    assert len(shared.sessions.entries()) == 2
    kept = json.loads(index.read_text())["agent:main:main"]
    assert {name: kept[name] for name in theirs} == theirs


def test_all_entries_of_one_agent_can_be_changed_at_once(shared) -> None:
    """One index is one step, also where each agent has an index of its own."""
    shared.sessions.resolve("agent:main:a")

    def relabelled(entries):
        for each in entries.values():
            each["label"] = "new"
        return len(entries)

    assert shared.sessions.update_store(relabelled) == 1
    assert shared.sessions.require("agent:main:a").fields["label"] == "new"


def test_an_openclaw_that_moves_in_stops_writes_of_its_legacy_place(tmp_path, clock) -> None:
    """Once OpenClaw lives in a directory, nothing more comes to where it takes sessions away."""
    with clawstate.open(tmp_path / "state", clock=clock) as state:
        state.sessions.resolve("a")
        before = (state.paths.sessions_index).read_bytes()
        (tmp_path / "state/cron").mkdir()

        with pytest.raises(UnavailableError, match="open the state again"):
            state.sessions.resolve("b")

        assert state.paths.sessions_index.read_bytes() == before


def test_the_functions_on_a_file_refuse_a_retired_index(database) -> None:
    """An index of the file era, named by its path, is not made beside the SQLite era."""
    path = database.root / "agents/main/sessions/sessions.json"

    with pytest.raises(UnavailableError, match=r"records\.db"):
        clawstate.resolve_and_persist_session_file("agent:main:main", store_path=path)

    assert not path.parent.exists()
