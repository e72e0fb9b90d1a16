"""Opening a file to import it, without ever waiting on a pipe or a device."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from clawstate.errors import UnavailableError


def open_regular(path: Path) -> BinaryIO:
    """
    Return *path* opened for reading bytes.

    A pipe, socket or device is never opened: reading one may block, and opening one may act.
    Raises `UnavailableError` when *path* is not a regular file or cannot be read.
    """
    try:
        require_regular(path, path.stat().st_mode)
        return _open_checked(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def require_regular(path: Path, mode: int) -> None:
    """Raise `UnavailableError` unless *mode* is that of a regular file."""
    if not stat.S_ISREG(mode):
        what = _SPECIAL.get(stat.S_IFMT(mode), "something other than a file")
        raise UnavailableError(str(path), f"is {what}", "name a regular file")


def unreadable(path: Path, error: Exception) -> UnavailableError:
    """Return the error that says why *path* cannot be read, and what to do about it."""
    number = error.errno if isinstance(error, OSError) else None
    reason = os.strerror(number) if number is not None else "no such name is possible"
    hint = _HINTS.get(number or 0, "check the file and the disk, then import it again")
    return UnavailableError(str(path), f"cannot be read ({reason})", hint)


def _open_checked(path: Path) -> BinaryIO:
    # Between the look and the opening the name may come to mean a pipe: hence O_NONBLOCK,
    # and a second look at what was opened.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        require_regular(path, os.fstat(descriptor).st_mode)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


_SPECIAL = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_HINTS = {
    errno.EACCES: "give this user the right to read it",
    errno.EPERM: "give this user the right to read it",
    errno.ENOENT: "it was there a moment ago; import again",
    errno.ELOOP: "its links lead in a circle; name the file they should lead to",
}
