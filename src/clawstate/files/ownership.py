"""
Whose a new file is when root makes it: the owner of what it replaces, or of its directory.

So one command under `sudo` does not shut the user out of a state. Descriptors are changed, never
names: a name in a directory of another user may be exchanged for a link at any moment.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from clawstate.files.descriptors import Descriptor

_FOLDER = (
    os.O_RDONLY
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


def is_root() -> bool:
    """Tell whether this process may give files to other users."""
    return os.name == "posix" and os.geteuid() == 0


def give_to_owner(
    descriptor: int,
    folder: int | str | Path,
    *,
    replaced: os.stat_result | None = None,
    found: os.stat_result | None = None,
) -> None:
    """
    Give the new file of *descriptor* to the owner of *replaced*, or else of the directory *folder*.

    *found* is what the file is, if that is known. Does nothing unless we are root. Where root may
    not do that either, as on a network file system, the file stays root's; `doctor` finds it.
    """
    if not is_root():
        return
    with suppress(OSError):
        wanted = os.stat(folder) if replaced is None else replaced  # noqa: PTH116 - a descriptor
        found = os.fstat(descriptor) if found is None else found
        if (found.st_uid, found.st_gid) != (wanted.st_uid, wanted.st_gid):
            os.fchown(descriptor, wanted.st_uid, wanted.st_gid)


def make_directory(path: Path, mode: int = 0o700) -> None:
    """
    Make the directory *path*, by root for the owner of the one it lies in.

    Raises what `os.mkdir` does.
    """
    path.mkdir(mode)
    if not is_root():
        return
    with suppress(OSError):
        descriptor = Descriptor()
        descriptor.open(path, _FOLDER)
        with descriptor as number:
            # Only what can be the one that was just made: ours, and empty.
            is_ours = os.fstat(number).st_uid == 0
            if is_ours and not os.listdir(number):  # noqa: PTH208 - of a descriptor
                give_to_owner(number, path.parent)
