"""The files that decide what a state does, and which of them others may write."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from clawstate.config.trust import OTHERS_WRITE, writable_above, writable_by_others
from clawstate.errors import StateError
from clawstate.state import State

_OVERLAY = "clawstate.json"


def open_settings(state: State) -> Iterator[tuple[Path, int]]:
    """Yield what others may write of the settings of *state*, with its mode; directories too."""
    paths, config = state.paths, state.config
    files = [paths.root / ".env", paths.root / _OVERLAY, config.path]
    with suppress(StateError):  # a broken configuration decides nothing else
        files += [file.path for file in config.view().loaded.files]
    files += [paths.agent_config(each) for each in state.agents()]
    yield from writable_by_others(dict.fromkeys(files), folders=(paths.root,))


def open_parents(state: State) -> Iterator[tuple[Path, int]]:
    """Yield directories above the state in which others may put another one in its place."""
    told = {path for path, _ in open_settings(state)}
    places = [state.paths.root, state.config.path, *state.places.agent_dirs().values()]
    yield from ((path, mode) for path, mode in writable_above(places) if path not in told)


def is_ours(state: State, path: Path) -> bool:
    """Tell whether *path* is a file, or a directory that is part of the state."""
    places = (state.paths.root, *state.places.agent_dirs().values())
    real = path.resolve()
    return not real.is_dir() or any(real.is_relative_to(each.resolve()) for each in places)


def parent_remedy(path: Path, mode: int) -> str:
    """Return how to close a directory above the state, which is never done by `doctor --fix`."""
    return (
        f"chmod {mode & ~OTHERS_WRITE:o} {shlex.quote(str(path))}, or move the state to where only "
        "you can write; this directory lies outside of the state, so --fix leaves it alone"
    )
