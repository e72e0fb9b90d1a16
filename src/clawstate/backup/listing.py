"""Which backups there are: those of a state, and those in a directory."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from clawstate.backup.manifest import Backup
from clawstate.backup.unpacking import describe
from clawstate.backup.verifying import Verification
from clawstate.errors import NotFoundError, StateError
from clawstate.files.os_errors import os_errors
from clawstate.state import State


def backups_of(state: State) -> list[Backup]:
    """Return the backups of *state* that were noted and are there, the oldest first."""
    found = []
    for note in state.backup_notes.backups():
        with suppress(StateError):  # removed, or another file by now
            there = describe(Path(note.path))
            found.append(
                replace(there, created=note.created, digest=note.digest, verified=note.verified)
            )
    return sorted(found, key=lambda each: each.created)


def note_verified(state: State, found: Verification) -> None:
    """Note in *state* that a backup of it was proven; nothing for one of another state."""
    if state.paths.root.is_dir():
        state.backup_notes.note_verified(found.digest, at=state.clock())


def backups_in(folder: Path) -> list[Backup]:
    """Return the backups in *folder*, the oldest first; whether they were verified is not known."""
    if not folder.is_dir():
        raise NotFoundError("directory", str(folder))
    found = []
    with os_errors(folder, "was not read"):
        for path in folder.iterdir():
            with suppress(StateError):  # no backup
                found.append(describe(path))
    return sorted(found, key=lambda each: each.created)
