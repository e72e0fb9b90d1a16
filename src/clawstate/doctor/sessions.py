"""What is wrong with the sessions."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from clawstate.doctor.finding import Finding, Severity
from clawstate.errors import StateError
from clawstate.state import State

_PRIVATE = 0o077
_SEVERITIES: dict[str, Severity] = {
    "damaged": "error",
    "unusable": "error",
    "ahead": "error",
    "orphan": "error",
    "outside": "warning",
    "missing": "info",
    "stale": "info",
    "leftover": "info",
}


def check(state: State, *, fix: bool) -> Iterator[Finding]:
    """Look for lost and damaged entries, profiles without one, and files that others may read."""
    yield from _modes(state, fix=fix)
    try:
        problems = state.sessions.problems()
        mended = set(state.sessions.heal()) if fix else set()
    except StateError as error:
        path = str(state.paths.sessions_index)
        yield Finding(error.code, "error", path, str(error), "see the message")
        return
    for each in problems:
        remedy = "mended" if each in mended else each.remedy
        code = f"session-{each.code}"
        yield Finding(code, _SEVERITIES[each.code], each.path, each.message, remedy)


def _modes(state: State, *, fix: bool) -> Iterator[Finding]:
    folder = state.paths.sessions_dir
    paths = [folder, *sorted(folder.rglob("*"))] if folder.is_dir() else []
    for path in paths:
        try:
            status = path.lstat()
        except OSError:
            continue
        if stat.S_ISLNK(status.st_mode) or not status.st_mode & _PRIVATE:
            continue
        mode = stat.S_IMODE(status.st_mode)
        remedy = _narrowed(path, mode & ~_PRIVATE, fix=fix)
        message = f"others may read it (mode {mode:04o})"
        yield Finding("wide-mode", "warning", str(path), message, remedy)


def _narrowed(path: Path, mode: int, *, fix: bool) -> str:
    if not fix:
        return f"chmod {mode:o} {path}"
    try:
        os.chmod(path, mode, follow_symlinks=False)  # noqa: PTH101 - links are not followed
    except (OSError, NotImplementedError) as error:
        return f"chmod {mode:o} {path} ({error})"
    return f"made {mode:04o}"
