"""Reading the databases of a real OpenClaw."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from clawstate.errors import CorruptError, MissingExtraError, UnavailableError, VersionError
from clawstate.openclaw.agent_database import AgentDatabase
from clawstate.openclaw.description import Gateway, running_gateway
from clawstate.openclaw.reading import read_credentials, read_schemas, read_sessions
from clawstate.openclaw.schema import Role, Schema
from clawstate.openclaw.snapshot import snapshot
from clawstate.openclaw.state_database import Mark, StateDatabase
from clawstate.openclaw.transcripts import Transcripts
from clawstate.sqlite.foreign import reading
from openclaw.openclaw_databases import OpenClawDatabases

NOW = 1_790_000_000.0
KEY = {"type": "api_key", "provider": "openai", "key": "sk-secret-of-openai"}
TOKEN = {"type": "token", "provider": "anthropic", "token": "secret-token-of-work"}


@pytest.fixture
def made(tmp_path: Path) -> OpenClawDatabases:
    return OpenClawDatabases(tmp_path / "openclaw", NOW)


def bytes_of(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in root.rglob("*")
        if path.is_file()
    }


def texts(path: Path, session_id: str) -> list[str]:
    with snapshot(path, Role.AGENT) as found:
        lines = list(Transcripts(found).lines(session_id))
    assert not [each.error for each in lines if each.error]
    return [each.text for each in lines]


def test_shared_credentials_are_those_of_main_and_an_agents_own_count_for_more(made) -> None:
    """Shared profiles stand under main; an agent has its own, and its order, laid over them."""
    other = {**KEY, "key": "of-main-alone"}
    made.credentials(
        {"profiles": {"openai:a": KEY, "openai:b": KEY}, "usageStats": {"openai:a": {"n": 1}}}
    )
    made.credentials({"profiles": {"openai:b": other}, "order": {"openai": ["openai:b"]}}, "main")
    made.credentials({"profiles": {"anthropic:w": TOKEN}}, "work")

    found = read_credentials(made.root)

    assert found.problems == ()
    assert found.by_agent["main"]["profiles"] == {"openai:a": KEY, "openai:b": other}
    assert found.by_agent["main"]["order"] == {"openai": ["openai:b"]}
    assert found.by_agent["main"]["usageStats"] == {"openai:a": {"n": 1}}
    assert found.by_agent["work"]["profiles"] == {"anthropic:w": TOKEN}
    assert "secret" not in repr(found)


def test_shared_credentials_of_older_schemas_have_tables_of_their_own(tmp_path) -> None:
    """Until schema 13 the shared profiles are in `auth_profile_stores`."""
    made = OpenClawDatabases(tmp_path, NOW, state_schema=12)
    made.state("CREATE TABLE auth_profile_stores (store_key TEXT, store_json TEXT)")
    store = json.dumps({"version": 1, "profiles": {"openai:a": KEY}})
    made.state("INSERT INTO auth_profile_stores VALUES ('primary', ?)", (store,))

    assert read_credentials(tmp_path).by_agent["main"]["profiles"] == {"openai:a": KEY}


def test_sessions_come_without_what_is_made_anew_for_each_turn(made) -> None:
    """An entry is what `sessions.json` would hold, without prompts; a damaged one is a problem."""
    made.session("main", "agent:main:main", "one", label="Lisbon")
    made.session("main", "agent:main:bad", "two", valid=-1)
    made.session("work", "agent:work:main", "three")

    found = read_sessions(made.root)

    entry = found.by_agent["main"]["agent:main:main"]
    assert entry == {"sessionId": "one", "updatedAt": made.ms(60), "label": "Lisbon"}
    assert list(found.by_agent["main"]) == ["agent:main:main"]
    assert list(found.by_agent["work"]) == ["agent:work:main"]
    assert ["agent:main:bad" in str(each) for each in found.problems] == [True]


@pytest.mark.parametrize("schema", [4, 13])
def test_sessions_of_schemas_that_are_not_documented_are_a_problem(tmp_path, schema) -> None:
    """An agent's database before schema 14 is told with its number; its credentials are read."""
    made = OpenClawDatabases(tmp_path, NOW, agent_schema=schema)
    made.credentials({"profiles": {"anthropic:w": TOKEN}}, "work")
    made.agent("work", "DROP TABLE session_nodes")

    assert [f"schema {schema}" in str(each) for each in read_sessions(tmp_path).problems] == [True]
    assert list(read_credentials(tmp_path).by_agent["work"]["profiles"]) == ["anthropic:w"]


