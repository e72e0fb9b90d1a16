from __future__ import annotations

from typing import Any

import pytest

from clawstate.config.agents import agent_entries, agent_entry, default_agent, resolve_agent
from clawstate.config.merging import override

CONFIG: dict[str, Any] = {
    "agents": {
        "defaults": {
            "model": {"primary": "m0", "fallbacks": ["f0"]},
            "memorySearch": {"enabled": True, "extraPaths": ["a"], "query": {"maxResults": 5}},
        },
        "list": [
            {"id": "My Agent", "name": "Mine", "default": True, "workspace": "/w"},
            {
                "id": "second",
                "model": "m2",
                "memorySearch": {"extraPaths": ["b"], "query": {"minScore": 0.5}},
                "tools": {"deny": ["exec"]},
            },
            {"id": "second", "model": "shadowed"},
        ],
    },
    "tools": {"allow": ["read"], "deny": ["write"]},
    "gateway": {"port": 1},
}


def test_agent_without_an_entry_gets_the_defaults() -> None:
    """An unknown id sees the configuration exactly as it is."""
    assert resolve_agent(CONFIG, "unknown", {}) == CONFIG


def test_entry_lies_over_the_defaults_at_the_same_paths() -> None:
    """The settings of an entry stand where those of all agents do; the rest shines through."""
    resolved = resolve_agent(CONFIG, "second", {})

    assert resolved["agents"]["defaults"] == {
        "model": {"primary": "m2", "fallbacks": ["f0"]},
        "memorySearch": {
            "enabled": True,
            "extraPaths": ["b"],
            "query": {"maxResults": 5, "minScore": 0.5},
        },
    }
    assert resolved["tools"] == {"allow": ["read"], "deny": ["exec"]}
    assert resolved["gateway"] == {"port": 1}
    assert resolved["agents"]["list"] == CONFIG["agents"]["list"]


def test_identity_of_an_agent_is_no_setting() -> None:
    """Id, name and the mark of the default agent do not become settings of all."""
    defaults = resolve_agent(CONFIG, "my-agent", {})["agents"]["defaults"]

    assert defaults == {**CONFIG["agents"]["defaults"], "workspace": "/w"}


def test_own_file_speaks_last_and_its_arrays_replace() -> None:
    """The agent's own file lies over its entry and over everything else, and can empty a list."""
    own = {"agents": {"defaults": {"model": "m3"}}, "tools": {"allow": []}, "gateway": {"port": 2}}

    resolved = resolve_agent(CONFIG, "second", own)

    assert resolved["agents"]["defaults"]["model"] == "m3"
    assert resolved["tools"] == {"allow": [], "deny": ["exec"]}
    assert resolved["gateway"] == {"port": 2}


def test_ids_are_compared_as_they_stand_in_paths() -> None:
    """An entry is found by any spelling that leads to the same directory, the first one first."""
    mine, second = agent_entry(CONFIG, "MY AGENT"), agent_entry(CONFIG, "Second")

    assert mine is not None
    assert mine.members["name"] == "Mine"
    assert second is not None
    assert second.members["model"] == "m2"
    assert agent_entry({"agents": {"list": [{"id": " "}, {"id": 1}, {}]}}, "main") is None


def test_default_agent_is_the_chosen_one_else_the_first() -> None:
    """Whatever names no agent belongs to the one with `default`, else to the first, else `main`."""
    ada, bob = {"id": "Ada"}, {"id": "bob", "default": True}

    assert default_agent({"agents": {"list": [ada, bob]}}) == "bob"
    assert default_agent({"agents": {"list": [ada]}}) == "ada"
    assert default_agent({"agents": {"entries": {"Cy": {}}}}) == "cy"
    for empty in ({}, {"agents": []}, {"agents": {"list": [{"id": 5}]}}):
        assert default_agent(empty) == "main"


def test_entry_tells_only_what_it_says() -> None:
    """Directories are texts that are not blank; anything else counts as not written."""
    listed = [{"id": "a", "agentDir": "/a", "workspace": " "}, {"id": "b", "agentDir": 5}]

    first, second = agent_entries({"agents": {"list": listed}})

    assert (first.agent_dir, first.workspace) == ("/a", None)
    assert (second.agent_dir, second.workspace) == (None, None)


@pytest.mark.parametrize(
    "agents", [None, [], {"list": None}, {"list": {"id": "a"}}, {"list": ["a"]}]
)
def test_malformed_agents_are_left_to_validation(agents: object) -> None:
    """What is no list of entries has no entry, and stays as it is."""
    config = {"agents": agents}

    assert resolve_agent(config, "a", {}) == config


def test_nothing_is_changed_in_place() -> None:
    """Resolving leaves the configuration as it was."""
    before = repr(CONFIG)

    resolve_agent(CONFIG, "second", {"tools": {"allow": ["x"]}})

    assert repr(CONFIG) == before


def test_override_replaces_all_but_objects() -> None:
    """Null is a value like any other, and the keys of the prototype are left out."""
    below = {"a": [1], "b": {"x": 1, "y": 1}, "c": 1}
    above = {"a": [2], "b": {"x": None, "__proto__": {}}, "c": {"d": 1}, "constructor": 1}

    assert override(below, above) == {"a": [2], "b": {"x": None, "y": 1}, "c": {"d": 1}}
