"""`KeyStore`: the database of matrix-nio, whose steps are whole after a kill."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from nio.store import SqliteStore
from peewee import SqliteDatabase

_MARKS = "clawstate_received"
_WAIT = 5.0  # seconds, for who looks at the database meanwhile


@dataclass
class KeyStore(SqliteStore):  # type: ignore[misc]
    """
    What matrix-nio keeps of one device, and which messages to it were received.

    A message to a device can be decrypted once. So what it changed, and that it was received, are
    one transaction: a kill leaves both or neither, and the server sends it again.
    """

    def _create_database(self) -> SqliteDatabase:
        # FULL: a session that a power cut takes back would use a key for two messages.
        settings = {"foreign_keys": 1, "secure_delete": 1, "synchronous": 2}
        return SqliteDatabase(self.database_path, pragmas=settings, timeout=_WAIT)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.database.execute_sql(
            f"CREATE TABLE IF NOT EXISTS {_MARKS} (digest TEXT PRIMARY KEY) WITHOUT ROWID"
        )
        self._has_marks = (
            self.database.execute_sql(f"SELECT 1 FROM {_MARKS}").fetchone() is not None
        )

    def transaction(self) -> AbstractContextManager[Any]:
        """Return a block whose changes are written together, or not at all."""
        found: AbstractContextManager[Any] = self.database.atomic()
        return found

    def was_received(self, content: str) -> bool:
        """Tell whether the message *content* was received since `forget_received`."""
        found = self.database.execute_sql(
            f"SELECT 1 FROM {_MARKS} WHERE digest = ?", (_digest(content),)
        )
        return found.fetchone() is not None

    def note_received(self, content: str) -> None:
        """Note that the message *content* was received."""
        self.database.execute_sql(f"INSERT OR IGNORE INTO {_MARKS} VALUES (?)", (_digest(content),))
        self._has_marks = True

    def forget_received(self) -> None:
        """Forget what was received: the server will not send it again."""
        if self._has_marks:
            self.database.execute_sql(f"DELETE FROM {_MARKS}")
            self._has_marks = False

    def close(self) -> None:
        """Close the connection of this thread."""
        self.database.close()


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
