"""What SQLite's errors mean to the caller of clawstate, and what it says of a damaged file."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType

import apsw

from clawstate.errors import (
    ClosedError,
    CorruptError,
    LockTimeoutError,
    StateError,
    UnavailableError,
)

_REMEDIES: dict[type[apsw.Error], tuple[str, str]] = {
    apsw.FullError: ("the disk is full", "free some space and repeat; nothing was lost"),
    apsw.ReadOnlyError: (
        "cannot be written",
        "check the permissions of the file and its directory",
    ),
    apsw.CantOpenError: (
        "cannot be opened",
        "check that its directory exists and that you may write there",
    ),
    apsw.PermissionsError: ("access denied", "check the permissions of the file"),
    apsw.ProtocolError: ("its locks do not work", "keep it on a local disk"),
    apsw.IOError: ("the disk reported an error", "check the disk, then repeat"),
    apsw.NoMemError: ("out of memory", "close other programs and repeat"),
    apsw.TooBigError: ("a value is too large", "split it"),
}


_UNSURE = {apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC}


class DamagedValueError(ValueError):
    """A value in a row that nothing of ours could have written; the message says which."""


class sqlite_errors:  # noqa: N801 - a `with` block, like those of contextlib
    """
    Raise the `StateError` that names *path* and a remedy in place of SQLite's own error.

    A class, because a generator would cost every read a microsecond.
    """

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise what the error means, if it is one of SQLite or of a row."""
        if error is None:
            return
        if isinstance(error, apsw.Error):
            raise state_error(error, self._path) from error
        if isinstance(error, DamagedValueError | UnicodeDecodeError | json.JSONDecodeError):
            # Text and JSON come from nowhere else than the rows of the database in here.
            raise CorruptError(str(self._path), "holds a damaged value") from error


def state_error(error: apsw.Error, path: Path) -> StateError:
    """Return what *error* means for the database at *path*; raise *error* when it is a bug."""
    if isinstance(error, apsw.ConnectionClosedError | apsw.ThreadingViolationError):
        return ClosedError(str(path))  # by another thread, while this one worked
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return LockTimeoutError(str(path), 0.0, "another program holds the database; try again")
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return CorruptError(str(path), "is damaged or no database")
    if isinstance(error, apsw.SQLError):
        # Our statements fit our tables, so it is the tables, or a value, that are not as written.
        return CorruptError(str(path), f"is damaged: {error}")
    if _is_disk_full(error):
        return UnavailableError(str(path), *_REMEDIES[apsw.FullError])
    if getattr(error, "extendedresult", 0) in _UNSURE:
        # The change lies in the log already, and whoever opens the database next may find it.
        problem = "the disk could not make the change last, and whether it was made is unknown"
        return UnavailableError(str(path), problem, "check the disk, and read again to see")
    if getattr(error, "extendedresult", 0) == apsw.SQLITE_CONSTRAINT_TRIGGER:
        # A trigger of ours that refuses says why.
        return UnavailableError(str(path), *str(error).split(": ")[-1].split("; "))
    for kind, (problem, hint) in _REMEDIES.items():
        if isinstance(error, kind):
            return UnavailableError(str(path), problem, hint)
    raise error


def _is_disk_full(error: apsw.Error) -> bool:
    # A full disk can also show as an I/O error while the shared memory file grows.
    return getattr(error, "extendedresult", 0) in {
        apsw.SQLITE_IOERR_SHMSIZE,
        apsw.SQLITE_FULL,
    }


def damage(connection: apsw.Connection, *, deep: bool) -> list[str]:
    """Return what is wrong with the file of *connection*; *deep* compares the indexes too."""
    # FTS5 checks itself by the structure it read last, which another connection may have replaced;
    # any read of a table makes it look again.
    tables = "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%fts5 (%'"
    for (name,) in connection.execute(tables).fetchall():
        connection.execute(f'SELECT rowid FROM "{name}" LIMIT 1').get  # noqa: B018 - runs it
    check = "integrity_check" if deep else "quick_check"
    return [str(row[0]) for row in connection.execute(f"PRAGMA {check}") if row[0] != "ok"]
