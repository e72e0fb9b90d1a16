"""What is wrong with the sessions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from clawstate.doctor.modes import wide_modes
from clawstate.errors import StateError
from clawstate.health import Finding
from clawstate.state import State


def check(state: State) -> Iterator[Finding]:
    """Look for lost and damaged entries, profiles without one, and files that others may read."""
    yield from wide_modes(state, _private_paths(state))
    try:
        yield from state.sessions.check()
    except StateError as error:
        yield Finding.of(error, str(state.paths.sessions_index), "see the message")


def _private_paths(state: State) -> Iterator[Path]:
    for folder in (state.paths.sessions_dir, *sorted(state.paths.root.glob("agents/*/sessions"))):
        if folder.is_dir() and not folder.is_symlink():
            yield folder
            yield from sorted(folder.rglob("*"))
