"""Files with secrets in them that others may read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from clawstate.doctor.audit.modes import is_secret_place
from clawstate.doctor.audit.tree import Entry, walk, walk_agent
from clawstate.doctor.modes import OTHERS, is_shut, wide_mode
from clawstate.health import Finding
from clawstate.state import State


def check(state: State) -> Iterator[Finding]:
    """Look at the modes of what the audit knows as places of secrets, of all agents."""
    if os.name != "posix":
        return
    shut = is_shut(state)
    for entry in _entries(state):
        is_ours = not entry.is_link and (not entry.place or is_secret_place(entry))
        if is_ours and entry.mode & OTHERS:
            is_inside = entry.path.is_relative_to(state.paths.root) and bool(entry.place)
            is_reached = not (shut and entry.is_folder and is_inside)
            yield wide_mode(
                entry.path, entry.mode, follow_link=not entry.place, is_reached=is_reached
            )


def _entries(state: State) -> Iterator[Entry]:
    yield from walk(state.paths.root, on_error=_ignore)
    for agent_id, folder in state.places.agent_dirs().items():
        # Below the state all but the directory itself is known by its name.
        found = walk_agent(folder, agent_id, on_error=_ignore)
        yield from islice(found, 1 if folder.is_relative_to(state.paths.root) else None)


def _ignore(_error: OSError, _path: Path) -> None:
    """Pass over what the system refuses to show."""
