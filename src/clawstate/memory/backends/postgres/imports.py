"""`PostgresImports`: what was imported from where, beside the records that it speaks of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clawstate.memory.backends.postgres import forgotten, words, writing
from clawstate.memory.backends.postgres.place import Place
from clawstate.memory.ledger import Finished, Imported
from clawstate.memory.records import content_hash
from clawstate.postgres.transaction import Transaction

# What was there before any import, made by hand, is not the file's to take away.
_NOTE = """
INSERT INTO clawstate.memory_imported AS old (tenant, import, memory_id, passage, given)
SELECT %(tenant)s, %(number)s, k.id, k.passage, k.given
FROM unnest(%(ids)s::text[], %(passages)s::bytea[], %(givens)s::bytea[]) AS k (id, passage, given)
WHERE NOT EXISTS (SELECT 1 FROM clawstate.memory_records m
        WHERE m.tenant = %(tenant)s AND m.id = k.id)
    OR EXISTS (SELECT 1 FROM clawstate.memory_imported o
        WHERE o.tenant = %(tenant)s AND o.memory_id = k.id)
ON CONFLICT (tenant, import, memory_id) DO UPDATE
SET passage = coalesce(excluded.passage, old.passage), given = coalesce(excluded.given, old.given)
"""
_UNNOTE = """
DELETE FROM clawstate.memory_imported
WHERE tenant = %(tenant)s AND import = %(number)s AND memory_id = ANY(%(ids)s::text[])
"""
_IS_KEPT = """
EXISTS (SELECT 1 FROM clawstate.memory_records r WHERE r.tenant = m.tenant AND r.id = m.memory_id)
"""
_SOURCES = """
SELECT i.source, i.fingerprint FROM clawstate.memory_imports i
JOIN clawstate.memory_scopes s ON s.tenant = i.tenant AND s.scope = i.scope
WHERE i.tenant = %(tenant)s AND s.namespace = %(namespace)s
"""
_SOURCES_OF = """
SELECT i.source, count(*) FROM unnest(%(passages)s::bytea[]) k (passage)
JOIN clawstate.memory_imported m ON m.tenant = %(tenant)s AND m.passage = k.passage
JOIN clawstate.memory_imports i ON i.tenant = m.tenant AND i.import = m.import
JOIN clawstate.memory_scopes s ON s.tenant = i.tenant AND s.scope = i.scope
WHERE s.namespace = %(namespace)s GROUP BY i.source
"""
_ROWS = f"""
SELECT m.memory_id, m.passage, m.given,
    (m.forgotten OR i.fingerprint IS NOT NULL) AND NOT {_IS_KEPT}
FROM clawstate.memory_imports i
JOIN clawstate.memory_imported m ON m.tenant = i.tenant AND m.import = i.import
WHERE i.tenant = %(tenant)s AND i.scope = %(scope)s AND i.source_hash = %(hash)s
ORDER BY m.memory_id
"""
_ROW = """
SELECT import, fingerprint FROM clawstate.memory_imports
WHERE tenant = %(tenant)s AND scope = %(scope)s AND source_hash = %(hash)s FOR UPDATE
"""
_MAKE_ROW = """
INSERT INTO clawstate.memory_imports (tenant, scope, source, source_hash, imported_at)
VALUES (%(tenant)s, %(scope)s, %(source)s, %(hash)s, %(now)s) RETURNING import
"""
_FINISH = """
UPDATE clawstate.memory_imports SET fingerprint = %(fingerprint)s, imported_at = %(now)s
WHERE tenant = %(tenant)s AND import = %(number)s
"""
_UNFINISH = """
UPDATE clawstate.memory_imports SET fingerprint = NULL
WHERE tenant = %(tenant)s AND import = %(number)s
"""
_RENAME = """
UPDATE clawstate.memory_imports SET source = %(new)s, source_hash = %(new_hash)s, fingerprint = NULL
WHERE tenant = %(tenant)s AND scope = %(scope)s AND source_hash = %(old_hash)s
    AND NOT EXISTS (SELECT 1 FROM clawstate.memory_imports o WHERE o.tenant = %(tenant)s
        AND o.scope = %(scope)s AND o.source_hash = %(new_hash)s)
