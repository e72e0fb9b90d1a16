"""
Room for the index of the write-ahead log, which SQLite maps into memory.

It makes sure of one block for each page of the index; where blocks are smaller than a page, the
rest of them are allocated as they are touched, and a full disk then ends the process (SIGBUS).
"""

from __future__ import annotations

import os
from pathlib import Path

from clawstate.errors import UnavailableError

_PAGE = 4096
_ROOM = 65_536  # bytes: the index of a short log, and what else a commit writes


def require_index_room(path: Path, *, only_new: bool) -> None:
    """
    Raise `UnavailableError` where the index of the log of the database *path* has no room.

    With *only_new* one that is there already counts as having it.
    """
    if not hasattr(os, "statvfs"):
        return
    try:
        disk = os.statvfs(path)
        if disk.f_frsize >= _PAGE or disk.f_bavail * disk.f_frsize >= _ROOM:
            return
        if only_new and os.stat(f"{path}-shm").st_size:  # noqa: PTH116 - on the way of every read
            return
    except FileNotFoundError:
        if not os.path.exists(path):  # noqa: PTH110 - never raises
            return
    except OSError:
        return  # opening it will tell
    problem = "cannot be used: the disk is full"
    raise UnavailableError(str(path), problem, "free some space and repeat")
