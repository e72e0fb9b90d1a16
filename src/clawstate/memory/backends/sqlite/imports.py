"""What was imported from where; every function runs inside the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable

import apsw

from clawstate.memory.backends.sqlite.writing import made_scope


def marks(connection: apsw.Connection, namespace: str) -> dict[str, str]:
    """Return the fingerprint of every source that was imported whole into *namespace*."""
    sql = """
        SELECT i.source, i.fingerprint FROM imports i JOIN scopes s ON s.scope = i.scope
        WHERE s.namespace = ? AND i.fingerprint IS NOT NULL
    """
    return dict(connection.execute(sql, (namespace,)))


def begin(
    connection: apsw.Connection, namespace: str, source: str, *, now_ms: int
) -> tuple[set[str], set[str]]:
    """
    Note that an import of *source* is under way.

    Return the ids that earlier imports of it made, and those of them that were deliberately
    forgotten: missing although the import had been whole.
    """
    number, fingerprint = _row(connection, namespace, source, now_ms)
    sql = "SELECT memory_id FROM imported WHERE import = ?"
    tracked = {row[0] for row in connection.execute(sql, (number,))}
    if fingerprint is not None:
        # Kept as a mark: an import that is cut off must not forget what was forgotten.
        missing = "memory_id NOT IN (SELECT id FROM memories)"
        sql = f"UPDATE imported SET forgotten = 1 WHERE import = ? AND {missing}"
        connection.execute(sql, (number,))
        connection.execute("UPDATE imports SET fingerprint = NULL WHERE import = ?", (number,))
    sql = """
        SELECT memory_id FROM imported WHERE import = ? AND forgotten
            AND memory_id NOT IN (SELECT id FROM memories)
    """
    forgotten = {row[0] for row in connection.execute(sql, (number,))}
    return tracked, forgotten


def note(
    connection: apsw.Connection, namespace: str, source: str, ids: Iterable[str], *, now_ms: int
) -> None:
    """Note that *ids* are about to come from *source*."""
    number, _ = _row(connection, namespace, source, now_ms)
    # What was there before any import, made by hand, is not the file's to take away.
    sql = """
        INSERT OR IGNORE INTO imported (import, memory_id) SELECT ?, value FROM json_each(?)
        WHERE value NOT IN (SELECT id FROM memories) OR value IN (SELECT memory_id FROM imported)
    """
    connection.execute(sql, (number, json.dumps(list(ids))))


def finish(
    connection: apsw.Connection,
    namespace: str,
    source: str,
    *,
    fingerprint: str | None,
    vanished: Iterable[str],
    now_ms: int,
) -> None:
    """Note that *source* is imported whole; None takes all notes of it away."""
    number, _ = _row(connection, namespace, source, now_ms)
    if fingerprint is None:
        connection.execute("DELETE FROM imported WHERE import = ?", (number,))
        connection.execute("DELETE FROM imports WHERE import = ?", (number,))
        return
    sql = """
        DELETE FROM imported WHERE import = ? AND memory_id IN (SELECT value FROM json_each(?))
    """
    connection.execute(sql, (number, json.dumps(list(vanished))))
    sql = "UPDATE imports SET fingerprint = ?, imported_at = ? WHERE import = ?"
    connection.execute(sql, (fingerprint, now_ms, number))


def unclaimed(connection: apsw.Connection, ids: Iterable[str]) -> list[str]:
    """Return those of *ids* that no import gives any more."""
    sql = "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT memory_id FROM imported)"
    return [row[0] for row in connection.execute(sql, (json.dumps(list(ids)),))]


def _row(
    connection: apsw.Connection, namespace: str, source: str, now_ms: int
) -> tuple[int, str | None]:
    scope = made_scope(connection, namespace)
    sql = "INSERT OR IGNORE INTO imports (scope, source, imported_at) VALUES (?, ?, ?)"
    connection.execute(sql, (scope, source, now_ms))
    sql = "SELECT import, fingerprint FROM imports WHERE scope = ? AND source = ?"
    number, fingerprint = connection.execute(sql, (scope, source)).get
    return number, fingerprint