@pytest.mark.parametrize(("role", "numbers"), [(Role.STATE, (19, 18)), (Role.AGENT, (24, 23))])
def test_a_newer_schema_is_refused_with_both_numbers(tmp_path, role, numbers) -> None:
    """A database of a newer schema is not read, and the error names its number and ours."""
    made = OpenClawDatabases(tmp_path, NOW, state_schema=numbers[0], agent_schema=numbers[0])
    state, agent = made.state("SELECT 1"), made.agent("main", "SELECT 1")

    with (
        pytest.raises(VersionError, match=f"{numbers[0]}.*{numbers[1]}") as caught,
        snapshot(state if role is Role.STATE else agent, role),
    ):
        pass

    assert (caught.value.found, caught.value.supported) == numbers


def test_a_schema_that_is_applied_but_not_published_counts(made) -> None:
    """OpenClaw may apply a schema before it publishes the number: then that one decides."""
    row = ("state.schema.contentVersion", "19", made.ms())
    path = made.state("INSERT INTO config_machine_state VALUES (?, ?, ?)", row)

    with pytest.raises(VersionError, match="19"), snapshot(path, Role.STATE):
        pass


def test_a_database_of_another_role_or_program_is_refused(made, tmp_path) -> None:
    """A database that is not what its place says is damage, not an empty state."""
    path = made.state("SELECT 1")
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE t (x)")

    for wrong in (path, tmp_path / "other.db"):
        with pytest.raises(CorruptError), snapshot(wrong, Role.AGENT):
            pass


def test_one_broken_database_hides_no_other(made) -> None:
    """What cannot be read is a problem beside all that can."""
    made.session("main", "agent:main:main", "one")
    made.file("agents/work/agent/openclaw-agent.sqlite", b"no database" * 100)

    found = read_sessions(made.root)

    assert list(found.by_agent) == ["main"]
    assert len(found.problems) == 1
    assert len(read_credentials(made.root).problems) == 1


def test_what_a_schema_says_is_told(made) -> None:
    """Each database says its role, schema number and the version of OpenClaw."""
    state, agent = made.state("SELECT 1"), made.agent("main", "SELECT 1")

    assert read_schemas(made.root).by_path == {
        state: Schema(Role.STATE, 18, "2026.9.6"),
        agent: Schema(Role.AGENT, 23, "2026.9.6", "main"),
    }


def test_missing_tables_and_columns_are_empty_and_unknown_ones_are_listed(made) -> None:
    """A table or column that is not there is taken for empty; others are listed, with counts."""
    made.state("DROP TABLE device_pairing_paired")
    made.state("ALTER TABLE device_identities DROP COLUMN updated_at_ms")
    made.state("ALTER TABLE device_auth_tokens ADD COLUMN extra TEXT")
    path = made.state("CREATE TABLE novel (x)")
    made.state("INSERT INTO novel VALUES (1), (2)")

    with snapshot(path, Role.STATE) as found:
        assert StateDatabase(found).devices().documents == {}
        assert StateDatabase(found).identity() is None
        assert found.skipped_tables() == {"novel": 2}
        assert found.unknown_columns() == ("device_auth_tokens.extra",)


