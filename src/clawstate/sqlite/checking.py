"""What SQLite itself says is wrong with a database."""

from __future__ import annotations

import apsw


def damage(connection: apsw.Connection, *, deep: bool) -> list[str]:
    """Return what is wrong with the file of *connection*; *deep* compares the indexes too."""
    # FTS5 checks itself by the structure it read last, which another connection may have replaced;
    # any read of a table makes it look again.
    tables = "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%fts5 (%'"
    for (name,) in connection.execute(tables).fetchall():
        connection.execute(f'SELECT rowid FROM "{name}" LIMIT 1').get  # noqa: B018 - runs it
    check = "integrity_check" if deep else "quick_check"
    return [str(row[0]) for row in connection.execute(f"PRAGMA {check}") if row[0] != "ok"]
