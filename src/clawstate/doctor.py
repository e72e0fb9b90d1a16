"""What is wrong with a state, and mending it."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from clawstate.config.sensitive import literal_secrets
from clawstate.errors import CorruptError, StateError
from clawstate.files.atomic import is_temporary
from clawstate.files.found_lock import read_sidecar
from clawstate.files.lock import FileLock
from clawstate.files.lock_options import LockOptions
from clawstate.files.lock_owner import is_dead
from clawstate.files.mounts import warning_for
from clawstate.records.contract import Shape
from clawstate.records.json_files import JsonFilesBackend
from clawstate.records.last_good import copy_path
from clawstate.records.layouts import OpaqueLayout
from clawstate.state import State

Severity = Literal["error", "warning", "info"]

_PRIVATE = 0o077
_ABANDONED = 3600.0  # seconds after which nobody can still be writing a file


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be; `fix` says what to do, or what was done."""

    code: str
    severity: Severity
    path: str
    message: str
    fix: str


def examine(state: State, *, fix: bool = False, deep: bool = True) -> list[Finding]:
    """
    Return what is wrong with *state*, the worst first; with *fix*, mend what loses nothing.

    Nothing is ever deleted but derived indexes, which are built again. *deep* reads every page.
    """
    found = [
        *_mount(state),
        *_config(state, fix=fix),
        *_modes(state, fix=fix),
        *_documents(state, fix=fix),
        *_locks(state, fix=fix),
        *_temporaries(state, fix=fix),
        *_memory(state, fix=fix, deep=deep),
    ]
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(found, key=lambda finding: order[finding.severity])


def _mount(state: State) -> Iterator[Finding]:
    root = state.paths.root
    if (message := warning_for(root)) is not None:
        remedy = "move the state to a local disk, or use the PostgreSQL backend"
        yield Finding("network-mount", "warning", str(root), message, remedy)


def _config(state: State, *, fix: bool) -> Iterator[Finding]:
    path = state.config.path
    try:
        issues = state.config.issues()
        secrets = literal_secrets(state.config.view().loaded.templates)
    except StateError as error:
        remedy = "run 'clawstate config edit', or 'clawstate config undo'"
        yield Finding(error.code, "error", str(path), str(error), remedy)
        return
    for issue in issues:
        yield Finding("config", issue.severity, str(path), str(issue), issue.hint)
    if secrets and path.exists() and (mode := stat.S_IMODE(path.stat().st_mode)) & _PRIVATE:
        remedy = f"chmod 600 {path}"
        if fix:
            path.chmod(0o600)
            remedy = "made 0600"
        message = f"holds {len(secrets)} secrets in the clear, and others may read it ({mode:04o})"
        yield Finding("wide-mode", "warning", str(path), message, remedy)


def _documents(state: State, *, fix: bool) -> Iterator[Finding]:
    """Look at every JSON document that has a last good copy: that is, every one of ours."""
    backend = JsonFilesBackend(state.paths.root)
    for copy in sorted(state.paths.root.rglob(f"{copy_path(Path('x')).parent.name}/*.json")):
        path = copy.parent.parent / copy.name
        place = PurePosixPath(path.relative_to(state.paths.root))
        collection = backend.collection(Shape(str(place), place, OpaqueLayout()))
        if (damage := collection.damage()) is None:
            continue
        remedy = "run 'clawstate doctor --fix' to restore its last good copy"
        if fix:
            remedy = f"restored from its last good copy; the damaged file is {collection.repair()}"
        yield Finding(damage.code, "error", str(path), str(damage), remedy)


def _locks(state: State, *, fix: bool) -> Iterator[Finding]:
    for path in sorted(state.paths.root.rglob("*.lock")):
        try:
            found = read_sidecar(path)
        except StateError as error:
            yield Finding("odd-lock", "warning", str(path), str(error), "remove it")
            continue
        if found is None or found.owner is None or not is_dead(found.owner):
            continue
        remedy = "goes with the next change; or run 'clawstate doctor --fix'"
        if fix:
            # Whoever takes the lock clears away what its dead owner left.
            with FileLock(path.with_suffix(""), options=LockOptions(timeout=1.0)):
                remedy = "removed"
        message = f"{found.owner} died with the lock"
        yield Finding("dead-lock", "info", str(path), message, remedy)


def _temporaries(state: State, *, fix: bool) -> Iterator[Finding]:
    for path in sorted(state.paths.root.rglob("*.tmp")):
        try:
            age = time.time() - path.lstat().st_mtime
        except OSError:
            continue
        if not is_temporary(path) or age < _ABANDONED:
            continue
        remedy = f"rm {path}"
        if fix:
            path.unlink(missing_ok=True)
            remedy = "removed"
        message = "a writer was killed while it wrote this; its change never took effect"
        yield Finding("leftover", "info", str(path), message, remedy)


def _modes(state: State, *, fix: bool) -> Iterator[Finding]:
    for path in _private_paths(state):
        try:
            status = path.lstat()
        except OSError:
            continue
        if stat.S_ISLNK(status.st_mode) or not status.st_mode & _PRIVATE:
            continue
        mode = stat.S_IMODE(status.st_mode)
        narrow = mode & ~_PRIVATE
        remedy = f"chmod {narrow:o} {path}"
        if fix:
            try:
                # By its path: opening a live database file would drop SQLite's locks.
                os.chmod(path, narrow, follow_symlinks=False)  # noqa: PTH101 - links are not followed
                remedy = f"made {narrow:04o}"
            except (OSError, NotImplementedError) as error:
                remedy += f" ({error})"
        yield Finding(
            "wide-mode", "warning", str(path), f"others may read it (mode {mode:04o})", remedy
        )


def _private_paths(state: State) -> Iterator[Path]:
    folder = state.paths.memory_dir
    if folder.is_dir():
        yield folder
        yield from sorted(folder.rglob("*"))


def _memory(state: State, *, fix: bool, deep: bool) -> Iterator[Finding]:
    path = str(state.paths.memory_db)
    try:
        problems = state.memory.findings(deep=deep)
        waiting = state.memory.stats()["waiting"]
        slow = state.memory.needs_optimizing()
    except CorruptError as error:
        yield Finding(error.code, "error", path, str(error), "restore the newest backup")
        return
    except StateError as error:
        yield Finding(error.code, "error", path, str(error), "see the message")
        return
    derived = [each for each in problems if each.startswith(_DERIVED)]
    for problem in problems:
        if problem not in derived:
            yield Finding("memory-damage", "error", path, problem, "restore the newest backup")
    remedy = "run 'clawstate doctor --fix'"
    if fix and (derived or waiting or slow):
        state.memory.rebuild() if derived else state.memory.optimize()
        remedy = "built anew" if derived else "done"
    for problem in derived:
        yield Finding("memory-index", "warning", path, problem, remedy)
    if waiting:
        message = f"{waiting} records wait for their vectors"
        yield Finding("memory-waiting", "info", path, message, remedy)
    if slow:
        message = "the vector index is missing or far behind; searches are slower than need be"
        yield Finding("memory-slow", "info", path, message, remedy)


_DERIVED = ("the word index", "the vector snapshot")
