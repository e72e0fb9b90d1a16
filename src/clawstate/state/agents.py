"""Which agents a state knows, and where the credentials of each lie."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from clawstate.config.agents import MAIN_AGENT, agent_entries, agent_entry
from clawstate.config.agents import default_agent as config_default
from clawstate.errors import StateError
from clawstate.files.paths import (
    expand_below,
    is_nameable,
    normalise_agent_id,
    resolve_main_agent_dir,
    resolve_state_dir,
)
from clawstate.files.safe_names import encode_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clawstate.state.context import Context

_KIND = "auth:"


def agents_of(context: Context) -> tuple[str, ...]:
    """Return the names of all agents that may have credentials, `main` first."""
    kept = (kind.removeprefix(_KIND) for kind in context.backends.kinds(_KIND))
    found = {*_configured_names(context), *_on_disk(context), *kept} - {MAIN_AGENT}
    return (MAIN_AGENT, *sorted(found))


def default_agent(context: Context) -> str:
    """Return the agent for whatever names none: the default one of the configuration."""
    return config_default(_agents_setting(context))


def _configured_names(context: Context) -> Iterator[str]:
    yield from (
        each.name for each in agent_entries(_agents_setting(context)) if each.name is not None
    )


def _agents_setting(context: Context) -> dict[str, Any]:
    with suppress(StateError):  # a broken configuration names nobody
        return {"agents": context.config.get("agents")}
    return {}


def _on_disk(context: Context) -> Iterator[str]:
    with suppress(OSError):
        for each in (context.paths.root / "agents").iterdir():
            # Any other name is of no agent: none is written so.
            if each.is_dir() and normalise_agent_id(each.name) == each.name:
                yield each.name


def agent_dir(context: Context, agent_id: str = MAIN_AGENT) -> Path:
    """
    Return the absolute directory of the credentials of one agent, as settings say now.

    For the main agent `OPENCLAW_AGENT_DIR` and then `PI_CODING_AGENT_DIR` count, in the state that
    the environment names: another one, opened by its path, must not be given the secrets of that
    one. Then counts `agents.list[].agentDir`, in which `~` is the home, and relative paths begin at
    the state directory. A configuration that never could be read names none, as in OpenClaw.
    Source: specification section 2.
    """
    name = normalise_agent_id(agent_id)
    given = _of_environment(context) if name == MAIN_AGENT else None
    return given or _configured_dir(context, name) or context.paths.agent_dir(name)


def agent_dirs(context: Context) -> dict[str, Path]:
    """Return the directories of all agents by name that are not the usual ones."""
    found = {name: agent_dir(context, name) for name in agents_of(context)}
    return {name: path for name, path in found.items() if path != context.paths.agent_dir(name)}


def auth_profiles(context: Context, agent_id: str = MAIN_AGENT) -> Path:
    """Return the file of one agent's credentials."""
    return agent_dir(context, agent_id) / context.paths.auth_profiles(agent_id).name


def auth_cache(context: Context, agent_id: str = MAIN_AGENT) -> Path:
    """Return the file of an older release's credentials, which is only read."""
    return agent_dir(context, agent_id) / context.paths.auth_cache(agent_id).name


def refresh_dir(context: Context, name: str) -> Path:
    """Return where the refreshes of the agent *name* keep their locks and journalled responses."""
    return context.paths.locks_dir / "auth" / encode_name(name)


def _of_environment(context: Context) -> Path | None:
    return resolve_main_agent_dir() if context.paths.root == resolve_state_dir() else None


def _configured_dir(context: Context, name: str) -> Path | None:
    agents = None
    with suppress(StateError):
        agents = context.config.get("agents")
    entry = agent_entry({"agents": agents}, name)
    chosen = None if entry is None else entry.agent_dir
    if chosen is None or not is_nameable(chosen):
        return None
    return expand_below(chosen, context.paths.root)