def test_a_transcript_is_its_events_whether_plain_packed_or_cold(made) -> None:
    """Events come in their order as lines: text, zstd, a cold file, and one inside its row."""
    plain, packed = made.events("plain", ["a", "b"]), made.events("packed", ["c", "d" * 5000])
    made.transcript("main", "plain", plain)
    made.transcript("main", "packed", packed, packed=[0, 2])
    made.cold("main", "cold", made.events("cold", ["e", "f"]))
    made.cold("main", "inside", made.events("inside", ["g"]), inside=True)
    path = made.agent("main", "SELECT 1")

    assert texts(path, "plain") == plain
    assert texts(path, "packed") == packed
    assert texts(path, "cold") == made.events("cold", ["e", "f"])
    assert texts(path, "inside") == made.events("inside", ["g"])
    with snapshot(path, Role.AGENT) as found:
        assert Transcripts(found).sessions() == ("cold", "inside", "packed", "plain")


def test_the_archive_of_a_deleted_session_is_its_lines(made) -> None:
    """The transcripts of deleted and reset sessions are told apart, and read like others."""
    lines = made.events("gone", ["old"])
    name = made.deleted("main", "gone", lines)

    with snapshot(made.agent("main", "SELECT 1"), Role.AGENT) as found:
        transcripts = Transcripts(found)
        (archive,) = transcripts.archives()
        said = [each.text.rstrip("\n") for each in transcripts.archived_lines(archive)]

    assert (archive.session_id, archive.name, archive.reason) == ("gone", name, "deleted")
    assert said == lines


def test_damage_to_one_event_is_told_and_hides_no_other(made) -> None:
    """Bytes that are no zstd, or unpack to another size, are an error in place of the line."""
    lines = made.events("one", ["a", "b", "c"])
    made.transcript("main", "one", lines, packed=[1, 2])
    made.agent("main", "UPDATE transcript_events SET event_zstd = x'00' WHERE seq = 1")
    path = made.agent("main", "UPDATE transcript_events SET event_utf8_bytes = 3 WHERE seq = 2")

    with snapshot(path, Role.AGENT) as found:
        read = list(Transcripts(found).lines("one"))

    assert [type(each.error) for each in read] == [
        type(None),
        CorruptError,
        CorruptError,
        type(None),
    ]
    assert read[3].text == lines[3]


@pytest.mark.parametrize("damage", ["missing", "changed", "linked", "elsewhere", "fewer"])
def test_a_cold_archive_is_taken_whole_or_told(made, tmp_path, damage) -> None:
    """A cold file that is gone, changed, a link, or named outside of its folder is an error."""
    name = made.cold("main", "cold", made.events("cold", ["e"]))
    file = made.root / "agents/main/sessions/cold" / name
    path = made.agent("main", "SELECT 1")
    if damage in {"missing", "linked"}:
        file.rename(tmp_path / "moved")
    if damage == "linked":
        file.symlink_to(tmp_path / "moved")
    if damage == "changed":
        file.write_bytes(file.read_bytes() + b"x")
    if damage == "elsewhere":
        sql = "UPDATE session_transcript_cold_archives SET archive_name = '../../../../etc/passwd'"
        made.agent("main", sql)
    if damage == "fewer":
        made.agent("main", "UPDATE session_transcript_cold_archives SET event_count = 9")

    with snapshot(path, Role.AGENT) as found:
        errors = [each.error for each in Transcripts(found).lines("cold") if each.error]

    assert len(errors) == 1


def test_without_zstd_packed_events_are_told_with_what_to_install(made, monkeypatch) -> None:
    """Where no zstd is to be had, plain events are read, and others name the extra."""
    lines = made.events("one", ["a", "b"])
    made.transcript("main", "one", lines, packed=[1])
    made.deleted("main", "gone", lines)
    path = made.agent("main", "SELECT 1")
    monkeypatch.setattr("clawstate.openclaw.transcripts._MODULES", ("no_such_module",))

    with snapshot(path, Role.AGENT) as found:
        transcripts = Transcripts(found)
        read = list(transcripts.lines("one"))
        archived = list(transcripts.archived_lines(transcripts.archives()[0]))

    assert [each.text for each in read] == [lines[0], "", lines[2]]
    for error in (read[1].error, archived[0].error):
        assert isinstance(error, MissingExtraError)
        assert "clawstate[openclaw]" in str(error)


