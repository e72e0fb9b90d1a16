from __future__ import annotations

import json
import os
import subprocess
import sys
from uuid import uuid4

import pytest

import clawstate
from clawstate.errors import ElsewhereWarning, UnavailableError


@pytest.fixture
def tenant():
    return uuid4().hex


@pytest.fixture
def opened(postgres, tmp_path, tenant, clock):
    """Open a state whose records lie on the server, seen from one machine."""
    with clawstate.open(
        tmp_path / "state", store=postgres.full_url, tenant=tenant, clock=clock
    ) as state:
        yield state


def fill(state) -> None:
    state.auth().upsert("openai:default", {"type": "api_key", "provider": "openai", "key": "sk-1"})
    state.sessions.resolve("telegram:42")
    state.pairing.request(user_id="ada", device_id="phone")
    state.dedupe.check_and_record("key", namespace="telegram")


def content(state) -> dict:
    return {
        "auth": [each.id for each in state.auth().profiles()],
        "sessions": {each.session_key: each.session_id for each in state.sessions.entries()},
        "pairing": [each.code for each in state.pairing.pending()],
        "dedupe": state.dedupe.check_and_record("key", namespace="telegram"),
    }


def test_every_store_lies_on_the_server(opened, postgres, tmp_path, tenant, clock) -> None:
    """What one machine writes another one over the same database finds, caches included."""
    fill(opened)

    with clawstate.open(
        tmp_path / "other", store=postgres.full_url, tenant=tenant, clock=clock
    ) as other:
        found = content(other)
        assert found == content(opened)
        assert (found["dedupe"], found["auth"]) == (False, ["openai:default"])
        assert list(found["sessions"]) == ["telegram:42"]
        approved = other.pairing.approve(found["pairing"][0])
        assert opened.devices.verify("phone", approved.token) is not None
        opened.auth().remove("openai:default")
        assert other.auth().get("openai:default") is None

    files = {each.name for each in (tmp_path / "state").rglob("*") if each.is_file()}
    assert not files & {"auth-profiles.json", "sessions.json", "pairing.json", "records.db"}


def test_the_feed_tells_what_another_machine_did(opened, postgres, tmp_path, tenant) -> None:
    """A change through another state over the database is told, with its part and keys."""
    cursor = opened.changes().cursor
    with clawstate.open(tmp_path / "other", store=postgres.full_url, tenant=tenant) as other:
        other.sessions.resolve("telegram:7")
        other.pairing.request(user_id="ada", device_id="phone")

    found = opened.changes(cursor)

    told = {each.part: each.keys for each in found.items}
    assert found.complete
    assert told["sessions"] == ("telegram:7",)
    assert told["pairing"] is None
    assert opened.changes(found.cursor).items == ()


def test_the_password_is_shown_nowhere(opened, postgres, tmp_path) -> None:
    """Neither errors, findings, summaries nor the representation of a state show the password."""
    fill(opened)
    shown = [repr(opened), str(opened.records.summary()), str(list(opened.records.check()))]
    with pytest.raises(UnavailableError) as caught:
        clawstate.open(
            tmp_path / "x", store="postgresql://ada:s3cret-s3cret@127.0.0.1:1/none", lock_timeout=1
        ).sessions.entries()
    shown.append(str(caught.value))

    assert "s3cret-s3cret" not in "".join(shown)
    assert postgres.password is None or postgres.password not in "".join(shown)


@pytest.mark.parametrize("way", [("file",), ("sqlite",), ("sqlite", "server", "file")])
def test_records_move_to_the_server_and_back(postgres, tmp_path, tenant, clock, way) -> None:
    """A state keeps all its records on its way from engine to engine, and no store is forgotten."""
    root = tmp_path / "state"
    with clawstate.open(root, tenant=tenant, clock=clock) as state:
        fill(state)
        before = content(state)
    for step in ("server", *way):
        to = postgres.full_url if step == "server" else step
        with clawstate.open(root, tenant=tenant, clock=clock) as state:
            done = state.records.migrate(to)
            assert not done.left
            assert sum(each.count for each in done.moved) >= 4
        with clawstate.open(root, tenant=tenant, clock=clock) as state:
            assert state.engine == to
            assert content(state) == before
            assert list(state.records.left_behind().counts) == []
            assert list(state.records.check()) == []


