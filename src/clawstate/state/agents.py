"""Which agents a state knows: those of the configuration, and those that keep something."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from clawstate.config.agents import agent_entries
from clawstate.errors import StateError
from clawstate.files.paths import normalise_agent_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawstate.state.context import Context

_MAIN = "main"
_KIND = "auth:"


def agents_of(context: Context) -> tuple[str, ...]:
    """Return the names of all agents that may have credentials, `main` first."""
    kept = (kind.removeprefix(_KIND) for kind in context.backends.kinds(_KIND))
    found = {*_configured(context), *_on_disk(context), *kept} - {_MAIN}
    return (_MAIN, *sorted(found))


def default_agent(context: Context) -> str:
    """Return the agent for whatever names none: the default one of the configuration."""
    found: list[dict[str, Any]] = []
    with suppress(StateError):
        found = agent_entries({"agents": context.config.get("agents")})
    chosen = next((each for each in found if each.get("default") is True), None)
    first = chosen or (found[0] if found else {})
    return normalise_agent_id(str(first.get("id") or _MAIN))


def _configured(context: Context) -> Iterator[str]:
    with suppress(StateError):  # a broken configuration names nobody
        for each in agent_entries({"agents": context.config.get("agents")}):
            name = each.get("id")
            if isinstance(name, str):
                yield normalise_agent_id(name)


def _on_disk(context: Context) -> Iterator[str]:
    with suppress(OSError):
        for each in (context.paths.root / "agents").iterdir():
            # Any other name is of no agent: none is written so.
            if each.is_dir() and normalise_agent_id(each.name) == each.name:
                yield each.name
