"""
Whether only their owner can change the files that decide, and the directories that hold them.

Who may write a configuration may redirect stores and name programs to run.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from clawstate.errors import InvalidError

OTHERS_WRITE = 0o022
"""The rights of the group and of everybody else to write."""


def open_to_others(
    paths: Iterable[Path], folders: Iterable[Path] = ()
) -> Iterator[tuple[Path, int]]:
    """
    Yield what others may write, with its mode: *paths*, what holds them, and *folders*; each once.

    Links are followed, and count with the directory that holds them and the one they lead to. In a
    directory with the sticky bit nobody can replace a file of another user. What is missing is
    passed over, and so is everything on systems without such modes.
    """
    if os.name != "posix":
        return
    found: list[Path] = list(folders)
    for path in paths:
        real = Path(os.path.realpath(path))
        if os.path.exists(real):  # noqa: PTH110 - never raises
            found += (real, real.parent, path.parent)
    for each in dict.fromkeys(found):
        try:
            mode = each.stat().st_mode
        except OSError:
            continue
        is_sticky = stat.S_ISDIR(mode) and mode & stat.S_ISVTX
        if mode & OTHERS_WRITE and not is_sticky:
            yield each, stat.S_IMODE(mode)


def require_closed(paths: Iterable[Path], *, to: str) -> None:
    """Raise `InvalidError`, which says how to mend it, if others may write one of *paths*."""
    for path, mode in open_to_others(paths):
        problem = f"others may write it (mode {mode:04o}), so it is not followed {to}"
        raise InvalidError(str(path), problem, f"run 'chmod go-w {shlex.quote(str(path))}'")
