"""`SqliteImports`: what was imported from where, beside the records that it speaks of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

import apsw

from clawstate.memory.backends.sqlite import forgotten, writing
from clawstate.memory.ledger import Finished, Imported
from clawstate.sqlite import Part

_NOTE = """
INSERT INTO imported (import, memory_id, passage, given)
SELECT ?1, ?2, ?3, ?4 WHERE ?2 NOT IN (SELECT id FROM memories)
    OR ?2 IN (SELECT memory_id FROM imported)
ON CONFLICT DO UPDATE SET passage = coalesce(excluded.passage, passage),
    given = coalesce(excluded.given, given)
"""  # what was there before any import, made by hand, is not the file's to take away
_UNNOTE = "DELETE FROM imported WHERE import = ? AND memory_id IN (SELECT value FROM json_each(?))"


class SqliteImports:
    """The `ImportLedger` of a database; *forgot* is told how many changes left bytes behind."""

    def __init__(
        self, database: Part, now_ms: Callable[[], int], forgot: Callable[[int], None]
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._forgot = forgot

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

    def look(self, namespace: str, sources: Sequence[str]) -> dict[str, list[Imported]]:
        """Return what `begin` would, and note nothing."""
        with self._database.reading() as connection:
            scope = writing.scope_of(connection, namespace)
            return {
                each: [] if scope is None else _rows(connection, scope, each) for each in sources
            }

    def sources_of(self, namespace: str, passages: Sequence[bytes]) -> dict[str, int]:
        """Return the sources that gave *passages*, and how many of them each."""
        sql = """
            SELECT i.source, count(*) FROM json_each(?) k
            CROSS JOIN imported m ON m.passage = unhex(k.value)
            JOIN imports i ON i.import = m.import
            JOIN scopes s ON s.scope = i.scope AND s.namespace = ? GROUP BY i.source
        """
        wanted = json.dumps([each.hex() for each in passages])
        with self._database.reading() as connection:
            return dict(connection.execute(sql, (wanted, namespace)))

    def begin(self, namespace: str, sources: Sequence[str]) -> dict[str, list[Imported]]:
        """
        Note that imports of *sources* are under way; return what is known of each.

        Deliberately forgotten is what is missing although the import had been whole.
        """
        # All of it in one transaction, so that two imports of one source agree about what was
        # there.
        with self._database.writing() as connection:
            scope = writing.made_scope(connection, namespace)
            return {each: self._begin(connection, scope, each) for each in sources}

    def note(self, namespace: str, given: Mapping[str, Sequence[Imported]]) -> None:
        """Note what is about to come from each source, or what came."""
        with self._database.writing() as connection:
            scope = writing.made_scope(connection, namespace)
            for source, rows in given.items():
                _note(connection, self._row(connection, scope, source)[0], rows)

    def finish(self, namespace: str, finished: Sequence[Finished]) -> int:
        """Note sources as imported and forget what vanished from them, in one step."""
        with self._database.writing() as connection:
            scope, forgotten = writing.made_scope(connection, namespace), 0
            for each in finished:
                number, _ = self._row(connection, scope, each.source)
                _note(connection, number, each.rows)
                sql = "UPDATE imports SET fingerprint = ?, imported_at = ? WHERE import = ?"
                connection.execute(sql, (each.fingerprint, self._now_ms(), number))
                if each.vanished or each.left:
                    ids = json.dumps([*each.vanished, *each.left])
                    connection.execute(_UNNOTE, (number, ids))
                    forgotten += self._forget_unclaimed(connection, each.vanished)
        self._forgot(forgotten)
        return forgotten

    def forget(self, namespace: str, source: str, left: Sequence[str] = ()) -> int:
        """Take away the note of *source* and what it alone gave but *left*, in one step."""
        with self._database.writing() as connection:
            scope = writing.made_scope(connection, namespace)
            number, fingerprint = self._row(connection, scope, source)
            if fingerprint is not None:
                self._keep_forgotten(connection, scope, number)
            sql = "SELECT memory_id FROM imported WHERE import = ?"
            ids = {row[0] for row in connection.execute(sql, (number,))} - set(left)
            connection.execute("DELETE FROM imported WHERE import = ?", (number,))
            connection.execute("DELETE FROM imports WHERE import = ?", (number,))
            writing.add_to_meta(connection, writing.REWRITTEN, 1)
            count = self._forget_unclaimed(connection, sorted(ids))
        self._forgot(1 + count)
        return count

    def rename(self, namespace: str, old: str, new: str) -> None:
        """Note that what came from *old* is at *new* now; nothing if *new* is noted already."""
        sql = """
            UPDATE OR IGNORE imports SET source = ?, fingerprint = NULL
            WHERE source = ? AND scope = ?
        """
        with self._database.writing() as connection:
            scope = writing.made_scope(connection, namespace)
            number, fingerprint = self._row(connection, scope, old)
            if fingerprint is not None:
                self._mark_forgotten(connection, number)
            connection.execute(sql, (new, old, scope))
            writing.add_to_meta(connection, writing.REWRITTEN, 1)

    def were_forgotten(self, namespace: str | None, given: Sequence[tuple[str, bytes]]) -> set[str]:
        """Return the ids of those of *given* that were forgotten, by their id or their text."""
        with self._database.reading() as connection:
            scope = None if namespace is None else writing.scope_of(connection, namespace)
            sql = "SELECT EXISTS (SELECT 1 FROM forgotten WHERE ?1 IS NULL OR scope = ?1)"
            is_new = namespace is not None and scope is None
            if is_new or not connection.execute(sql, (scope,)).get:
                return set()
            digest = forgotten.digester(connection)
            digests = [
                (record_id, digest(value).hex())
                for record_id, text in given
                for value in (record_id.encode(), text)
            ]
            sql = """
                SELECT lower(hex(f.digest)) FROM json_each(?) k
                CROSS JOIN forgotten f ON f.digest = unhex(k.value)
                    AND f.scope IN (SELECT scope FROM scopes WHERE ?2 IS NULL OR scope = ?2)
            """
            wanted = json.dumps([each for _, each in digests])
            found = {row[0] for row in connection.execute(sql, (wanted, scope))}
        return {record_id for record_id, each in digests if each in found}

    def _begin(self, connection: apsw.Connection, scope: int, source: str) -> list[Imported]:
        number, fingerprint = self._row(connection, scope, source)
        if fingerprint is not None:
            # Kept as a mark: an import that is cut off must not forget what was forgotten.
            self._mark_forgotten(connection, number)
            connection.execute("UPDATE imports SET fingerprint = NULL WHERE import = ?", (number,))
        return _rows(connection, scope, source)

    def _mark_forgotten(self, connection: apsw.Connection, number: int) -> None:
        sql = """
            UPDATE imported SET forgotten = 1
            WHERE import = ? AND memory_id NOT IN (SELECT id FROM memories)
        """
        connection.execute(sql, (number,))

    def _keep_forgotten(self, connection: apsw.Connection, scope: int, number: int) -> None:
        """Keep in mind, beyond the note of a source, which ids of it were forgotten."""
        self._mark_forgotten(connection, number)
        sql = """
            SELECT memory_id FROM imported WHERE import = ? AND forgotten
                AND memory_id NOT IN (SELECT id FROM memories)
        """
        ids = [row[0] for row in connection.execute(sql, (number,))]
        forgotten.note(connection, [(scope, each.encode()) for each in ids])

    def _forget_unclaimed(self, connection: apsw.Connection, ids: Sequence[str]) -> int:
        """Forget those of *ids* that no source is noted for any more."""
        sql = """
            SELECT value FROM json_each(?)
            WHERE value NOT IN (SELECT memory_id FROM imported)
        """
        unclaimed = [row[0] for row in connection.execute(sql, (json.dumps(list(ids)),))]
        return writing.forget(connection, unclaimed, now_ms=self._now_ms())

    def _row(self, connection: apsw.Connection, scope: int, source: str) -> tuple[int, str | None]:
        sql = "SELECT import, fingerprint FROM imports WHERE scope = ? AND source = ?"
        if (found := connection.execute(sql, (scope, source)).fetchone()) is not None:
            return found[0], found[1]
        sql = "INSERT INTO imports (scope, source, imported_at) VALUES (?, ?, ?)"
        connection.execute(sql, (scope, source, self._now_ms()))
        return connection.last_insert_rowid(), None


def _rows(connection: apsw.Connection, scope: int, source: str) -> list[Imported]:
    sql = """
        SELECT m.memory_id, m.passage, m.given, (m.forgotten OR i.fingerprint IS NOT NULL)
            AND m.memory_id NOT IN (SELECT id FROM memories)
        FROM imports i JOIN imported m ON m.import = i.import WHERE i.scope = ? AND i.source = ?
    """
    rows = connection.execute(sql, (scope, source))
    return [Imported(row[0], row[1], row[2], bool(row[3])) for row in rows]


def _note(connection: apsw.Connection, number: int, rows: Sequence[Imported]) -> None:
    if rows:
        connection.executemany(
            _NOTE, ((number, each.id, each.passage, each.given) for each in rows)
        )
