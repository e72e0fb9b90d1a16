"""A backup of a state whose records, memory and transcripts lie on a server: the same archive."""

from __future__ import annotations

from uuid import uuid4

import pytest

import clawstate
from clawstate.backup import create, restore, verify


@pytest.fixture
def tenant():
    """Give a tenant that no other test has."""
    return uuid4().hex


def fill(state) -> None:
    state.auth().upsert("openai:default", {"type": "api_key", "provider": "openai", "key": "sk-1"})
    state.sessions.resolve("telegram:42")
    state.dedupe.check_and_record("key", namespace="telegram")
    state.memory.add_many({"text": f"number {each} of green tea"} for each in range(40))
    state.transcripts.append("s1", {"role": "user", "content": "a lobster"})


def content(state) -> dict:
    return {
        "auth": [(each.id, each.credential) for each in state.auth().profiles()],
        "sessions": {each.session_key: each.session_id for each in state.sessions.entries()},
        "memory": state.memory.records(limit=100),
        "hits": [each.record.id for each in state.memory.search("number 7 tea", k=10)],
        "messages": [each.entry for each in state.transcripts.messages("s1")],
    }


@pytest.mark.parametrize("tenant_of", ["default", "own"])
def test_a_backup_of_a_server_is_restored_without_one(
    postgres, tmp_path, tenant, tenant_of
) -> None:
    """All is in the archive and proven by asking; the restored state needs no server."""
    tenant = tenant if tenant_of == "own" else "default"
    root, file = tmp_path / "state", tmp_path / "backup.claw"
    with clawstate.open(root, tenant=tenant) as state:
        fill(state)
        state.records.migrate(postgres.full_url)
    with clawstate.open(root, tenant=tenant) as state:
        wanted = content(state)
        made = create(state, file)
        assert state.engine.startswith("postgresql://")

    proven = verify(file)
    done = restore(file, tmp_path / "restored")

    assert made.digest == proven.digest
    assert proven.searches > 10
    assert "state.store" in done.moved
    with clawstate.open(tmp_path / "restored", tenant=tenant) as state:
        assert state.engine == "sqlite"
        assert content(state) == wanted
        assert state.dedupe.check_and_record("key", namespace="telegram") is False
    with clawstate.open(root, tenant=tenant) as state:
        state.records.migrate("sqlite", drop_source=True)  # the server is empty for others again


def test_a_restored_state_goes_to_another_server(postgres, tmp_path, tenant) -> None:
    """What was restored moves into PostgreSQL by `store migrate`, as any state does."""
    root, file = tmp_path / "state", tmp_path / "backup.claw"
    with clawstate.open(root, store=postgres.full_url, tenant=tenant) as state:
        fill(state)
        wanted = content(state)
        create(state, file)
    restore(file, tmp_path / "restored")

    with clawstate.open(tmp_path / "restored", tenant=tenant) as state:
        state.records.migrate("file")
    with postgres.connect() as connection:  # the server that was lost
        connection.execute("DROP SCHEMA clawstate CASCADE")
    with clawstate.open(tmp_path / "restored", tenant=tenant) as state:
        state.records.migrate(postgres.full_url)

    with clawstate.open(root, store=postgres.full_url, tenant=tenant) as state:
        assert content(state) == wanted


def test_without_secrets_none_is_in_the_copy_of_a_server(postgres, tmp_path, tenant) -> None:
    """`secrets=False` leaves credentials of the server out, and keeps all else."""
    root, file = tmp_path / "state", tmp_path / "backup.claw"
    with clawstate.open(root, store=postgres.full_url, tenant=tenant) as state:
        fill(state)
        create(state, file, secrets=False)
    restore(file, tmp_path / "restored")

    with clawstate.open(tmp_path / "restored", tenant=tenant) as state:
        assert state.auth().get("openai:default") is None
        assert len(state.memory.records(limit=100)) == 40
    held = [each.read_bytes() for each in (tmp_path / "restored").rglob("*") if each.is_file()]
    assert not any(b"sk-1" in each for each in held)
