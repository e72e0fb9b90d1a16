"""
Numbered migrations: each part of a database has a format of its own, raised only by a writer.

The format of the unnamed part is `user_version`; those of the named ones stand in the table
`clawstate_parts`. So parts that know nothing of each other share a file and one transaction, and
whichever writes first makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from clawstate.errors import CorruptError, UnavailableError, VersionError

Migration = Callable[[apsw.Connection], None]
"""Raises the format by one; runs inside the caller's write transaction."""

_PARTS = """
CREATE TABLE IF NOT EXISTS clawstate_parts (
    part TEXT PRIMARY KEY,
    format INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Part:
    """
    The tables that *migrations* make in the database at *path*.

    *name* None is the unnamed part. A file that holds the table *beside* was made by clawstate
    even if no named part is in it yet.
    """

    path: Path
    migrations: Sequence[Migration]
    name: str | None = None
    beside: str | None = None

    def is_missing(self, connection: apsw.Connection) -> bool:
        """Tell whether the file is empty so far, or holds other parts of ours alone."""
        return self._format(connection) == 0 and not self._is_foreign(connection)

    def is_current(self, connection: apsw.Connection) -> bool:
        """Tell whether the part has the newest format."""
        return self._format(connection) == len(self.migrations)

    def migrate(self, connection: apsw.Connection) -> None:
        """
        Raise the part to the newest format, inside the running transaction.

        Raises `VersionError` when it is already newer, `CorruptError` for somebody else's file.
        """
        found = self.require_known(connection)
        for number, migration in enumerate(self.migrations[found:], start=found + 1):
            migration(connection)
            self._note(connection, number)

    def require_known(self, connection: apsw.Connection) -> int:
        """
        Return the format; refuse a database that this code must not touch.

        Raises `VersionError` for a newer format, `CorruptError` for tables that are not ours.
        """
        found = self._format(connection)
        if found > len(self.migrations):
            raise VersionError(str(self.path), found, len(self.migrations))
        if found == 0 and self._is_foreign(connection):
            problem = "is a database that clawstate did not make"
            hint = "move it away, or name another state directory"
            raise CorruptError(str(self.path), problem, hint)
        return found

    def require_current(self, connection: apsw.Connection) -> None:
        """
        Refuse to read an older format: a read never migrates (decision 18).

        Raises `UnavailableError`, and what `require_known` raises.
        """
        found = self.require_known(connection)
        if found < len(self.migrations):
            problem = f"has the older format {found}"
            hint = "run 'clawstate doctor --fix' to upgrade it"
            raise UnavailableError(str(self.path), problem, hint)

    def _format(self, connection: apsw.Connection) -> int:
        if self.name is None:
            return int(connection.execute("PRAGMA user_version").get)
        if not _has_table(connection, "clawstate_parts"):
            return 0
        sql = "SELECT format FROM clawstate_parts WHERE part = ?"
        return int(connection.execute(sql, (self.name,)).get or 0)

    def _note(self, connection: apsw.Connection, number: int) -> None:
        if self.name is None:
            connection.execute(f"PRAGMA user_version = {number}")
            return
        connection.execute(_PARTS)
        connection.execute(
            "INSERT INTO clawstate_parts VALUES (?, ?) "
            "ON CONFLICT DO UPDATE SET format = excluded.format",
            (self.name, number),
        )

    def _is_foreign(self, connection: apsw.Connection) -> bool:
        if not connection.execute("SELECT count(*) FROM sqlite_schema").get:
            return False
        if _has_table(connection, "clawstate_parts"):
            return False
        return self.beside is None or not _has_table(connection, self.beside)


def _has_table(connection: apsw.Connection, name: str) -> bool:
    sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?"
    return bool(connection.execute(sql, (name,)).get)
