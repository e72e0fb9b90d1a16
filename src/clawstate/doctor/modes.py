"""Files that others may read, and taking that right from them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from clawstate.doctor.finding import Finding, Severity
from clawstate.state import State

OTHERS = 0o077
"""The rights of everybody but the owner."""


def wide_modes(state: State, paths: Iterable[Path], *, fix: bool) -> Iterator[Finding]:
    """Look at *paths*, which are all private; links are passed over."""
    shut = is_shut(state)
    for path in paths:
        try:
            mode = path.lstat().st_mode
        except OSError:
            continue
        if mode & OTHERS and not stat.S_ISLNK(mode):
            is_reached = not (shut and stat.S_ISDIR(mode))
            yield wide_mode(path, stat.S_IMODE(mode), fix=fix, is_reached=is_reached)


def is_shut(state: State) -> bool:
    """Tell whether it is an OpenClaw's directory that nobody else gets into, as it makes them."""
    try:
        return state.owner.is_openclaw and not state.paths.root.stat().st_mode & OTHERS
    except OSError:
        return False


def wide_mode(
    path: Path, mode: int, *, fix: bool, follow_link: bool = False, is_reached: bool = True
) -> Finding:
    """
    Return that *path* has the too wide *mode*, and what to do, or what was done.

    What is not reached by others, for a directory above it is shut, is told without a warning.
    """
    narrow = mode & ~OTHERS
    remedy = f"chmod {narrow:o} {path}"
    if fix:
        try:
            # By its path: opening a live database file would drop SQLite's locks.
            os.chmod(path, narrow, follow_symlinks=follow_link)  # noqa: PTH101 - links stay
            remedy = f"made {narrow:04o}"
        except (OSError, NotImplementedError) as error:
            remedy += f" ({error})"
    message = f"others may read it (mode {mode:04o})"
    if not is_reached:
        message += ", but do not get there: the directory of the state is shut to them"
    severity: Severity = "warning" if is_reached else "info"
    return Finding("wide-mode", severity, str(path), message, remedy)
