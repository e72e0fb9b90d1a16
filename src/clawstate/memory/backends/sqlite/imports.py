"""`SqliteImports`: what was imported from where, beside the records that it speaks of."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import apsw

from clawstate.memory.backends.sqlite import writing
from clawstate.sqlite import Part


class SqliteImports:
    """The `ImportLedger` of a database; *now_ms* tells the time."""

    def __init__(self, database: Part, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    def marks(self, namespace: str) -> dict[str, str]:
        """Return the fingerprint of every source that was imported whole into *namespace*."""
        sql = """
            SELECT i.source, i.fingerprint FROM imports i JOIN scopes s ON s.scope = i.scope
            WHERE s.namespace = ? AND i.fingerprint IS NOT NULL
        """
        with self._database.reading() as connection:
            return dict(connection.execute(sql, (namespace,)))

    def sources(self, namespace: str) -> set[str]:
        """Return every source that is noted in *namespace*, whole or not."""
        sql = """
            SELECT i.source FROM imports i JOIN scopes s ON s.scope = i.scope
            WHERE s.namespace = ?
        """
        with self._database.reading() as connection:
            return {row[0] for row in connection.execute(sql, (namespace,))}

    def begin(self, namespace: str, source: str) -> tuple[set[str], set[str]]:
        """
        Note that an import of *source* is under way; return what is known of it, and forgotten.

        Deliberately forgotten is what is missing although the import had been whole.
        """
        with self._database.writing() as connection:
            number, fingerprint = self._row(connection, namespace, source)
            # All of it in one transaction, so that two imports of one source agree about what was
            # there.
            sql = "SELECT memory_id FROM imported WHERE import = ?"
            tracked = {row[0] for row in connection.execute(sql, (number,))}
            if fingerprint is not None:
                # Kept as a mark: an import that is cut off must not forget what was forgotten.
                missing = "memory_id NOT IN (SELECT id FROM memories)"
                sql = f"UPDATE imported SET forgotten = 1 WHERE import = ? AND {missing}"
                connection.execute(sql, (number,))
                sql = "UPDATE imports SET fingerprint = NULL WHERE import = ?"
                connection.execute(sql, (number,))
            sql = """
                SELECT memory_id FROM imported WHERE import = ? AND forgotten
                    AND memory_id NOT IN (SELECT id FROM memories)
            """
            return tracked, {row[0] for row in connection.execute(sql, (number,))}

    def note(self, namespace: str, source: str, ids: Sequence[str]) -> None:
        """Note that *ids* are about to come from *source*."""
        # What was there before any import, made by hand, is not the file's to take away.
        sql = """
            INSERT OR IGNORE INTO imported (import, memory_id) SELECT ?, value FROM json_each(?)
            WHERE value NOT IN (SELECT id FROM memories)
                OR value IN (SELECT memory_id FROM imported)
        """
        with self._database.writing() as connection:
            number, _ = self._row(connection, namespace, source)
            connection.execute(sql, (number, json.dumps(list(ids))))

    def finish(
        self, namespace: str, source: str, *, fingerprint: str, vanished: Sequence[str]
    ) -> int:
        """Note *source* as imported and forget what *vanished* from it, in one step."""
        ids = json.dumps(list(vanished))
        with self._database.writing() as connection:
            number, _ = self._row(connection, namespace, source)
            sql = """
                DELETE FROM imported
                WHERE import = ? AND memory_id IN (SELECT value FROM json_each(?))
            """
            connection.execute(sql, (number, ids))
            sql = "UPDATE imports SET fingerprint = ?, imported_at = ? WHERE import = ?"
            connection.execute(sql, (fingerprint, self._now_ms(), number))
            return self._forget_unclaimed(connection, ids)

    def forget(self, namespace: str, source: str) -> int:
        """Take away the note of *source* and what it alone gave, in one step."""
        with self._database.writing() as connection:
            number, _ = self._row(connection, namespace, source)
            sql = "SELECT json_group_array(memory_id) FROM imported WHERE import = ?"
            ids = connection.execute(sql, (number,)).get
            connection.execute("DELETE FROM imported WHERE import = ?", (number,))
            connection.execute("DELETE FROM imports WHERE import = ?", (number,))
            return self._forget_unclaimed(connection, ids)

    def _forget_unclaimed(self, connection: apsw.Connection, ids: str) -> int:
        """Forget those of *ids* (a JSON list) that no source is noted for any more."""
        sql = """
            SELECT value FROM json_each(?)
            WHERE value NOT IN (SELECT memory_id FROM imported)
        """
        unclaimed = [row[0] for row in connection.execute(sql, (ids,))]
        return writing.forget(connection, unclaimed, now_ms=self._now_ms())

    def _row(
        self, connection: apsw.Connection, namespace: str, source: str
    ) -> tuple[int, str | None]:
        scope = writing.made_scope(connection, namespace)
        sql = "INSERT OR IGNORE INTO imports (scope, source, imported_at) VALUES (?, ?, ?)"
        connection.execute(sql, (scope, source, self._now_ms()))
        sql = "SELECT import, fingerprint FROM imports WHERE scope = ? AND source = ?"
        number, fingerprint = connection.execute(sql, (scope, source)).get
        return number, fingerprint
