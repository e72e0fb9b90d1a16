"""`SqliteMemory`: the `MemoryEngine` on one SQLite file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from clawstate.caches.ttl import TTLCache
from clawstate.clock import Clock, system_clock, to_ms
from clawstate.errors import StateError
from clawstate.interrupts import Mutex, load_modules
from clawstate.memory.backends.columns import embedder_from, record_of
from clawstate.memory.backends.sqlite import (
    forgetting,
    history,
    postings,
    stem_upkeep,
    subwords,
    upkeep,
    word_index,
    writing,
)
from clawstate.memory.backends.sqlite.conditions import sql_of
from clawstate.memory.backends.sqlite.embeddings import SqliteEmbeddings
from clawstate.memory.backends.sqlite.imports import SqliteImports
from clawstate.memory.backends.sqlite.listing import NEWEST, is_listed, newest
from clawstate.memory.backends.sqlite.past_state import PastStates
from clawstate.memory.backends.sqlite.reading import FindNearest, SqliteReading
from clawstate.memory.backends.sqlite.replacement import SqliteReplacement
from clawstate.memory.backends.sqlite.rows import SELECT, stored_embedder
from clawstate.memory.backends.sqlite.schema import MIGRATIONS, PART
from clawstate.memory.backends.sqlite.selections import Selections
from clawstate.memory.backends.sqlite.versions import SqliteVersions
from clawstate.memory.contract import INDEX, Capability, Embedded, EmbedderIdentity
from clawstate.memory.filters import Filter
from clawstate.memory.forgetting import Compaction, Forgotten
from clawstate.memory.reading import Reading
from clawstate.memory.records import MemoryRecord
from clawstate.memory.versions import USUAL_VERSIONS, VersionLimits
from clawstate.paging import Position
from clawstate.sqlite import Database, open_part
from clawstate.sqlite.blocks import Lent
from clawstate.sqlite.watched import WatchedPart

if TYPE_CHECKING:
    from clawstate.memory.vector_index.nearest import NearestSearch

_SELECTIONS = 8  # filters whose keys are remembered: of a million records each may take 8 MB
_MANY = 1_000  # changes that left bytes behind, after which they are cleared
_QUICK, _SMALL = 32 << 20, 8 << 20  # bytes that are written anew in some 0.2 s, and in 0.05
_BLOCKS = "clawstate.memory.backends.sqlite.vector_blocks"


class SqliteMemory:
    """
    Records, words and vectors in the database *place*.

    Under *vectors* releases with format 1 kept snapshots, which the first write removes.

    The file is made, 0600 in a directory of 0700, by the first write. Of a path *lock_timeout* and
    *present* are those of its `Database`. *before* is called before each use, and told whether that
    may write. Earlier *versions* within these limits are kept.
    """

    capabilities = frozenset({Capability.DURABLE, Capability.SHARED})

    def __init__(
        self,
        place: Database | Path,
        *,
        vectors: Path,
        clock: Clock = system_clock,
        lock_timeout: float = 30.0,
        present: Callable[[], object] = lambda: None,
        before: Callable[[bool], object] | None = None,
        versions: VersionLimits = USUAL_VERSIONS,
    ) -> None:
        self._vectors = vectors
        self._most_versions = versions
        self._clock = clock
        self._database = open_part(
            place,
            PART,
            MIGRATIONS,
            faults=_faults,
            lock_timeout=lock_timeout,
            present=present,
        )
        if before is not None:
            self._database = WatchedPart(self._database, before)
        self.path = self._database.path
        self.imports = SqliteImports(self._database, self._now, self._note_forgotten)
        self.embeddings = SqliteEmbeddings(self._database)
        self.replacement = SqliteReplacement(self._database, self._now, self._note_forgotten)
        self.versions = SqliteVersions(
            self._database, self._now, self._note_forgotten, limits=versions
        )
        self._mutex = Mutex()
        self._forgotten = 0
        self._words = word_index.WordCaches()
        self._listed: int | None = None  # the generation of the database whose index was seen
        self._nearest: tuple[tuple[object, ...], NearestSearch] | None = None
        self._selections: Selections = TTLCache(_SELECTIONS)
        self._past = PastStates()

    def reading(self, *, as_of: float | None = None) -> AbstractContextManager[Reading]:
        """Open one unchanging state for a search."""
        if as_of is not None:
            return self._past.reading(self._database, to_ms(as_of), now_ms=self._now())
        return Lent(self._database.reading(), self._reading)

    def embedder(self) -> EmbedderIdentity | None:
        """Return whose vectors are kept."""
        with self._database.reading() as connection:
            return stored_embedder(connection)

    def upsert(self, records: Sequence[Embedded], *, embedder: EmbedderIdentity | None) -> None:
        """Keep *records*, all or none."""
        if not records:
            return
        # The index belongs to no migration, as older releases need not know it; so whoever writes
        # looks once for each file that has had this name.
        with self._database.writing() as connection:
            if self._listed != self._database.generation:
                upkeep.remove_snapshots(self._vectors)
                if is_listed(connection):
                    self._listed = self._database.generation
                else:  # seen by the next write, if this one is committed
                    connection.execute(NEWEST)
            changed = writing.upsert(
                connection, records, embedder=embedder, versions=self._most_versions
            )
            is_due, is_behind = word_index.is_due(connection, batch=len(records))
        if is_due:
            self._fold_words()
        if is_behind:
            stem_upkeep.go_on(self._database)
        if changed:
            self._note_forgotten(changed)

    def get(self, ids: Sequence[str]) -> dict[str, MemoryRecord]:
        """Return those of *ids* that are kept and not expired."""
        with self._database.reading() as connection:
            return self._by_id(connection, ids)

    def swap(
        self, old: MemoryRecord, new: Embedded, *, embedder: EmbedderIdentity | None
    ) -> MemoryRecord | None:
        """Put *new* in the place of *old* if that is still what is kept, and return it."""
        with self._database.writing() as connection:
            # Compared as a whole, in the transaction that writes: a change by anybody is seen.
            if self._by_id(connection, [old.id]).get(old.id) != old:
                return None
            changed = writing.upsert(
                connection,
                [new],
                embedder=embedder,
                versions=self._most_versions,
                is_edit=True,
            )
            kept = self._by_id(connection, [old.id]).get(old.id, new.record)
        self._note_forgotten(changed)
        return kept

    def fill(self, records: Sequence[Embedded], *, embedder: EmbedderIdentity) -> int:
        """Give waiting records their vectors; return how many still waited."""
        with self._database.writing() as connection:
            return writing.fill(connection, records, embedder=embedder)

    def delete(self, ids: Sequence[str], *, for_good: bool = True) -> int:
        """Forget *ids*; return how many were kept."""
        # Opening for writing would make the file, and there is nothing to delete in it.
        if not self._database.exists():
            return 0
        with self._database.writing() as connection:
            forget = writing.forget_for_good if for_good else writing.forget
            count = forget(connection, ids, now_ms=self._now())
        self._note_forgotten(count)
        return count

    def forget(self, ids: Sequence[str]) -> list[Forgotten]:
        """Forget *ids* for good; return what a receipt tells of those that were kept."""
        if not self._database.exists():
            return []
        with self._database.writing() as connection:
            found = forgetting.describe(connection, ids)
            writing.forget_for_good(connection, ids, now_ms=self._now())
        self._note_forgotten(len(found))
        return found

    def uncompacted(self) -> int:
        """Return how many changes left bytes behind."""
        with self._database.reading() as connection:
            return forgetting.count_waiting(connection)

    def compact(
        self,
        *,
        patience: float,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Compaction:
        """Clear what forgotten and changed records left, and give back the space."""
        from clawstate.memory.backends.sqlite.compactor import compact  # noqa: PLC0415 - seldom

        self._past.clear()
        if not self._database.exists():
            return Compaction()
        return compact(self._database, patience=patience, progress=progress, cancelled=cancelled)

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

    def latest(self, chosen: Filter, after: Position | None, limit: int) -> list[MemoryRecord]:
        """Return the next *limit* records behind *after*, the one made last first."""
        with self._database.reading() as connection:
            return list(newest(connection, chosen, after, limit, now_ms=self._now()))

    def waiting(self, limit: int) -> list[MemoryRecord]:
        """Return records that wait for a vector."""
        with self._database.reading() as connection:
            sql = f"{SELECT} WHERE m.embedding IS NULL ORDER BY m.docno LIMIT ?"
            return [record_of(row) for row in connection.execute(sql, (limit,))]

    def stats(self) -> dict[str, object]:
        """Return counts and sizes."""
        with self._database.reading() as connection:
            return upkeep.stats(connection, self.path, now_ms=self._now())

    def purge(self) -> int:
        """Remove what has expired."""
        if not self._database.exists():
            return 0
        with self._database.writing() as connection:
            expired = upkeep.expired(connection, self._now())
            if expired:
                writing.touch(connection, list(expired.values()), now_ms=self._now())
            dropped, _ = history.drop(connection, list(expired.values()))
            dropped += history.drop_outdated(connection, self._now(), self._most_versions)
            if dropped:
                writing.add_to_meta(connection, writing.REWRITTEN, dropped)
            count = writing.remove(connection, list(expired), now_ms=self._now())
        self._note_forgotten(count + dropped)
        return count

    def optimize(
        self,
        *,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Merge the tail of the word index, and mend what it and that of the vectors lack."""
        del progress
        if not self._database.exists() or (cancelled is not None and cancelled()):
            return
        self._fold_words()
        stem_upkeep.finish(self._database)
        with self._database.writing() as connection:
            if upkeep.are_vectors_behind(connection):
                upkeep.mend_vectors(connection)
        upkeep.remove_snapshots(self._vectors)
        if self.uncompacted():
            self.compact(patience=0.0, cancelled=cancelled)

    def rebuild(self) -> None:
        """Make every derived index anew."""
        if not self._database.exists():
            return
        with self._database.writing() as connection:
            word_index.rebuild(connection)
            subwords.recount(connection)
            upkeep.drop_damaged_vectors(connection)
            upkeep.drop_lost_vectors(connection)
            upkeep.mend_vectors(connection, anew=True)
            writing.touch(connection, now_ms=self._now())
        with self._database.reading() as connection:
            breadth = self._needed_breadth(connection)
        if breadth is not None:
            with self._database.writing() as connection:
                upkeep.mend_vectors(connection, anew=True, breadth=breadth)

    def needs_optimizing(self) -> bool:
        """Tell whether the index of the vectors lacks any, or that of the words lacks stems."""
        with self._database.reading() as connection:
            return upkeep.is_behind(connection)

    def check(self, *, deep: bool) -> list[tuple[str, str]]:
        """Return what is wrong with the files, each with its code."""
        if not self._database.exists():
            return []
        with self._database.reading() as connection:
            found = upkeep.check(connection, deep=deep)
            if deep:
                wrong = upkeep.vector_faults(connection)
                if not wrong and self._needed_breadth(connection) is not None:
                    wrong = ["the vector index misses some of the nearest"]
                found += [(INDEX, each) for each in wrong]
            return found

    def close(self) -> None:
        """End the use of the database; what it forgot is cleared from a small file."""
        # A program that forgets and ends is often the last for long that opens the state.
        if self._forgotten:
            self._forgotten = 0
            with suppress(StateError):
                self._clear(_SMALL)
        self._database.close()

    def _note_forgotten(self, count: int) -> None:
        """Note that *count* changes left bytes behind; many are cleared at once, if it is quick."""
        self._past.clear()  # no search shall find there what was just forgotten
        self._forgotten += count
        if self._forgotten >= _MANY:
            self._forgotten = 1
            with suppress(StateError):  # the change itself is made
                self._clear(_QUICK)

    def _clear(self, limit: int) -> None:
        """Compact the database if it has at most *limit* bytes and anything waits for it."""
        if upkeep.size_on_disk(self.path) <= limit and self.uncompacted():
            self.compact(patience=0.0)

    def _fold_words(self) -> None:
        """Merge the tail of the word index into its blocks, unless somebody else is faster."""
        # In two steps, so that others may write while the merged blocks are worked out. Nothing is
        # lost where it fails: the tail is searched as it is, and the next write tries again.
        with suppress(StateError, ValueError):
            with self._database.reading() as connection:
                fold = word_index.plan_fold(connection)
            if fold is not None:
                with self._database.writing() as connection:
                    postings.SqlitePostings(connection).publish(fold)

    def _reading(self, connection: apsw.Connection) -> Reading:
        return SqliteReading(
            connection,
            nearest=self._nearest_in(connection),
            selections=self._selections,
            words=self._words,
            generation=self._database.generation,
            now_ms=self._now(),
        )

    def _nearest_in(self, connection: apsw.Connection) -> FindNearest:  # noqa: ARG002
        """Return what gives the vector leg of a search in the transaction of *connection*."""
        return self._nearest_search

    def _by_id(self, connection: apsw.Connection, ids: Sequence[str]) -> dict[str, MemoryRecord]:
        text, values = sql_of(Filter(namespace=None), scope=None, now_ms=self._now())
        sql = f"{SELECT} WHERE m.id IN (SELECT value FROM json_each(?)) AND {text}"
        rows = connection.execute(sql, (json.dumps(list(ids)), *values))
        return {record.id: record for record in map(record_of, rows)}

    def _needed_breadth(self, connection: apsw.Connection) -> int | None:
        """Return how many times as many candidates as now have to be compared, if that is so."""
        embedder = stored_embedder(connection)
        if embedder is None:
            return None
        load_modules("clawstate.memory.vector_index.nearest", _BLOCKS)
        from clawstate.memory.backends.sqlite.vector_blocks import IndexedVectors  # noqa: PLC0415
        from clawstate.memory.vector_index.nearest import NearestSearch  # noqa: PLC0415

        # One of its own, that knows nothing from before the index was made anew.
        return NearestSearch(embedder.dimensions).needed_breadth(IndexedVectors(connection))

    def _nearest_search(self, database_id: str, embedder: str) -> NearestSearch:
        # Numbers of records mean something in one file only: one put back from a backup, or another
        # embedder, must not meet vectors that are still in memory.
        key = (database_id, embedder, self._database.generation)
        with self._mutex:
            if self._nearest is None or self._nearest[0] != key:
                load_modules("clawstate.memory.vector_index.nearest")
                # numpy is first needed here: opening and searching words stay fast without it.
                from clawstate.memory.vector_index.nearest import NearestSearch  # noqa: PLC0415

                self._nearest = (key, NearestSearch(embedder_from(embedder).dimensions))
            return self._nearest[1]

    def _now(self) -> int:
        return to_ms(self._clock())


def _faults(connection: apsw.Connection) -> list[str]:
    found = [sentence for _, sentence in upkeep.check(connection, deep=True)]
    return found or upkeep.vector_faults(connection)
