"""
What one agent has of its own, over what all agents share.

From the weakest to the strongest: `agents.defaults`, the entry of the agent in `agents.list` (as in
OpenClaw), and the agent's own file `agents/<id>/agent/config.json` (specification, section 1).
Objects are merged member by member. Arrays and all else are replaced: an agent that could only add
to a list of allowed tools or paths could never take one away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clawstate.config.merging import override
from clawstate.files.paths import normalise_agent_id

MAIN_AGENT = "main"
"""The agent of whatever names none, where the configuration has none either."""

# Who the agent is, which is no setting that all could share.
_IDENTITY = frozenset({"id", "default", "name", "agentDir", "tools"})


def resolve_agent(config: dict[str, Any], agent_id: str, own: dict[str, Any]) -> dict[str, Any]:
    """
    Return *config* as the agent *agent_id* sees it; *own* is the content of its own file.

    Its settings stand where those of all agents do, so that every reader finds them at the same key
    path: the settings of its entry over `agents.defaults`, the entry's `tools` over `tools`, and
    *own* over the whole. An agent without an entry gets the defaults. Nothing is changed in place.
    """
    found = agent_entry(config, agent_id)
    entry = {} if found is None else found.members
    settings = {key: value for key, value in entry.items() if key not in _IDENTITY}
    above: dict[str, Any] = {}
    if settings:
        above["agents"] = {"defaults": _with_model(config, settings)}
    if "tools" in entry:
        above["tools"] = entry["tools"]
    resolved: dict[str, Any] = override(override(config, above), own)
    return resolved


@dataclass(frozen=True, slots=True)
class AgentEntry:
    """
    What the configuration says of one agent; *members* is its whole entry as it is written.

    *name* is its id as it stands in paths, `None` if the entry has none; *agent_dir* and
    *workspace* are texts that are not blank, as they are written.
    """

    name: str | None
    is_default: bool
    agent_dir: str | None
    workspace: str | None
    members: Mapping[str, Any] = field(repr=False)


def agent_entry(config: Mapping[str, Any], agent_id: str) -> AgentEntry | None:
    """
    Return the entry of *agent_id*, the first if there are several, or `None`.

    Ids are compared as they stand in paths: `My Agent` is `my-agent`.
    """
    wanted = normalise_agent_id(agent_id)
    return next((each for each in agent_entries(config) if each.name == wanted), None)


def agent_entries(config: Mapping[str, Any]) -> tuple[AgentEntry, ...]:
    """
    Return the entries of the agents in *config*.

    They are those of `agents.list`, and of `agents.entries`, where OpenClaw has them since 2026.7
    by their ids.
    """
    agents = config.get("agents")
    if not isinstance(agents, dict):
        return ()
    listed, named = agents.get("list"), agents.get("entries")
    found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    for name, each in named.items() if isinstance(named, dict) else ():
        if isinstance(each, dict):
            found.append({**each, "id": name})
    return tuple(_decode(each) for each in found)


def default_agent(config: Mapping[str, Any]) -> str:
    """Return the agent that OpenClaw takes where none is named: the default one, else the first."""
    # Two agents may both be called the default one: the first counts, as in OpenClaw.
    found = agent_entries(config)
    first = next((each for each in found if each.is_default), found[0] if found else None)
    return (first and first.name) or MAIN_AGENT


def _decode(members: Mapping[str, Any]) -> AgentEntry:
    name = _text(members.get("id"))
    return AgentEntry(
        name=None if name is None else normalise_agent_id(name),
        is_default=members.get("default") is True,
        agent_dir=_text(members.get("agentDir")),
        workspace=_text(members.get("workspace")),
        members=members,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _with_model(config: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Return *settings*; a model given by name replaces only the first one of the defaults."""
    model = settings.get("model")
    agents = config["agents"]
    defaults = agents.get("defaults")
    shared = defaults.get("model") if isinstance(defaults, dict) else None
    if isinstance(model, str) and isinstance(shared, dict):
        return {**settings, "model": {"primary": model}}
    return settings
