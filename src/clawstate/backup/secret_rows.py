"""A copy without secrets: rows and settings that hold some are taken out of it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import apsw

from clawstate.config.history import hide_literal_secrets
from clawstate.sqlite.errors import sqlite_errors

# Only what is known to hold none stays.
_OF_RECORDS = {"records", "removed"}
_PLAIN = ("sessions*", "session-archive*", "dedupe*", "memory-inbox*", "inbox*")


def drop_secret_rows(path: Path) -> None:
    """Remove the records in the copied database *path* that may be secrets, and their bytes."""
    with (
        sqlite_errors(path),
        contextlib.closing(
            apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        ) as connection,
    ):
        sql = "SELECT name FROM sqlite_schema WHERE type = 'table'"
        tables = {str(name) for (name,) in connection.execute(sql)}
        if "records" not in tables:
            return
        connection.pragma("journal_mode", "delete")
        connection.pragma("temp_store", 2)
        kept = " OR ".join(f"kind GLOB '{each}'" for each in _PLAIN)
        for table in tables & _OF_RECORDS:
            connection.execute(f"DELETE FROM {table} WHERE NOT ({kept})")
        connection.execute("VACUUM")


def hide_secrets(path: Path) -> None:
    """Replace literal secrets in the copied configuration *path*."""
    path.write_text(hide_literal_secrets(path.read_bytes()), encoding="utf-8")
