"""What is seen of an OpenClaw of the SQLite era: live, named as its own, and never changed."""

from __future__ import annotations

import pytest

import clawstate
from openclaw.openclaw_databases import OpenClawDatabases

SECRET = "sk-made-up-secret-of-openclaw"
ID = "11111111-1111-4111-8111-111111111111"
WORK = "22222222-2222-4222-8222-222222222222"
KEY = {"type": "api_key", "provider": "openai", "key": SECRET}


@pytest.fixture
def database(tmp_path, clock) -> OpenClawDatabases:
    made = OpenClawDatabases(tmp_path / "state", clock())
    made.session("main", "agent:main:main", ID, label="Ada")
    made.session("work", "agent:work:main", WORK)
    profiles = {"openai:a": KEY, "github:b": {"type": "token", "provider": "github"}}
    made.credentials({"profiles": profiles})
    made.credentials({"profiles": {"openai:w": {**KEY, "keyRef": {"source": "env"}}}}, "work")
    return made


def test_sessions_are_seen_by_agent(database, clock) -> None:
    """The sessions of all agents are given with their own members, and of one agent alone."""
    with clawstate.open(database.root, clock=clock) as state:
        found = state.openclaw.sessions()
        alone = state.openclaw.sessions("work")

    assert {(each.agent, each.entry.session_id) for each in found} == {("main", ID), ("work", WORK)}
    assert next(each for each in found if each.agent == "main").entry.fields["label"] == "Ada"
    assert [each.entry.session_key for each in alone] == ["agent:work:main"]


def test_credentials_are_seen_without_secrets(database, clock) -> None:
    """Ids, providers and types are given, of a secret its ends alone, and no repr has it."""
    with clawstate.open(database.root, clock=clock) as state:
        found = state.openclaw.credentials()
        work = state.openclaw.credentials("work")

    assert [(each.id, each.secret) for each in found] == [
        ("github:b", "missing"),
        ("openai:a", "sk...aw"),
    ]
    assert [each.id for each in work] == ["github:b", "openai:a", "openai:w"]
    assert SECRET not in repr((found, work))


def test_what_is_written_meanwhile_is_seen(database, clock) -> None:
    """Each look reads anew, while another program writes."""
    with clawstate.open(database.root, clock=clock) as state:
        assert len(state.openclaw.sessions()) == 2
        database.session("main", "agent:main:new", "33333333-3333-4333-8333-333333333333")

        assert len(state.openclaw.sessions()) == 3


def test_elsewhere_there_is_nothing_to_see(state) -> None:
    """A directory without such databases has none of OpenClaw's to show apart."""
    assert state.openclaw.sessions() == ()
    assert state.openclaw.credentials() == ()
    assert state.openclaw.problems() == ()


def test_a_database_that_cannot_be_read_is_told(database, clock) -> None:
    """A newer schema hides no other database, and is named."""
    newer = OpenClawDatabases(database.root, clock(), agent_schema=99)
    newer.session("new", "agent:new:main", ID)

    with clawstate.open(database.root, clock=clock) as state:
        assert len(state.openclaw.sessions()) == 2
        assert any("99" in each for each in state.openclaw.problems())
