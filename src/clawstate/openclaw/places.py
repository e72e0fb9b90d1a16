"""Where the databases of OpenClaw lie below a state directory, and elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clawstate.files.paths import normalise_agent_id
from clawstate.openclaw.owner import AGENT_DATABASE, STATE_DATABASE


@dataclass(frozen=True, slots=True)
class AgentPlace:
    """The database *path* of an *agent*; *is_inside* tells whether it is in the state directory."""

    agent: str
    path: Path
    is_inside: bool


def state_database(root: Path) -> Path:
    """Return where the database of the whole state *root* lies."""
    return root / STATE_DATABASE


def agent_places(root: Path, registered: Iterable[tuple[str, str]] = ()) -> tuple[AgentPlace, ...]:
    """
    Return the databases of agents that exist: those *registered*, then those at the usual place.

    An agent may have several; the one that was seen last comes first.
    """
    found: dict[Path, AgentPlace] = {}
    for agent, path in (*registered, *_usual(root)):
        with suppress(OSError, ValueError):
            place = root / path
            real = Path(os.path.realpath(place))
            if real.is_file() and real not in found:
                is_inside = real.is_relative_to(os.path.realpath(root))
                found[real] = AgentPlace(normalise_agent_id(agent), place, is_inside)
    return tuple(found.values())


def _usual(root: Path) -> Iterator[tuple[str, str]]:
    with suppress(OSError):
        for folder in sorted((root / "agents").iterdir()):
            yield folder.name, f"agents/{folder.name}/{AGENT_DATABASE}"
