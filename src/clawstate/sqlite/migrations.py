"""
Numbered migrations: each named part of a database has a format of its own, raised only by a writer.

The formats stand in the table `clawstate_parts`. So parts that know nothing of each other share a
file, its connections and one transaction, and whichever writes first makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apsw

from clawstate.errors import CorruptError, UnavailableError, VersionError


class OlderFormatError(UnavailableError):
    """The part has an older format, which the first write raises."""


Migration = Callable[[apsw.Connection], None]
"""Raises the format by one; runs inside the caller's write transaction."""

Faults = Callable[[apsw.Connection], Sequence[str]]
"""Returns what is wrong with the tables of a part, a sentence each."""

_PARTS = """
CREATE TABLE IF NOT EXISTS clawstate_parts (
    part TEXT PRIMARY KEY,
    format INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""
AUDIT: Final = "audit"
"""The part that is there where a chain is kept over the changes; see `audit_chain`."""

_FORMAT = "SELECT format FROM clawstate_parts WHERE part = ?"
# One look for each write: the second row lies on the page of the first one.
_STANDING = f"""
SELECT (SELECT format FROM clawstate_parts WHERE part = ?),
       EXISTS (SELECT 1 FROM clawstate_parts WHERE part = '{AUDIT}')
"""
_NOTE = """
INSERT INTO clawstate_parts VALUES (?, ?) ON CONFLICT DO UPDATE SET format = excluded.format
"""

# The first release had one part in a file that was not named: its format is `user_version`, and a
# table tells which part that is. Such a file is read as it is, and the next write names the part.
# Its number stays in `user_version` as well, for that release still opens the file (decision 36).
_ONCE_UNNAMED = {"memory": "memories", "records": "records"}


@dataclass(frozen=True, slots=True)
class PartFormat:
    """
    The tables of the part *name* that *migrations* make in the database at *path*.

    *faults* returns what is wrong with them; it is asked after an error that damage may explain.
    """

    path: Path
    name: str
    migrations: Sequence[Migration]
    faults: Faults | None = None

    def is_missing(self, connection: apsw.Connection) -> bool:
        """Tell whether the file is empty so far, or holds other parts of ours alone."""
        return self._format(connection) == 0 and not _is_foreign(connection)

    def standing(self, connection: apsw.Connection) -> tuple[bool, bool]:
        """Tell whether the part has the newest format, and whether a chain is kept (`AUDIT`)."""
        try:
            found, is_audited = connection.execute(_STANDING, (self.name,)).get
        except apsw.SQLError:  # no part has a name yet
            return False, False
        return found == len(self.migrations), bool(is_audited)

    def migrate(self, connection: apsw.Connection) -> None:
        """
        Raise the part to the newest format, inside the running transaction.

        Raises `VersionError` when it is already newer, `CorruptError` for somebody else's file.
        """
        found = self.require_known(connection)
        # By whichever part writes first, for that part may never write itself: a memory that is
        # only read beside transcripts that grow.
        connection.execute(_PARTS)
        if (unnamed := _unnamed_part(connection)) is not None:
            connection.execute("INSERT OR IGNORE INTO clawstate_parts VALUES (?, ?)", unnamed)
        for number, migration in enumerate(self.migrations[found:], start=found + 1):
            migration(connection)
            connection.execute(_NOTE, (self.name, number))
            # The first release reads its format here, and must refuse one that it does not know.
            if self.name in _ONCE_UNNAMED:
                connection.execute(f"PRAGMA user_version = {number}")

    def assume_newest(self, connection: apsw.Connection) -> None:
        """Note the newest format where the tables are there and their format was lost."""
        if self._format(connection) == 0 and _has_table(connection, "clawstate_parts"):
            connection.execute(_NOTE, (self.name, len(self.migrations)))

    def require_known(self, connection: apsw.Connection) -> int:
        """
        Return the format; refuse a database that this code must not touch.

        Raises `VersionError` for a newer format, `CorruptError` for tables that are not ours.
        """
        found = self._format(connection)
        if found > len(self.migrations):
            raise VersionError(str(self.path), found, len(self.migrations))
        if found == 0 and _is_foreign(connection):
            problem = "is a database that clawstate did not make"
            hint = "move it away, or name another state directory"
            raise CorruptError(str(self.path), problem, hint)
        return found

    def require_current(self, connection: apsw.Connection) -> None:
        """
        Refuse to read an older format: only a writer raises it, in its own transaction.

        Raises `OlderFormatError`, and what `require_known` raises.
        """
        found = self.require_known(connection)
        if found < len(self.migrations):
            problem = f"has the older format {found}"
            hint = "open it once where it can be written, which upgrades it"
            raise OlderFormatError(str(self.path), problem, hint)

    def _format(self, connection: apsw.Connection) -> int:
        named = 0
        if _has_table(connection, "clawstate_parts"):
            named = int(connection.execute(_FORMAT, (self.name,)).get or 0)
        unnamed = _unnamed_part(connection)
        return named if unnamed is None or unnamed[0] != self.name else max(named, unnamed[1])


def _unnamed_part(connection: apsw.Connection) -> tuple[str, int] | None:
    """Return the part that had no name in a file of the first release, and its format."""
    found = [name for name, table in _ONCE_UNNAMED.items() if _has_table(connection, table)]
    if len(found) != 1:  # that release had one part in a file
        return None
    return found[0], int(connection.execute("PRAGMA user_version").get)


def _is_foreign(connection: apsw.Connection) -> bool:
    if not connection.execute("SELECT count(*) FROM sqlite_schema").get:
        return False
    if _has_table(connection, "clawstate_parts"):
        return False
    return _unnamed_part(connection) is None


def _has_table(connection: apsw.Connection, name: str) -> bool:
    sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?"
    return bool(connection.execute(sql, (name,)).get)
