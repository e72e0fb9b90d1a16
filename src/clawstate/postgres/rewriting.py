"""Writing tables anew, so that nothing of what was deleted stays in their files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from clawstate.errors import LockTimeoutError
from clawstate.postgres.connection import Connection
from clawstate.postgres.database import Database

_MILLISECONDS: Final = 1000


def rewrite_tables(database: Database, tables: Iterable[str], *, patience: float) -> bool:
    """
    Rewrite *tables* of the schema `clawstate`, and tell whether that was done.

    It is not while others use them for *patience* (seconds), and where the user does not own them.
    """

    def rewrite(connection: Connection) -> None:
        # An option of the statement and not of the session, which a pooler may give to others.
        for table in tables:
            connection.execute(f"VACUUM (FULL, SKIP_LOCKED false) clawstate.{table}")

    def lock_all(connection: Connection) -> bool:
        # VACUUM has no lock timeout of its own: look first whether the tables are free.
        connection.execute("BEGIN")
        try:
            wait = int(patience * _MILLISECONDS)
            connection.execute(f"SET LOCAL lock_timeout = {wait}")
            for table in tables:
                connection.execute(f"LOCK TABLE clawstate.{table} IN ACCESS EXCLUSIVE MODE")
        finally:
            if not connection.closed:
                connection.execute("ROLLBACK")
        return True

    tables = tuple(tables)
    try:
        database.attempt(lock_all)
        database.attempt(rewrite)
    except LockTimeoutError:
        return False
    return True
