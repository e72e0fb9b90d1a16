"""The files that decide what a state does, and which of them others may write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from clawstate.config.trust import open_to_others
from clawstate.errors import StateError
from clawstate.state import State
from clawstate.state.agents import agents_of

_OVERLAY = "clawstate.json"


def open_settings(state: State) -> Iterator[tuple[Path, int]]:
    """Yield what others may write of the settings of *state*, with its mode; directories too."""
    paths, config = state.paths, state.config
    files = [paths.root / ".env", paths.root / _OVERLAY, config.path]
    with suppress(StateError):  # a broken configuration decides nothing else
        files += [file.path for file in config.view().loaded.files]
    files += [paths.agent_config(each) for each in agents_of(state.ground)]
    yield from open_to_others(dict.fromkeys(files), folders=(paths.root,))
