"""What is wrong with the files of a state, whatever is in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from clawstate.config.trust import OTHERS_WRITE, writable_by_others
from clawstate.doctor.modes import WideMode, wide_modes
from clawstate.errors import StateError
from clawstate.files.lock import FileLock
from clawstate.files.lock_options import LockOptions
from clawstate.files.lock_owner import is_dead
from clawstate.files.mounts import warning_for
from clawstate.files.stale_lock import read_sidecar
from clawstate.health import FIX, Finding
from clawstate.state import State

_ENTER = 0o011  # the rights of others to go into a directory
_OURS = (
    *("agents", "agents/*", "agents/*/agent", "agents/*/sessions", "agents/*/sessions/*.json"),
    *("sessions", "sessions/*.json", "sessions/profile", "state", "state/*.json", "state/identity"),
    *("identity", "identity/*.json", "dedupe", "dedupe/*.json", "logs", ".config-history"),
)


def check(state: State) -> Iterator[Finding]:
    """Look at the mount, at modes and at locks."""
    yield from _mount(state)
    yield from wide_modes(state, _private_paths(state))
    yield from _open_to_others(state)
    yield from _locks(state)


def _mount(state: State) -> Iterator[Finding]:
    root = state.paths.root
    if (message := warning_for(root)) is not None:
        remedy = "move the state to a local disk"
        yield Finding("network-mount", "warning", str(root), message, remedy)


def _open_to_others(state: State) -> Iterator[Finding]:
    """Find where others may put a file in the place of one of the state, if they get there."""
    root = state.paths.root
    with suppress(OSError):
        if not root.stat().st_mode & _ENTER:
            return
    found = sorted(each for pattern in _OURS for each in root.glob(pattern))
    for path, mode in writable_by_others([], found):
        if not path.is_symlink():
            message = "others may write it"
            yield WideMode(
                *("open-to-others", "error", str(path), message, ""), mode=mode, rights=OTHERS_WRITE
            )


def _private_paths(state: State) -> Iterator[Path]:
    folder = state.paths.memory_dir
    with suppress(StateError):
        # Elsewhere only what is ours by its name: the directory may be anybody's.
        chosen = state.places.memory_db()
        if chosen.parent != folder and chosen.is_file():
            yield from (chosen.with_name(f"{chosen.name}{each}") for each in ("", "-wal", "-shm"))
    if os.path.isdir(folder):  # noqa: PTH112 - `Path.is_dir` raises where it may not look
        yield folder
        yield from sorted(folder.rglob("*"))


def _locks(state: State) -> Iterator[Finding]:
    for path in sorted(state.paths.root.rglob("*.lock")):
        try:
            found = read_sidecar(path)
        except StateError as error:
            yield Finding("odd-lock", "warning", str(path), str(error), "remove it")
            continue
        if found is None or found.owner is None:
            continue
        copied = found.is_copy()
        if not copied and not is_dead(found.owner):
            continue
        remedy = f"goes with the next change; or {FIX}"
        message = f"{found.owner} died with the lock"
        if copied:
            message = f"is a copy of a lock that {found.owner} had, and is nobody's"
        clear = partial(_clear_lock, path)
        yield Finding("dead-lock", "info", str(path), message, remedy, repair=clear)


def _clear_lock(path: Path) -> str:
    # Whoever takes the lock clears away what its dead owner left.
    with FileLock(path.with_suffix(""), options=LockOptions(timeout=1.0)):
        return "removed"
