"""
Whether what some answer was read from has changed since: one `stat` for each file or directory.

A directory changes when a name appears in it or vanishes: so one look at it stands for looks at
many names that were not there. What changed within a few ticks of a look may have changed again
without a trace, so it has to be looked through once more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import TypeAlias

from clawstate.files.file_version import FILE_CLOCK

_TICKS = 25_000_000  # nanoseconds, as in `stamps`
_COARSE = 3_000_000_000  # of a file system that knows whole seconds alone, such as FAT
_SECOND = 1_000_000_000

Numbers: TypeAlias = tuple[int, int, int, int, int]
"""Device, inode, size, and the times of the last change of content and of entry."""


def numbers_of(path: str) -> Numbers | None:
    """Return what changes with what is behind *path*; `None` if it cannot be looked at."""
    try:
        now = os.stat(path)  # noqa: PTH116 - on the way of every change
    except (OSError, ValueError):
        return None
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns


def is_settled(numbers: Numbers) -> bool:
    """Tell whether a change from now on would show in other numbers."""
    modified, changed = numbers[3:]
    ticks = _TICKS if modified % _SECOND else _COARSE
    return time.clock_gettime_ns(FILE_CLOCK) - max(modified, changed) > ticks


class Unchanged:
    """What is behind *paths*, which are there, as it was when this was made."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._known = [(path, numbers_of(path)) for path in paths]
        self._settled = all(found is not None and is_settled(found) for _, found in self._known)

    def is_certain(self) -> bool:
        """Tell whether nothing of it has changed; `False` as well where that cannot be told."""
        return self._settled and all(numbers_of(path) == known for path, known in self._known)
