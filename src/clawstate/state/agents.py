"""Which agents a state knows: those of the configuration, and those that keep something."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from clawstate.config.agents import MAIN_AGENT, agent_entries
from clawstate.config.agents import default_agent as config_default
from clawstate.errors import StateError
from clawstate.files.paths import normalise_agent_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawstate.state.context import Context

_KIND = "auth:"


def agents_of(context: Context) -> tuple[str, ...]:
    """Return the names of all agents that may have credentials, `main` first."""
    kept = (kind.removeprefix(_KIND) for kind in context.backends.kinds(_KIND))
    found = {*_configured(context), *_on_disk(context), *kept} - {MAIN_AGENT}
    return (MAIN_AGENT, *sorted(found))


def default_agent(context: Context) -> str:
    """Return the agent for whatever names none: the default one of the configuration."""
    return config_default(_written(context))


def _configured(context: Context) -> Iterator[str]:
    yield from (each.name for each in agent_entries(_written(context)) if each.name is not None)


def _written(context: Context) -> dict[str, Any]:
    with suppress(StateError):  # a broken configuration names nobody
        return {"agents": context.config.get("agents")}
    return {}


def _on_disk(context: Context) -> Iterator[str]:
    with suppress(OSError):
        for each in (context.paths.root / "agents").iterdir():
            # Any other name is of no agent: none is written so.
            if each.is_dir() and normalise_agent_id(each.name) == each.name:
                yield each.name
