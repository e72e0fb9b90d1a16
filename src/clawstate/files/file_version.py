"""
Whether a file is still the one that was read: its stamp, and when a stamp can be believed.

Time and size alone are no proof: a file can be replaced by one of the same size within one tick of
the clock that gives it its times. So a stamp also holds the inode and the time of its last change,
and a file that was read within a few ticks of that time is read again.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from clawstate.errors import InvalidError
from clawstate.files.os_errors import os_errors
from clawstate.files.regular import open_regular, read_all

_TICKS = 25_000_000  # nanoseconds: more than two ticks of the slowest kernel clock
# CLOCK_REALTIME_COARSE, which gives files their times; Python has no name for it.
FILE_CLOCK = 5 if sys.platform == "linux" else time.CLOCK_REALTIME


@dataclass(frozen=True, slots=True)
class FileVersion:
    """What changes whenever a file is written, replaced or touched; times in nanoseconds."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @property
    def is_settled(self) -> bool:
        """Tell whether a write from now on would show in another stamp."""
        return time.clock_gettime_ns(FILE_CLOCK) - self.changed > _TICKS


def version_of(path: Path) -> FileVersion | None:
    """
    Return the stamp of *path*, or `None` if there is nothing.

    Raises `InvalidError` for anything but a regular file, `UnavailableError`.
    """
    with os_errors(path, "cannot be reached"):
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return None
    if not stat.S_ISREG(found.st_mode):
        raise InvalidError(str(path), "is a link or no regular file", "move it away")
    return _stamp(found)


def read_versioned(path: Path, *, limit: int) -> tuple[bytes, FileVersion, bool]:
    """
    Return the content of *path*, its stamp, and whether that stamp can be believed from now on.

    Raises what `read_regular` raises.
    """
    with os_errors(path, "was not read"), open_regular(path) as number:
        while True:
            before = _stamp(os.fstat(number))
            # Judged before the read: what is written while it lasts has to show in the stamp.
            settled = before.is_settled
            content = read_all(number, limit, path)
            if _stamp(os.fstat(number)) == before:
                return content, before, settled
            # Written in place meanwhile: what was read may be half of the one and half of the
            # other.
            os.lseek(number, 0, os.SEEK_SET)


def _stamp(found: os.stat_result) -> FileVersion:
    return FileVersion(
        found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    )