def test_what_an_open_state_writes_after_a_move_is_refused(postgres, tmp_path, tenant) -> None:
    """A state that was opened before its records moved away writes nothing where nobody reads."""
    root = tmp_path / "state"
    with clawstate.open(root, tenant=tenant) as state:
        state.records.migrate(postgres.full_url)
    with (
        clawstate.open(root, tenant=tenant) as late,
        clawstate.open(root, tenant=tenant) as state,
    ):
        late.sessions.resolve("a")
        state.records.migrate("sqlite")

        with pytest.raises(UnavailableError, match="moved to another engine"):
            late.sessions.resolve("b")


def test_the_command_line_works_on_it(postgres, tmp_path) -> None:
    """Nouns of the command line, with the option or the variable, find the same state."""
    environment = {**os.environ, "CLAWSTATE_STORE": postgres.full_url}

    def run(*words, env=environment, given=None):
        told = subprocess.run(
            [sys.executable, "-m", "clawstate", "--state-dir", str(tmp_path), *words],
            capture_output=True,
            text=True,
            check=False,
            env=env,
            input=given,
        )
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)

    key = f"cli:{uuid4().hex}"
    run("sessions", "create", key, "--json")
    run("dedupe", "check", key, "--namespace", "cli", "--json")
    plain = {each: value for each, value in environment.items() if each != "CLAWSTATE_STORE"}
    found = run("--store", postgres.full_url, "sessions", "list", "--json", env=plain)
    assert key in {each["key"] for each in found["sessions"]}
    status = run("store", "status", "--json")
    assert status["engine"] == "postgresql"
    assert status["records"]["sessions"] >= 1
    assert run("doctor", "--json")["ok"] in {True, False}
    run("sessions", "delete", key, "--json")


def test_encryption_at_rest_works_there(opened, postgres, tenant) -> None:
    """Secrets are sealed in rows of the server as in all others, and opened again."""
    fill(opened)
    opened.encryption.turn_on("file")

    with postgres.connect() as connection:
        sql = "SELECT string_agg(body, '') FROM clawstate.records WHERE tenant = %s"
        assert "sk-1" not in connection.execute(sql, (tenant,)).fetchone()[0]
    assert opened.auth().get("openai:default").key == "sk-1"


def test_records_elsewhere_are_told_of(postgres, tmp_path, tenant) -> None:
    """Who opens a state on a server is told of records that lie in files."""
    with clawstate.open(tmp_path, tenant=tenant) as state:
        state.sessions.resolve("a")
    with (
        clawstate.open(tmp_path, store=postgres.full_url, tenant=tenant) as state,
        pytest.warns(ElsewhereWarning, match="migrate"),
    ):
        assert state.sessions.entries() == ()


def test_memory_and_transcripts_lie_on_the_server(opened, postgres, tmp_path, tenant) -> None:
    """What one machine remembers or was told another finds, and is told by the feed."""
    with clawstate.open(tmp_path / "other", store=postgres.full_url, tenant=tenant) as other:
        cursor = other.changes().cursor
        record_id = opened.memory.add("the lobster likes rocks", tags=["sea"])
        opened.transcripts.append("s1", {"role": "user", "content": "where is the lobster?"})

        found = other.changes(cursor)
        told = {each.part: each.keys for each in found.items}
        assert [hit.record.id for hit in other.memory.search("lobster rock")] == [record_id]
        assert [each.text for each in other.transcripts.messages("s1")] == ["where is the lobster?"]
        assert found.complete
        assert told == {"memory": (record_id,), "transcripts": ("s1",)}
        assert other.memory.forget([record_id]).gone
        assert opened.memory.search("lobster") == []

    assert not list((tmp_path / "state").rglob("memory.db"))


def test_a_memory_in_a_file_stays_there(postgres, tmp_path, tenant) -> None:
    """Where a file of this machine holds the memory, another store for records hides nothing."""
    with clawstate.open(tmp_path / "state") as state:
        state.memory.add("kept in a file")

    with clawstate.open(tmp_path / "state", store=postgres.full_url, tenant=tenant) as state:
        assert [each.text for each in state.memory.records()] == ["kept in a file"]
