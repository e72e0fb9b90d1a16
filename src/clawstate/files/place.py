"""
`Place`: the directory of a state that somebody has open, so that another one is not taken for it.

The directory may be renamed, deleted, unmounted or made anew meanwhile. Without a look, a program
would go on in an empty state: everything handled would be new again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from clawstate.errors import UnavailableError
from clawstate.files.descriptors import Descriptor

_OPEN = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_GET_GENERATION = 0x80087601  # FS_IOC_GETVERSION: another one for each file that has an inode
_DEAD_LINK = "restore what it leads to, such as a disk that is not mounted, or remove the link"
_HINT = "bring it back, or open the state again"


@dataclass(frozen=True, slots=True)
class _Directory:
    """A directory: which one it is, and when its entry was last changed."""

    identity: tuple[int, int]
    generation: bytes | None
    changed: int


class Place:
    """
    The directory *root*, bound to what is there when it is first looked at, or made.

    Costs a `stat`; nothing is kept open, which would be in the way of unmounting.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root)
        self._known: _Directory | None = None
        self._look(opened=False)

    def require(self) -> None:
        """
        Raise `UnavailableError` if another directory, or none, is where this one was.

        Also if a link leads to nothing: what is kept behind it is not there now.
        """
        self._look(opened=True)

    def _look(self, *, opened: bool) -> None:
        known = self._known
        try:
            found = os.stat(self._root)  # noqa: PTH116 - on the way of every call
        except OSError as error:
            if known is None:
                if opened:
                    require_no_dead_link(Path(self._root))
                return  # nothing is there yet, or whoever uses it is told
            missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            problem = "is gone: it was renamed, deleted or unmounted while it was open"
            if not missing:
                problem = f"cannot be reached any longer ({error.strerror})"
            raise UnavailableError(self._root, problem, _HINT) from error
        identity = found.st_dev, found.st_ino
        if known is not None and known.identity == identity:
            # A number that became free may go to another directory, which is younger.
            if known.changed == found.st_ctime_ns:
                return
            # Its time alone proves nothing: it changes with each name that is made in it or
            # removed.
            generation = _generation(self._root)
            if known.generation == generation:
                self._known = _Directory(identity, generation, found.st_ctime_ns)
                return
        if known is not None:
            problem = "is another directory than the one that was opened"
            raise UnavailableError(self._root, problem, _HINT)
        if stat.S_ISDIR(found.st_mode):
            self._known = _Directory(identity, _generation(self._root), found.st_ctime_ns)


def disk_of(folder: Path) -> int | None:
    """Return the number of the disk of *folder*, `None` if that is not there."""
    try:
        return os.stat(folder).st_dev  # noqa: PTH116 - on the way of every read of a new text
    except OSError:
        return None


def require_disk(folder: Path, known: int | None) -> None:
    """
    Raise `UnavailableError` where *folder* is on another disk than *known*, the one it was on.

    A part of a state may be mounted by itself: what vanished with its disk was not deleted.
    """
    now = disk_of(folder)
    if known is not None and now not in {known, None}:
        problem = "is on another disk than before: it was unmounted, or mounted over"
        raise UnavailableError(os.fspath(folder), problem, _HINT)


def require_no_dead_link(path: Path) -> None:
    """Raise `UnavailableError` where *path*, or a directory that it lies in, leads to nothing."""
    for place in (path, *path.parents):
        if os.path.exists(place):  # noqa: PTH110 - never raises
            return
        if os.path.islink(place):  # noqa: PTH114 - never raises
            raise UnavailableError(str(place), "is a link to nothing", _DEAD_LINK)


def _generation(path: str) -> bytes | None:
    """Return what tells a directory from one that had its inode before, where the system knows."""
    descriptor = Descriptor()
    with contextlib.suppress(OSError):
        try:
            number = descriptor.open(path, _OPEN)
            return fcntl.ioctl(number, _GET_GENERATION, bytes(8))
        finally:
            descriptor.close()
    return None
