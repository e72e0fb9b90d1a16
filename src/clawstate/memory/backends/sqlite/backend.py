"""`SqliteMemory`: the `MemoryBackend` on one SQLite file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import apsw

from clawstate.clock import Clock, system_clock, to_ms
from clawstate.interrupts import Mutex, Use, load_modules
from clawstate.memory.backends.sqlite import imports, upkeep, writing
from clawstate.memory.backends.sqlite.conditions import sql_of
from clawstate.memory.backends.sqlite.rows import SELECT, record_of, unpack
from clawstate.memory.backends.sqlite.schema import MIGRATIONS
from clawstate.memory.backends.sqlite.view import SqliteView
from clawstate.memory.contract import Embedded, EmbedderIdentity, MemoryView
from clawstate.memory.filters import Filter
from clawstate.memory.records import MemoryRecord
from clawstate.sqlite import Database
from clawstate.sqlite.blocks import Reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clawstate.memory.backends.sqlite.nearest import NearestSearch


class SqliteMemory:
    """
    Records, words and vectors in the file *path*; snapshots of vectors under *vectors*.

    The file is made, 0600 in a directory of 0700, by the first write.
    """

    def __init__(
        self,
        path: Path,
        *,
        vectors: Path,
        clock: Clock = system_clock,
        lock_timeout: float = 30.0,
        present: Callable[[], object] = lambda: None,
    ) -> None:
        self.path = path
        self._vectors = vectors
        self._clock = clock
        self._database = Database(
            path, migrations=MIGRATIONS, lock_timeout=lock_timeout, present=present
        )
        self._mutex = Mutex()
        self._nearest: tuple[tuple[object, ...], NearestSearch] | None = None

    def view(self) -> _Viewing:
        """Open one unchanging state for a search."""
        return _Viewing(self._database.reading(), self._view)

    def embedder(self) -> EmbedderIdentity | None:
        """Return whose vectors are kept."""
        with self._database.reading() as connection:
            return writing.stored_embedder(connection)

    def upsert(self, records: Sequence[Embedded], *, embedder: EmbedderIdentity | None) -> None:
        """Keep *records*, all or none."""
        if not records:
            return
        with self._database.writing() as connection:
            writing.upsert(connection, records, embedder=embedder)

    def vectors_of(
        self, hashes: Sequence[bytes]
    ) -> dict[bytes, tuple[NDArray[np.float32], NDArray[np.uint16] | None]]:
        """Return vectors of texts that are or were kept."""
        load_modules("numpy")
        import numpy as np  # noqa: PLC0415 - costs 170 ms, and opening does without

        wanted = json.dumps([digest.hex() for digest in hashes])
        found: dict[bytes, tuple[NDArray[np.float32], NDArray[np.uint16] | None]] = {}
        with self._database.reading() as connection:
            for sql in (upkeep.VECTORS_CACHED, upkeep.VECTORS_KEPT):
                for digest, vector, subwords in connection.execute(sql, (wanted,)):
                    numbers = None if subwords is None else np.frombuffer(subwords, "<u2")
                    found[digest] = (unpack([vector])[0], numbers)
        return found

    def get(self, ids: Sequence[str]) -> dict[str, MemoryRecord]:
        """Return those of *ids* that are kept and not expired."""
        with self._database.reading() as connection:
            return self._by_id(connection, ids)

    def swap(
        self, old: MemoryRecord, new: Embedded, *, embedder: EmbedderIdentity | None
    ) -> MemoryRecord | None:
        """Put *new* in the place of *old* if that is still what is kept, and return it."""
        with self._database.writing() as connection:
            if self._by_id(connection, [old.id]).get(old.id) != old:
                return None
            writing.upsert(connection, [new], embedder=embedder)
            return self._by_id(connection, [old.id]).get(old.id, new.record)

    def fill(self, records: Sequence[Embedded], *, embedder: EmbedderIdentity) -> int:
        """Give waiting records their vectors; return how many still waited."""
        with self._database.writing() as connection:
            return writing.fill(connection, records, embedder=embedder)

    def delete(self, ids: Sequence[str]) -> int:
        """Forget *ids*; return how many were kept."""
        if not self._database.exists():
            return 0
        with self._database.writing() as connection:
            return self._remove(connection, ids)

    def page(self, chosen: Filter, after: str | None, limit: int) -> list[MemoryRecord]:
        """Return the next *limit* records in the order of ids."""
        with self._database.reading() as connection:
            scope = None
            if chosen.namespace is not None:
                scope = writing.scope_of(connection, chosen.namespace)
                if scope is None:
                    return []
            text, values = sql_of(chosen, scope=scope, now_ms=self._now())
            sql = f"{SELECT} WHERE m.id > ? AND {text} ORDER BY m.id LIMIT ?"
            rows = connection.execute(sql, (after or "", *values, limit))
            return [record_of(row) for row in rows]

    def import_marks(self, namespace: str) -> dict[str, str]:
        """Return the sources imported whole, each with its fingerprint."""
        with self._database.reading() as connection:
            return imports.marks(connection, namespace)

    def begin_import(self, namespace: str, source: str) -> tuple[set[str], set[str]]:
        """Note that *source* is being imported; return the ids known from it, and the forgotten."""
        with self._database.writing() as connection:
            return imports.begin(connection, namespace, source, now_ms=self._now())

    def note_import(self, namespace: str, source: str, ids: Sequence[str]) -> None:
        """Note that *ids* come from *source*."""
        with self._database.writing() as connection:
            imports.note(connection, namespace, source, ids, now_ms=self._now())

    def finish_import(
        self, namespace: str, source: str, *, fingerprint: str | None, vanished: Sequence[str]
    ) -> int:
        """Note *source* as imported and forget what *vanished* from it, in one step."""
        with self._database.writing() as connection:
            imports.finish(
                connection,
                namespace,
                source,
                fingerprint=fingerprint,
                vanished=vanished,
                now_ms=self._now(),
            )
            return self._remove(connection, imports.unclaimed(connection, vanished))

    def waiting(self, limit: int) -> list[MemoryRecord]:
        """Return records that wait for a vector."""
        with self._database.reading() as connection:
            sql = f"{SELECT} WHERE m.embedding IS NULL ORDER BY m.docno LIMIT ?"
            return [record_of(row) for row in connection.execute(sql, (limit,))]

    def stats(self) -> dict[str, object]:
        """Return counts and sizes."""
        with self._database.reading() as connection:
            return upkeep.stats(connection, self.path, self._vectors, now_ms=self._now())

    def purge(self) -> int:
        """Remove what has expired."""
        if not self._database.exists():
            return 0
        with self._database.writing() as connection:
            docnos = upkeep.expired(connection, self._now())
            if docnos:
                writing.touch(connection, now_ms=self._now())
            return writing.remove(connection, docnos, now_ms=self._now())

    def optimize(
        self,
        *,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Merge the word index, and build or extend snapshots of large namespaces."""
        if not self._database.exists():
            return
        with self._database.writing() as connection:
            upkeep.merge_words(connection)
        with self._database.reading() as connection:
            nearest = self._nearest_search(connection)
            if nearest is not None:
                upkeep.build_snapshots(connection, nearest, progress=progress, cancelled=cancelled)

    def rebuild(self) -> None:
        """Make every derived index anew: words in one step, vectors by the next `optimize`."""
        if not self._database.exists():
            return
        with self._database.writing() as connection:
            upkeep.rebuild_words(connection)
            writing.touch(connection, now_ms=self._now())
        upkeep.drop_snapshots(self._vectors)

    def needs_optimizing(self) -> bool:
        """Tell whether a large namespace has no snapshot, or a long tail behind it."""
        with self._database.reading() as connection:
            if not upkeep.large_scopes(connection):
                return False
            nearest = self._nearest_search(connection)
            return nearest is not None and bool(upkeep.outgrown(connection, nearest))

    def findings(self, *, deep: bool) -> list[str]:
        """Return what is wrong with the files."""
        if not self._database.exists():
            return []
        with self._database.reading() as connection:
            found = upkeep.findings(connection, deep=deep)
            nearest = self._nearest_search(connection)
            if nearest is not None and deep:
                found += upkeep.snapshot_findings(connection, nearest)
            return found

    def close(self) -> None:
        """Close the database; snapshots go with their last reader."""
        self._database.close()

    def _view(self, connection: apsw.Connection) -> MemoryView:
        return SqliteView(
            connection,
            nearest=self._nearest_search,
            generation=self._database.generation,
            now_ms=self._now(),
        )

    def _by_id(self, connection: apsw.Connection, ids: Sequence[str]) -> dict[str, MemoryRecord]:
        text, values = sql_of(Filter(namespace=None), scope=None, now_ms=self._now())
        sql = f"{SELECT} WHERE m.id IN (SELECT value FROM json_each(?)) AND {text}"
        rows = connection.execute(sql, (json.dumps(list(ids)), *values))
        return {record.id: record for record in map(record_of, rows)}

    def _remove(self, connection: apsw.Connection, ids: Sequence[str]) -> int:
        """Remove *ids*; return how many of them had not expired before."""
        now_ms = self._now()
        sql = """
            SELECT docno, coalesce(expires_at > ?, 1) FROM memories
            WHERE id IN (SELECT value FROM json_each(?))
        """
        rows = list(connection.execute(sql, (now_ms, json.dumps(list(ids)))))
        if writing.remove(connection, [row[0] for row in rows], now_ms=now_ms):
            writing.touch(connection, now_ms=now_ms)
        return sum(row[1] for row in rows)

    def _nearest_search(self, connection: apsw.Connection) -> NearestSearch | None:
        embedder = writing.stored_embedder(connection)
        if embedder is None:
            return None
        database_id = connection.execute("SELECT value FROM meta WHERE key = 'database_id'").get
        key = (database_id, embedder, self._database.generation)
        with self._mutex:
            if self._nearest is None or self._nearest[0] != key:
                self._nearest = (key, _nearest_search(self._vectors, database_id, embedder))
            return self._nearest[1]

    def _now(self) -> int:
        return to_ms(self._clock())


class _Viewing:
    """A `with` block that looks at one state; a generator would outlive one that is cut off."""

    def __init__(self, reading: Reading, view: Callable[[apsw.Connection], MemoryView]) -> None:
        self._reading = reading
        self._view = view

    def __enter__(self) -> MemoryView:
        connection = self._reading.enter(Use())
        try:
            return self._view(connection)
        except BaseException:
            self._reading.__exit__(*sys.exc_info())
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reading.__exit__(kind, error, trace)


def _nearest_search(directory: Path, database_id: str, embedder: EmbedderIdentity) -> NearestSearch:
    # numpy is first needed here: opening a state and searching words stay fast without it.
    load_modules("clawstate.memory.backends.sqlite.nearest")
    from clawstate.memory.backends.sqlite.nearest import NearestSearch  # noqa: PLC0415

    return NearestSearch(directory, database_id=database_id, embedder=embedder)