"""
_GIVEN = """
SELECT memory_id FROM clawstate.memory_imported
WHERE tenant = %(tenant)s AND import = %(number)s
"""
_DROP = "DELETE FROM clawstate.{} WHERE tenant = %(tenant)s AND import = %(number)s"
_MARK = f"""
UPDATE clawstate.memory_imported m SET forgotten = true
WHERE m.tenant = %(tenant)s AND m.import = %(number)s AND NOT m.forgotten AND NOT {_IS_KEPT}
"""
_FORGOTTEN = f"""
SELECT m.memory_id FROM clawstate.memory_imported m
WHERE m.tenant = %(tenant)s AND m.import = %(number)s AND m.forgotten AND NOT {_IS_KEPT}
"""
_UNCLAIMED = """
SELECT k FROM unnest(%(ids)s::text[]) k WHERE NOT EXISTS (
    SELECT 1 FROM clawstate.memory_imported m WHERE m.tenant = %(tenant)s AND m.memory_id = k)
"""
_WERE = """
SELECT DISTINCT f.digest FROM clawstate.memory_forgotten f
WHERE f.tenant = %(tenant)s AND f.digest = ANY(%(digests)s::bytea[])
    AND (%(scope)s::bigint IS NULL OR f.scope = %(scope)s)
"""


class PostgresImports:
    """The `ImportLedger` of a memory."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def marks(self, namespace: str) -> dict[str, str]:
        """Return the fingerprint of every source that was imported whole into *namespace*."""
        rows = self._place.rows(_SOURCES, namespace=namespace)
        return {source: mark for source, mark in rows if mark is not None}

    def sources(self, namespace: str) -> set[str]:
        """Return every source that is noted in *namespace*, whole or not."""
        return {row[0] for row in self._place.rows(_SOURCES, namespace=namespace)}

    def look(self, namespace: str, sources: Sequence[str]) -> dict[str, list[Imported]]:
        """Return what `begin` would, and note nothing."""

        def read(within: Transaction) -> dict[str, list[Imported]]:
            scope = writing.scope_of(within, namespace)
            return {each: [] if scope is None else _rows(within, scope, each) for each in sources}

        return self._place.read(read)

    def sources_of(self, namespace: str, passages: Sequence[bytes]) -> dict[str, int]:
        """Return the sources that gave *passages*, and how many of them each."""
        rows = self._place.rows(_SOURCES_OF, namespace=namespace, passages=list(passages))
        return dict(rows)

    def begin(self, namespace: str, sources: Sequence[str]) -> dict[str, list[Imported]]:
        """
        Note that imports of *sources* are under way; return what is known of each.

        Deliberately forgotten is what is missing although the import had been whole.
        """
        # All of it in one transaction, so that two imports of one source agree about what was
        # there.

        def change(within: Transaction) -> dict[str, list[Imported]]:
            scope = writing.made_scope(within, namespace)
            return {each: self._begin(within, scope, each) for each in sources}

        return self._place.change(change)

    def note(self, namespace: str, given: Mapping[str, Sequence[Imported]]) -> None:
        """Note what is about to come from each source, or what came."""

        def change(within: Transaction) -> None:
            scope = writing.made_scope(within, namespace)
            for source, rows in given.items():
                _note(within, self._row(within, scope, source)[0], rows)

        self._place.change(change)

    def finish(self, namespace: str, finished: Sequence[Finished]) -> int:
        """Note sources as imported and forget what vanished from them, in one step."""

        def change(within: Transaction) -> int:
            scope, count = writing.made_scope(within, namespace), 0
            for each in finished:
                number, _ = self._row(within, scope, each.source)
                _note(within, number, each.rows)
                within.run(
                    _FINISH,
                    fingerprint=each.fingerprint,
                    now=self._place.now_ms(),
                    number=number,
                )
                if each.vanished or each.left:
                    within.run(_UNNOTE, number=number, ids=[*each.vanished, *each.left])
                    count += self._forget_unclaimed(within, each.vanished)
            return count

        count = self._place.change(change)
        self._place.written(count)
        return count

    def forget(self, namespace: str, source: str, left: Sequence[str] = ()) -> int:
        """Take away the note of *source* and what it alone gave but *left*, in one step."""

        def change(within: Transaction) -> int:
            scope = writing.made_scope(within, namespace)
            number, fingerprint = self._row(within, scope, source)
            if fingerprint is not None:
                self._keep_forgotten(within, scope, number)
            ids = {row[0] for row in within.rows(_GIVEN, number=number)} - set(left)
            within.run(_DROP.format("memory_imported"), number=number)
            within.run(_DROP.format("memory_imports"), number=number)
            words.touch(within, now_ms=self._place.now_ms(), rewritten=1)
            return self._forget_unclaimed(within, sorted(ids))

        count = self._place.change(change)
        self._place.written(1 + count)
        return count

    def rename(self, namespace: str, old: str, new: str) -> None:
        """Note that what came from *old* is at *new* now; nothing if *new* is noted already."""

        def change(within: Transaction) -> None:
            scope = writing.made_scope(within, namespace)
            number, fingerprint = self._row(within, scope, old)
            if fingerprint is not None:
                within.run(_MARK, number=number)
            hashes = {"old_hash": content_hash(old), "new_hash": content_hash(new)}
            within.run(_RENAME, scope=scope, new=new, **hashes)
            words.touch(within, now_ms=self._place.now_ms(), rewritten=1)

        self._place.change(change)

    def were_forgotten(self, namespace: str | None, given: Sequence[tuple[str, bytes]]) -> set[str]:
        """Return the ids of those of *given* that were forgotten, by their id or their text."""

        def read(within: Transaction) -> set[str]:
            scope = None if namespace is None else writing.scope_of(within, namespace)
            if namespace is not None and scope is None:
                return set()
            digest = forgotten.digester(within)
            digests = [
                (record_id, digest(value))
                for record_id, text in given
                for value in (record_id.encode(), text)
            ]
            rows = within.rows(_WERE, digests=[each for _, each in digests], scope=scope)
            found = {row[0] for row in rows}
            return {record_id for record_id, each in digests if each in found}

        return self._place.read(read)

    def _begin(self, within: Transaction, scope: int, source: str) -> list[Imported]:
        number, fingerprint = self._row(within, scope, source)
        if fingerprint is not None:
            # Kept as a mark: an import that is cut off must not forget what was forgotten.
            within.run(_MARK, number=number)
            within.run(_UNFINISH, number=number)
        return _rows(within, scope, source)

    def _keep_forgotten(self, within: Transaction, scope: int, number: int) -> None:
        """Keep in mind, beyond the note of a source, which ids of it were forgotten."""
        within.run(_MARK, number=number)
        ids = [row[0] for row in within.rows(_FORGOTTEN, number=number)]
        forgotten.note(within, [(scope, each.encode()) for each in ids])

    def _forget_unclaimed(self, within: Transaction, ids: Sequence[str]) -> int:
        """Forget those of *ids* that no source is noted for any more."""
        unclaimed = [row[0] for row in within.rows(_UNCLAIMED, ids=list(ids))]
        return writing.forget(within, unclaimed, now_ms=self._place.now_ms())

    def _row(self, within: Transaction, scope: int, source: str) -> tuple[int, str | None]:
        digest = content_hash(source)
        if found := within.rows(_ROW, scope=scope, hash=digest):
            return found[0][0], found[0][1]
        now = self._place.now_ms()
        return within.one(_MAKE_ROW, scope=scope, source=source, hash=digest, now=now), None


def _rows(within: Transaction, scope: int, source: str) -> list[Imported]:
    return [Imported(*row) for row in within.rows(_ROWS, scope=scope, hash=content_hash(source))]


def _note(within: Transaction, number: int, rows: Sequence[Imported]) -> None:
    # One statement cannot change a row twice: of one id the last with a digest counts.
    merged: dict[str, Imported] = {}
    for each in rows:
        old = merged.get(each.id, each)
        merged[each.id] = Imported(each.id, each.passage or old.passage, each.given or old.given)
    if merged:
        within.run(
            _NOTE,
            number=number,
            ids=list(merged),
            passages=[each.passage for each in merged.values()],
            givens=[each.given for each in merged.values()],
        )
