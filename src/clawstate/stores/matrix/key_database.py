"""Whether the database of a device's keys is there and whole; it is matrix-nio's."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from clawstate.errors import CorruptError, UnavailableError, VersionError
from clawstate.stores.matrix.keys import KeyOwner

NEWEST: Final = 2
"""The newest format of the database that is understood."""

RESTORE: Final = "restore it from a backup together with nio-key.json"
ANEW: Final = (
    "or move the directory 'crypto' away, remove the credential"
    " (`state.matrix.credentials().remove()`) and log in as a new device"
)

_TABLES = {"accounts", "olmsessions", "megolminboundsessions", "storeversion"}
_WAIT = 5.0  # seconds
_PROBLEMS = 3


def size_of(path: Path) -> int | None:
    """Return the size of the database at *path* in bytes, or `None` if there is none."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnavailableError(str(path), f"cannot be reached ({error.strerror})") from error
    if path.is_symlink():
        raise CorruptError(str(path), "is a link", "put the file itself in its place")
    return found.st_size


def require_present(path: Path, key: KeyOwner) -> int | None:
    """Return the size of the database; raises `CorruptError` if it is not, and keys were in it."""
    size = size_of(path)
    if not size and key.identity_key is not None:
        what = "is gone" if size is None else "is empty"
        problem = f"{what}, and the keys of the device {key.device_id} were in it"
        raise CorruptError(str(path), problem, f"{RESTORE}, {ANEW}")
    return size


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """
    Lend a connection to the database at *path*, which is whole.

    Raises `CorruptError` for what is damaged, or another program's, `VersionError` for a newer
    format, `UnavailableError`.
    """
    # By the library that matrix-nio uses: closing the file in another copy of SQLite would drop the
    # locks of a client in this process. Not read-only: what a kill left has to be rolled back.
    name = f"file:{quote(os.fsencode(path))}?mode=rw"
    try:
        with closing(sqlite3.connect(name, uri=True, timeout=_WAIT)) as connection:
            _require_whole(connection, path)
            yield connection
    except sqlite3.OperationalError as error:
        raise UnavailableError(str(path), f"cannot be read ({error})", "try again") from error
    except sqlite3.DatabaseError as error:
        raise CorruptError(str(path), f"is no whole database ({error})", RESTORE) from error


def table_names(connection: sqlite3.Connection) -> set[str]:
    """Return the tables of a database."""
    return {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}


def _require_whole(connection: sqlite3.Connection, path: Path) -> None:
    found = table_names(connection)
    if not found:
        return  # killed before its first table
    problems = [row[0] for row in connection.execute(f"PRAGMA quick_check({_PROBLEMS})")]
    if problems != ["ok"]:
        raise CorruptError(str(path), f"is damaged ({problems[0]})", RESTORE)
    # A kill while it is made leaves a part of these, and never others.
    if not found & _TABLES:
        raise CorruptError(str(path), "is the database of another program", RESTORE)
    if "storeversion" in found:
        version = connection.execute("SELECT max(version) FROM storeversion").fetchone()[0]
        if isinstance(version, int) and version > NEWEST:
            raise VersionError(str(path), version, NEWEST, "upgrade matrix-nio and clawstate")
