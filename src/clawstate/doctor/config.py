"""What is wrong with the configuration."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clawstate.config.history import HISTORY
from clawstate.config.trust import OTHERS_WRITE
from clawstate.config.writing import backup_paths
from clawstate.doctor.deciding import is_ours, open_parents, open_settings, parent_remedy
from clawstate.doctor.modes import OTHERS, WideMode
from clawstate.errors import StateError
from clawstate.health import Finding
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
        held = "a secret" if len(secrets) == 1 else f"{len(secrets)} secrets"
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
