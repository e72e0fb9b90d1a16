"""Reading the database of another program, which may be writing it, and leaving no trace there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import apsw

from clawstate.errors import InvalidError, NotFoundError, UnavailableError
from clawstate.sqlite.errors import sqlite_errors

_BUSY_MS = 5_000
# "Database File Format", section 1.3: versions to write and to read, at offset 18; 2 is a log.
_WAL = b"\2\2"
_WRITTEN = "was written while it was read; repeat"
_UNREADABLE_LOG = (
    "has a log, and its directory may not be written, which SQLite needs to read a log; "
    "copy both to where this user may write, and name the copy"
)


@contextmanager
def reading(path: Path) -> Iterator[apsw.Connection]:
    """
    Lend a connection to the database *path* of another program, in one read transaction.

    Only SQLite opens the file, and no statement can write. A database without a log, which nobody
    has open, is whole by itself: it is opened as one that does not change, which makes no file
    beside it, and what was read counts only if it did not. Otherwise its locks and its log are used
    as any reader does.

    Raises `NotFoundError`, `InvalidError`, `CorruptError`, `LockTimeoutError`, and
    `UnavailableError`, also at the end of the block if another program began to write meanwhile.
    """
    before = stamp_of(path)
    # A rollback journal is another matter: there the lock of a reader keeps writers out, and no
    # file is made beside it.
    is_whole = before.is_alone and has_log(path)
    with sqlite_errors(path):
        connection = open_read_only(path, is_whole=is_whole)
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.close()
    if is_whole:
        before.require_unchanged(path)


@dataclass(frozen=True, slots=True)
class Stamp:
    """A database file and its log, as they were."""

    inode: int
    size: int
    mtime_ns: int
    log: int  # bytes
    is_shared: bool  # SQLite's shared memory is there: somebody has it open, or had

    @property
    def is_alone(self) -> bool:
        """Whether nothing but the file itself has to be read."""
        return not self.log and not self.is_shared

    def require_unchanged(self, path: Path) -> None:
        """Raise `UnavailableError` if somebody wrote *path* since."""
        if stamp_of(path) != self:
            raise UnavailableError(str(path), _WRITTEN)


def stamp_of(path: Path) -> Stamp:
    """Return what tells a change of the database *path*; raises as `reading` does."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError("database", str(path)) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such name is possible"
        raise UnavailableError(str(path), f"cannot be reached ({reason})") from error
    try:
        log = path.with_name(f"{path.name}-wal").stat().st_size
    except OSError:
        log = 0
    is_shared = os.path.lexists(path.with_name(f"{path.name}-shm"))
    return Stamp(status.st_ino, status.st_size, status.st_mtime_ns, log, is_shared)


def has_log(path: Path) -> bool:
    """Tell whether *path* keeps a write-ahead log; read through SQLite, which keeps its locks."""
    flags = [apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_MAIN_DB, 0]
    with sqlite_errors(path):
        try:
            file = apsw.VFSFile("", str(path), flags)
        except UnicodeEncodeError as error:
            raise InvalidError(str(path), "has a name that is no UTF-8", "rename it") from error
        try:
            return file.xRead(2, 18) == _WAL
        except apsw.IOError:
            return False  # shorter than that
        finally:
            file.xClose()


def open_read_only(path: Path, *, is_whole: bool) -> apsw.Connection:
    """Return a connection that only reads, to a file that does not change if it *is_whole*."""
    # A reader of a log makes a shared memory file beside it, which would be a trace of ours.
    how = "immutable=1" if is_whole else "mode=ro"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(f"file:{quote(os.fsencode(path))}?{how}", flags=flags)
    try:
        connection.set_busy_timeout(_BUSY_MS)
        connection.pragma("query_only", 1)
        # Views and triggers of another program could call functions on what we read.
        connection.pragma("trusted_schema", 0)
        _require_log(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _require_log(connection: apsw.Connection, path: Path) -> None:
    try:
        # The first read opens the log, so that it is here that its refusal can be named.
        connection.pragma("schema_version")
    except (apsw.CantOpenError, apsw.ReadOnlyError) as error:
        raise UnavailableError(str(path), _UNREADABLE_LOG) from error
