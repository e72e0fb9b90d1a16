"""Names of agents: one that may be another agent's is read as OpenClaw does, and not written."""

from __future__ import annotations

import json

import pytest

import clawstate
from clawstate.errors import InvalidError
from clawstate.files.paths import is_agent_id, normalise_agent_id, require_agent_id

KEY = {"type": "api_key", "provider": "openai", "key": "sk-canary-0123456789"}
SHARED = [
    *("..", ".", "/", "", " ", "-", "---", "команда", "助手", "🤖", "main/", "/main", "ma\u0131n"),
    *("team/a", "team a", "team.a", "team:a", "team\\a", "-team-a", "téam-a"),
    *("../../etc", "a" * 65, "\u212aate", "\uff41da", "team\u200ba", "a\nb", "a\0b"),
]
NAMED = {
    "main": "main",
    "team-a": "team-a",
    "team_a": "team_a",
    "Ada": "ada",
    " MAIN ": "main",
    "0": "0",
    "a" * 64: "a" * 64,
}


@pytest.fixture(params=["file", "sqlite"])
def state(request, tmp_path):
    with clawstate.open(tmp_path / "state", store=request.param) as made:
        made.auth().upsert("openai:default", KEY)
        yield made


@pytest.mark.parametrize(("given", "name"), NAMED.items())
def test_a_name_as_it_stands_in_paths_is_written(state, given, name):
    """The normal form of a name, in any case, is that of one agent."""
    state.auth(given).upsert("openai:own", KEY)

    assert require_agent_id(given) == name
    assert state.auth(name).get("openai:own") is not None


@pytest.mark.parametrize("given", SHARED)
def test_a_name_that_may_be_another_ones_is_read_and_not_written(state, given):
    """Every change under such a name is refused, with nothing written; reading goes on."""
    auth = state.auth(given)
    before = {name: state.auth(name).document() for name in ("main", normalise_agent_id(given))}
    changes = [
        lambda: auth.upsert("openai:default", {**KEY, "key": "sk-other"}),
        lambda: auth.remove("openai:default"),
        lambda: auth.set_order("openai", ["openai:default"]),
        lambda: auth.mark_good("openai:default"),
        lambda: auth.merge({"version": 1, "profiles": {"openai:x": KEY}}),
        auth.import_legacy,
        lambda: state.config.set("gateway.port", 7, agent_id=given),
        lambda: state.config.unset("gateway.port", agent_id=given),
    ]

    assert not is_agent_id(given)
    assert auth.get("openai:default") is not None
    for change in changes:
        with pytest.raises(InvalidError, match=r"would be the agent '.*; write '"):
            change()

    assert before == {name: state.auth(name).document() for name in before}
    assert not (state.paths.root / "agents/team-a").exists()


@pytest.mark.parametrize("given", ["..", "team/a", "команда"])
def test_the_functions_refuse_what_the_store_refuses(tmp_path, given):
    """The specification's functions write under no name that may be another agent's."""
    place = tmp_path / "state"
    store = clawstate.load_auth_profile_store(given, state_dir=place)
    store["profiles"]["openai:x"] = KEY

    with pytest.raises(InvalidError, match="would be the agent"):
        clawstate.save_auth_profile_store(store, given, state_dir=place)
    with pytest.raises(InvalidError, match="would be the agent"):
        clawstate.upsert_auth_profile("openai:x", KEY, agent_id=given, state_dir=place)

    assert list(place.rglob("auth-profiles.json")) == []


def test_sessions_of_such_an_agent_are_not_begun(tmp_path):
    """Where each agent has an index, a key whose agent may be another one's begins no session."""
    root = tmp_path / "state"
    root.mkdir(mode=0o700)
    store = {"session": {"store": str(root / "agents/{agentId}/sessions/sessions.json")}}
    (root / "openclaw.json").write_text(json.dumps(store))
    with clawstate.open(root) as state:
        state.sessions.resolve("agent:team-a:main")

        with pytest.raises(InvalidError, match="would be the agent 'team-a'"):
            state.sessions.resolve("agent:team/a:main")
        with pytest.raises(InvalidError, match="would be the agent 'main'"):
            state.sessions.resolve("agent:команда:main")

        assert len(state.sessions.entries()) == 1


def test_configured_agents_with_shared_names_are_told(tmp_path):
    """Two agents of one name, and names that stand for another, are warnings with their place."""
    root = tmp_path / "state"
    root.mkdir(mode=0o700)
    listed = [{"id": each} for each in ("team-a", "Team-A", "team/b", "команда", "ada")]
    (root / "openclaw.json").write_text(json.dumps({"agents": {"list": listed}}, indent=1))
    with clawstate.open(root) as state:
        found = {str(each).partition(" (")[0]: each for each in state.config.issues()}

    assert {each.severity for each in found.values()} == {"warning"}
    assert list(found) == [f"agents.list[{number}].id" for number in (1, 2, 3)]
    assert all(each.line is not None for each in found.values())
