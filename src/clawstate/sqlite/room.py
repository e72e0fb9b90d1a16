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


def has_index_room(path: Path) -> bool:
    """Tell whether the index of the log of the database *path* can be touched without harm."""
    if not hasattr(os, "statvfs"):
        return True
    try:
        disk = os.statvfs(path)
    except OSError:
        return True  # opening it will tell
    return disk.f_frsize >= _PAGE or disk.f_bavail * disk.f_frsize >= _ROOM


def require_index_room(path: Path) -> None:
    """Raise `UnavailableError` where the index of the log of the database *path* has no room."""
    if not has_index_room(path):
        problem = "cannot be used: the disk is full"
        raise UnavailableError(str(path), problem, "free some space and repeat")
