"""
What one agent has of its own, over what all agents share.

From the weakest to the strongest: `agents.defaults`, the entry of the agent in `agents.list` (as in
OpenClaw), and the agent's own file `agents/<id>/agent/config.json` (specification, section 1).
Objects are merged member by member. Arrays and all else are replaced: an agent that could only add
to a list of allowed tools or paths could never take one away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clawstate.config.merging import override
from clawstate.files.paths import normalise_agent_id

# Who the agent is, which is no setting that all could share.
_IDENTITY = frozenset({"id", "default", "name", "agentDir", "tools"})


def resolve_agent(config: dict[str, Any], agent_id: str, own: dict[str, Any]) -> dict[str, Any]:
    """
    Return *config* as the agent *agent_id* sees it; *own* is the content of its own file.

    Its settings stand where those of all agents do, so that every reader finds them at the same key
    path: the settings of its entry over `agents.defaults`, the entry's `tools` over `tools`, and
    *own* over the whole. An agent without an entry gets the defaults. Nothing is changed in place.
    """
    entry = agent_entry(config, agent_id)
    settings = {key: value for key, value in entry.items() if key not in _IDENTITY}
    above: dict[str, Any] = {}
    if settings:
        above["agents"] = {"defaults": _with_model(config, settings)}
    if "tools" in entry:
        above["tools"] = entry["tools"]
    resolved: dict[str, Any] = override(override(config, above), own)
    return resolved


def agent_entry(config: dict[str, Any], agent_id: str) -> dict[str, Any]:
    """
    Return the entry of *agent_id* in `agents.list`, the first if there are several, else `{}`.

    Ids are compared as they stand in paths: `My Agent` is `my-agent`.
    """
    wanted = normalise_agent_id(agent_id)
    return next((each for each in agent_entries(config) if _id(each) == wanted), {})


def agent_entries(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    Return the entries of the agents in *config*, each with its id.

    They are those of `agents.list`, and of `agents.entries`, where OpenClaw has them since 2026.7
    by their ids.
    """
    agents = config.get("agents")
    if not isinstance(agents, dict):
        return []
    listed, named = agents.get("list"), agents.get("entries")
    found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    for name, each in named.items() if isinstance(named, dict) else ():
        if isinstance(each, dict):
            found.append({**each, "id": name})
    return found


def _id(entry: dict[str, Any]) -> str | None:
    name = entry.get("id")
    return normalise_agent_id(name) if isinstance(name, str) and name.strip() else None


def _with_model(config: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Return *settings*; a model given by name replaces only the first one of the defaults."""
    model = settings.get("model")
    agents = config["agents"]
    defaults = agents.get("defaults")
    shared = defaults.get("model") if isinstance(defaults, dict) else None
    if isinstance(model, str) and isinstance(shared, dict):
        return {**settings, "model": {"primary": model}}
    return settings
