"""Numbered migrations: the format of a database is `user_version`, and only a writer raises it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import apsw

from clawstate.errors import CorruptError, UnavailableError, VersionError

Migration = Callable[[apsw.Connection], None]
"""Raises the format by one; runs inside the caller's write transaction."""


def format_of(connection: apsw.Connection) -> int:
    """Return the format number of the database; 0 for an empty one."""
    return int(connection.execute("PRAGMA user_version").get)


def migrate(connection: apsw.Connection, migrations: Sequence[Migration], path: Path) -> None:
    """
    Raise the database to the newest format, inside the running transaction.

    Raises `VersionError` when it is already newer, `CorruptError` for somebody else's file.
    """
    found = format_of(connection)
    require_known(connection, migrations, path)
    for number, migration in enumerate(migrations[found:], start=found + 1):
        migration(connection)
        connection.execute(f"PRAGMA user_version = {number}")


def require_known(connection: apsw.Connection, migrations: Sequence[Migration], path: Path) -> None:
    """
    Refuse a database that this code must not touch.

    Raises `VersionError` for a newer format, `CorruptError` for tables that are not ours.
    """
    found = format_of(connection)
    if found > len(migrations):
        raise VersionError(str(path), found, len(migrations))
    if found == 0 and connection.execute("SELECT count(*) FROM sqlite_schema").get:
        problem = "is a database that clawstate did not make"
        raise CorruptError(str(path), problem, "move it away, or name another state directory")


def require_current(
    connection: apsw.Connection, migrations: Sequence[Migration], path: Path
) -> None:
    """
    Refuse to read a database of an older format: a read never migrates (decision 18).

    Raises `UnavailableError`, and what `require_known` raises.
    """
    require_known(connection, migrations, path)
    found = format_of(connection)
    if found < len(migrations):
        problem = f"has the older format {found}"
        raise UnavailableError(str(path), problem, "run 'clawstate doctor --fix' to upgrade it")
