"""What is wrong with the configuration, and who may write the files that decide it."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from clawstate.config.history import HISTORY
from clawstate.config.trust import OTHERS_WRITE, writable_above, writable_by_others
from clawstate.config.writing import backup_paths
from clawstate.doctor.modes import OTHERS, WideMode
from clawstate.errors import StateError
from clawstate.health import Finding
from clawstate.quantities import number_of
from clawstate.secrets.redaction import literal_secrets
from clawstate.state import State


def check(state: State) -> Iterator[Finding]:
    """Look for settings that do not hold, and for secrets that others may read."""
    config = state.config
    yield from _open_to_others(state)
    try:
        issues = config.issues()
        layers = config.view().loaded.layers
    except StateError as error:
        remedy = "run 'clawstate config edit', or 'clawstate config undo'"
        yield Finding.of(error, str(config.path), remedy)
        return
    for issue in issues:
        place = str(issue.file or config.path)
        yield Finding("config", issue.severity, place, str(issue), issue.hint)
    for layer in layers:
        yield from _secrets(layer.path, layer.value)
    for agent in config.agents():
        own = config.agent_view(agent).loaded.own
        if own is not None:
            yield from _secrets(own.path, own.value)
    yield from _strays(state)
    yield from _check_split(state)


def _secrets(path: Path, value: Any) -> Iterator[Finding]:
    """Look for secrets in the clear in a file that others may read."""
    secrets = literal_secrets(value)
    if secrets and path.exists() and (mode := stat.S_IMODE(path.stat().st_mode)) & OTHERS:
        held = number_of(len(secrets), "secret")
        message = f"holds {held} in the clear, and others may read it"
        yield WideMode(
            *("wide-mode", "warning", str(path), message, ""), mode=mode, follow_link=True
        )


def _open_to_others(state: State) -> Iterator[Finding]:
    for path, mode in open_parents(state):
        message = "others may write it, and so put something else in the place of the state"
        remedy = parent_remedy(path, mode)
        yield _open(path, message, remedy, mode)
    for path, mode in open_settings(state):
        message = "others may write it, and so choose stores and programs"
        mends = is_ours(state, path)
        remedy = "" if mends else parent_remedy(path, mode)
        yield _open(path, message, remedy, mode)


def _open(path: Path, message: str, remedy: str, mode: int) -> WideMode:
    return WideMode(
        *("open-to-others", "error", str(path), message, remedy),
        mode=mode,
        rights=OTHERS_WRITE,
        follow_link=True,
    )


def _check_split(state: State) -> Iterator[Finding]:
    """Look for settings of ours in the configuration of an OpenClaw, which it then refuses."""
    config = state.config
    paths = config.misplaced()
    if not paths:
        return
    remedy = f"'clawstate doctor --fix' moves them to {config.overlay_path}"
    message = f"OpenClaw refuses its whole configuration for {', '.join(paths)}"

    def move() -> str:
        change = config.set_apart()
        return f"moved to {config.overlay_path}" + (f" (change {change.number})" if change else "")

    yield Finding("own-settings", "error", str(config.path), message, remedy, repair=move)


def _strays(state: State) -> Iterator[Finding]:
    """Look beside what the files of the configuration lead to: older releases left texts there."""
    config = state.config
    views = (config.view(), *(config.agent_view(agent) for agent in config.agents()))
    files = {each.path: each for view in views for each in view.loaded.files}
    for file in files.values():
        real, linked = file.real, file.path.name != ".env" and file.path.is_symlink()
        # What lies beside the configuration of another state belongs to that.
        if not linked or (real.parent / HISTORY / real.name).exists():
            continue
        for path in filter(os.path.lexists, backup_paths(real)):
            message = f"an old text of {file.path}, with the secrets that it held, lies here"
            remedy = f"rm {path}, and see whether it was copied or committed"
            yield Finding("stray-backup", "warning", str(path), message, remedy)


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