def test_pairing_allow_lists_devices_identity_and_marks_are_the_documents_of_files(made) -> None:
    """The rows of the state's database become what OpenClaw's files held before."""
    moment = "2026-09-21T14:13:20.000Z"
    made.state(
        "INSERT INTO channel_pairing_requests VALUES ('telegram', 'work', '42', 'ABCD', ?, ?, ?)",
        (moment, moment, '{"username":"bob"}'),
    )
    made.state(
        "INSERT INTO channel_pairing_allow_entries VALUES ('telegram', 'default', ?, ?, 1)",
        ("2", 1),
        ("1", 0),
    )
    made.state("INSERT INTO device_identities VALUES ('primary', 'id', 'pub', 'priv', 5, 6)")
    made.state(
        "INSERT INTO device_auth_tokens VALUES ('id', 'operator', 'secret-of-operator', "
        "'[\"a\"]', 7)"
    )
    made.state(
        "INSERT INTO device_pairing_paired VALUES ('phone', 'key', 'Ada''s', 'ios', 'node', "
        '\'["node"]\', \'["x"]\', NULL, \'{"node":{"token":"secret-of-the-phone"}}\', 8, 9)'
    )
    hashes = ("0" * 32, "1" * 32)
    row = (f"prefix.{hashes[0]}", f"k.{hashes[1]}", '{"key":"m1","seenAt":5}', made.ms(-10))
    old = (row[0], "k.2", '{"key":"m2","seenAt":5}', made.ms(10))
    other = (row[0], "z", '{"key":"m3","seenAt":5}', None)
    marks = "INSERT INTO plugin_state_entries VALUES ('telegram', ?, ?, ?, 1, ?)"
    path = made.state(marks, row, old, other)

    with snapshot(path, Role.STATE) as snap:
        found = StateDatabase(snap)
        request = {"id": "42", "code": "ABCD", "createdAt": moment, "lastSeenAt": moment}
        meta = {"accountId": "work", "username": "bob"}
        assert found.pairing() == {"telegram": [{**request, "meta": meta}]}
        assert found.allow_lists() == {("telegram", "default"): ["1", "2"]}
        keys = {"publicKeyPem": "pub", "privateKeyPem": "priv"}
        assert found.identity() == {"version": 1, "deviceId": "id", **keys, "createdAtMs": 5}
        token = {"token": "secret-of-operator", "role": "operator"}
        token |= {"scopes": ["a"], "updatedAtMs": 7}
        held = {"version": 1, "deviceId": "id", "tokens": {"operator": token}}
        assert found.device_auth() == {"id": held}
        phone = found.devices().documents["phone"]
        assert (phone["displayName"], phone["createdAtMs"]) == ("Ada's", 8)
        assert phone["tokens"]["node"] == {"token": "secret-of-the-phone"}
        assert list(found.marks(now_ms=made.ms())) == [Mark("telegram", row[0], "m1", 5)]


def test_secrets_are_read_but_never_shown(made) -> None:
    """A deleted secret is not read, and no `repr` holds a value."""
    sql = (
        "INSERT INTO secret_store_entries VALUES ('team', '', ?, ?, 'secret', 1, 1, 'cli', ?, NULL)"
    )
    path = made.state(sql, ("A", "secret-of-the-store", None), ("B", "deleted-one", 5))

    with snapshot(path, Role.STATE) as found:
        secrets = list(StateDatabase(found).secrets())

    assert [(each.name, each.value) for each in secrets] == [("A", "secret-of-the-store")]
    assert "secret-of-the-store" not in repr(secrets)


