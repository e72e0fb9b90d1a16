"""
The index of the write-ahead log, which SQLite maps into memory, and reading where it cannot be.

A full disk has no room for it, and a file system that is mounted read-only, or a directory without
permission to write, no place.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import apsw

from clawstate.errors import StateError, UnavailableError
from clawstate.sqlite.foreign import has_log, open_read_only, stamp_of

_BUSY_MS = 1_000
_PAGE = 4096
_ROOM = 65_536  # bytes: the index of a short log, and what else a commit writes
_CAUSES = {
    apsw.SQLITE_IOERR_SHMSIZE,
    apsw.SQLITE_IOERR_SHMOPEN,
    apsw.SQLITE_IOERR_SHMMAP,
}


def has_index_room(path: Path) -> bool:
    """
    Tell whether the index of the log of the database *path* can be touched without harm.

    SQLite makes sure of one block for each page of it. Where blocks are smaller than a page, the
    rest are allocated as they are touched, and a full disk then ends the process (SIGBUS).
    """
    if not hasattr(os, "statvfs"):
        return True
    try:
        disk = os.statvfs(path)
    except OSError:
        return True  # opening it will tell
    # Larger blocks are allocated as a whole, when SQLite itself writes to them and can refuse.
    return disk.f_frsize >= _PAGE or disk.f_bavail * disk.f_frsize >= _ROOM


def require_index_room(path: Path) -> None:
    """Raise `UnavailableError` where the index of the log of the database *path* has no room."""
    if not has_index_room(path):
        problem = "cannot be used: the disk is full"
        raise UnavailableError(str(path), problem, "free some space and repeat")


def is_without_index(error: apsw.Error) -> bool:
    """Tell whether *error* may be that the index could not be made."""
    # These may have other causes: then reading without the index is refused as well, and the first
    # error is told.
    if isinstance(error, apsw.CantOpenError | apsw.ReadOnlyError | apsw.FullError):
        return True
    return getattr(error, "extendedresult", 0) in _CAUSES


def connection_without_index(
    path: Path,
) -> tuple[apsw.Connection, Callable[[], object]] | None:
    """
    Return a connection that reads *path* without that index, or `None` if that is not possible.

    A database whose log is empty is whole by itself, and is read as one that does not change; the
    other value raises if it did. Otherwise this process keeps the index to itself, which needs the
    file alone: others wait as long as it is read.
    """
    try:
        before = stamp_of(path)
        if not has_log(path):
            return None
        if before.is_alone:
            return open_read_only(path, is_whole=True), partial(before.require_unchanged, path)
    except StateError:
        return None
    return _alone(path)


def _alone(path: Path) -> tuple[apsw.Connection, Callable[[], object]] | None:
    connection = apsw.Connection(os.fspath(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(_BUSY_MS)
        # Before the first read: then SQLite keeps the index on the heap ("Write-Ahead Logging",
        # "Use of WAL Without Shared-Memory").
        connection.pragma("locking_mode", "exclusive")
        # A look must not write the log into the database when it ends.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        # The read for which the lock on the file is taken: what refuses it refuses here.
        connection.pragma("schema_version")
    except apsw.Error:
        connection.close()
        return None
    return connection, _do_nothing


def _do_nothing() -> None:
    """Raise nothing: the file was ours alone."""
