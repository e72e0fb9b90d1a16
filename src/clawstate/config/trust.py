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

_MOST_LINKS = 40  # on one way, as the system has it


def writable_by_others(
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


def writable_above(paths: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    """
    Yield each directory above *paths* in which others may put something else in the place of one.

    That is one that others may write, without the sticky bit; with its mode, and each once. What a
    link on the way leads to counts, and so do the directories that hold the link.
    """
    if os.name != "posix":
        return
    for each in dict.fromkeys(folder for path in paths for folder in _above(path)):
        try:
            mode = each.stat().st_mode
        except OSError:
            continue
        if mode & OTHERS_WRITE and not mode & stat.S_ISVTX:
            yield each, stat.S_IMODE(mode)


def _above(path: Path) -> Iterator[Path]:
    """Yield every directory that is gone through on the way to *path*."""
    path = Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would hide the links
    folder, waiting, links = Path(path.anchor), list(reversed(path.parts[1:])), 0
    while waiting:
        yield folder
        name = waiting.pop()
        if name == "..":
            folder = folder.parent
            continue
        try:
            target = (folder / name).readlink()
        except OSError:
            folder = folder / name
            continue
        links += 1
        if links > _MOST_LINKS:
            return
        waiting += reversed(target.parts[1:] if target.is_absolute() else target.parts)
        folder = Path(target.anchor) if target.is_absolute() else folder


def require_closed(paths: Iterable[Path], *, to: str) -> None:
    """Raise `InvalidError` with the remedy if others may write one of *paths*."""
    for path, mode in writable_by_others(paths):
        problem = f"others may write it (mode {mode:04o}), so it is not followed {to}"
        raise InvalidError(str(path), problem, f"run 'chmod go-w {shlex.quote(str(path))}'")