def test_agents_whose_database_lies_elsewhere_are_found_by_the_registry(made, tmp_path) -> None:
    """A registered path counts, relative to the state or absolute; one that is gone does not."""
    made.session("work", "agent:work:main", "one")
    (tmp_path / "far").mkdir()
    (made.root / "agents/work/agent/openclaw-agent.sqlite").rename(tmp_path / "far/x.sqlite")
    made.state("DELETE FROM agent_databases")
    sql = "INSERT INTO agent_databases VALUES ('work', ?, 23, 1, NULL)"
    made.state(sql, (str(tmp_path / "far/x.sqlite"),), ("agents/gone.sqlite",))

    assert list(read_sessions(made.root).by_agent["work"]) == ["agent:work:main"]


def test_forgotten_sessions_and_what_came_of_them_are_known(made) -> None:
    """Keys of memories are forgotten when a session that they come from is."""
    made.agent("main", "INSERT INTO memory_session_tombstones VALUES ('one', 'main', 'user', 1)")
    sql = "INSERT INTO memory_entry_origins VALUES (?, 'main', ?, NULL, 'owner', 1)"
    path = made.agent("main", sql, ("a", "one"), ("b", "two"))

    with snapshot(path, Role.AGENT) as found:
        assert AgentDatabase(found).forgotten() == {"a"}


def test_reading_leaves_no_trace(made) -> None:
    """No byte, time or name below the directory changes, where no log has to be read."""
    made.session("main", "agent:main:main", "one")
    made.credentials({"profiles": {"openai:a": KEY}})
    before = bytes_of(made.root)

    read_sessions(made.root)
    read_credentials(made.root)

    assert bytes_of(made.root) == before
    assert not [name for name in before if name.endswith(("-wal", "-shm"))]


def test_what_is_only_in_the_log_is_read(made) -> None:
    """While a gateway writes, its newest rows are in the log alone, and they count."""
    made.session("main", "agent:main:main", "one")
    path = made.root / "agents/main/agent/openclaw-agent.sqlite"
    with closing(sqlite3.connect(path)) as gateway:
        gateway.execute("UPDATE session_nodes SET session_key = 'agent:main:new'")
        gateway.commit()
        data = path.read_bytes()

        assert list(read_sessions(made.root).by_agent["main"]) == ["agent:main:new"]
        assert path.read_bytes() == data


def test_a_write_meanwhile_is_noticed(made) -> None:
    """What was read of a database without a log is not trusted if somebody wrote meanwhile."""
    path = made.state("SELECT 1")

    with pytest.raises(UnavailableError, match="was written"), reading(path):
        made.state("INSERT INTO cron_jobs VALUES ('a', 'b', 'c', '{}')")


def test_no_statement_can_write(made) -> None:
    """The connection that is lent refuses to change anything."""
    path = made.state("SELECT 1")

    with pytest.raises(UnavailableError), reading(path) as connection:
        connection.execute("DELETE FROM schema_meta")


def test_a_gateway_runs_if_the_process_of_its_lock_lives(tmp_path) -> None:
    """Its lock file names a living process with its start; a dead or another one is none."""
    lock = tmp_path / "tmp/openclaw-0/gateway.state.lock"
    lock.parent.mkdir(parents=True)
    stat = Path(f"/proc/{os.getpid()}/stat")
    started = int(stat.read_text().rpartition(")")[2].split()[19]) if stat.exists() else None
    said = {"pid": os.getpid(), "port": 18789, "startTime": started}

    assert running_gateway(tmp_path) is None
    lock.write_text(json.dumps(said) + " " * 50)
    assert running_gateway(tmp_path) == Gateway(os.getpid(), 18789)
    lock.write_text(json.dumps({**said, "startTime": 1}))
    assert running_gateway(tmp_path) is None
    lock.write_text(json.dumps({**said, "pid": 2**22 + 1}))
    assert running_gateway(tmp_path) is None
