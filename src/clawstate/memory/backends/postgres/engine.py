"""`PostgresMemory`: the `MemoryEngine` on PostgreSQL, for any number of machines."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from clawstate.clock import Clock, system_clock, to_ms
from clawstate.errors import StateError
from clawstate.memory.backends.columns import record_of, subwords_of, unpack
from clawstate.memory.backends.postgres import (
    counts,
    folds,
    forgetting,
    history,
    upkeep,
    vectors,
    words,
    writing,
)
from clawstate.memory.backends.postgres.caches import Caches
from clawstate.memory.backends.postgres.conditions import sql_of
from clawstate.memory.backends.postgres.imports import PostgresImports
from clawstate.memory.backends.postgres.past import PastStates
from clawstate.memory.backends.postgres.place import Place
from clawstate.memory.backends.postgres.reading import PostgresReading
from clawstate.memory.backends.postgres.replacement import PostgresReplacement
from clawstate.memory.backends.postgres.rows import LIVE, SELECT, stored_embedder
from clawstate.memory.backends.postgres.schema import MIGRATIONS, PART
from clawstate.memory.backends.postgres.versions import PostgresVersions
from clawstate.memory.contract import (
    Capability,
    Embedded,
    EmbedderIdentity,
    KnownVector,
)
from clawstate.memory.filters import Filter
from clawstate.memory.forgetting import Compaction, Forgotten
from clawstate.memory.reading import Reading
from clawstate.memory.records import MemoryRecord
from clawstate.memory.versions import USUAL_VERSIONS, VersionLimits
from clawstate.paging import Position
from clawstate.postgres.blocks import Lent
from clawstate.postgres.database import Database
from clawstate.postgres.part import Part
from clawstate.postgres.transaction import Note, Transaction

_MANY = 1_000  # changes that left bytes behind, after which they are cleared
_LOOK_AT = 128  # records that this process adds before it looks whether the tail is long
_KNOWN = """
SELECT content_hash, embedding, subwords FROM clawstate.memory_kept_vectors
WHERE tenant = %(tenant)s AND content_hash = ANY(%(hashes)s::bytea[])
UNION ALL
SELECT k.hash, m.embedding, m.subwords FROM unnest(%(hashes)s::bytea[]) AS k (hash)
CROSS JOIN LATERAL (SELECT embedding, subwords FROM clawstate.memory_records
    WHERE tenant = %(tenant)s AND content_hash = k.hash AND embedding IS NOT NULL LIMIT 1) m
"""  # of many records with one text one is enough: an import of repetitive text has thousands
_BY_ID = f"{SELECT} WHERE m.tenant = %(tenant)s AND m.id = ANY(%(ids)s::text[]) AND {LIVE}"
_WAITING = f"""
{SELECT} WHERE m.tenant = %(tenant)s AND m.embedding IS NULL ORDER BY m.docno LIMIT %(limit)s
"""
_PAGE = f"""
{SELECT} WHERE m.tenant = %(tenant)s AND m.id > %(after)s
    AND (%(namespace)s::text IS NULL OR s.namespace = %(namespace)s) AND {{}}
ORDER BY m.id LIMIT %(limit)s
"""
# Of one moment those behind the id, then all that are older.
_LATEST = f"""
{SELECT} WHERE m.tenant = %(tenant)s
    AND (%(namespace)s::text IS NULL OR s.namespace = %(namespace)s)
    AND (m.created_at < %(moment)s OR (m.created_at = %(moment)s AND m.id > %(last)s)) AND {{}}
ORDER BY m.created_at DESC, m.id LIMIT %(limit)s
"""
_EXPIRED = """
SELECT docno, id FROM clawstate.memory_records
WHERE tenant = %(tenant)s AND expires_at <= %(now)s FOR UPDATE
"""


class PostgresMemory:
    """
    Records, words and vectors of *tenant* in *database*.

    Its tables are made by the first write. *note* tells the feed what moved. So many earlier
    *versions* of a record are kept.
    """

    capabilities = frozenset({Capability.DURABLE, Capability.SHARED})

    def __init__(
        self,
        database: Database,
        *,
        tenant: str = "default",
        clock: Clock = system_clock,
        versions: VersionLimits = USUAL_VERSIONS,
        note: Note = lambda *_: None,
    ) -> None:
        self._clock = clock
        self._most_versions = versions
        self._part = Part(database, PART, MIGRATIONS, tenant=tenant)
        self._place = Place(self._part, now_ms=self._now, note=note, written=self._note_forgotten)
        self._caches = Caches()
        self._past = PastStates()
        self._forgotten = 0
        self._added = 0
        self.imports = PostgresImports(self._place)
        self.embeddings = PostgresEmbeddings(self._place)
        self.replacement = PostgresReplacement(self._place)
        self.versions = PostgresVersions(self._place, limits=versions)

    def reading(self, *, as_of: float | None = None) -> AbstractContextManager[Reading]:
        """Open one unchanging state for a search."""
        if as_of is not None:
            return self._past.reading(self._place, to_ms(as_of), now_ms=self._now())
        return Lent(
            self._part.reading(begins=False),
            lambda connection: PostgresReading(
                connection, self._part.tenant, caches=self._caches, now_ms=self._now()
            ),
        )

    def embedder(self) -> EmbedderIdentity | None:
        """Return whose vectors are kept."""
        return self._place.read(stored_embedder)

    def upsert(self, records: Sequence[Embedded], *, embedder: EmbedderIdentity | None) -> None:
        """Keep *records*, all or none."""
        if not records:
            return
        changed = self._place.change(
            lambda within: writing.upsert(
                within, records, embedder=embedder, versions=self._most_versions
            ),
            in_order=any(each.record.thread is not None for each in records),
        )
        self._fold_words(len(records))
        if changed:
            self._note_forgotten(changed)

    def get(self, ids: Sequence[str]) -> dict[str, MemoryRecord]:
        """Return those of *ids* that are kept and not expired."""
        rows = self._place.rows(_BY_ID, ids=list(ids), now=self._now())
        return {record.id: record for record in map(record_of, rows)}

    def swap(
        self, old: MemoryRecord, new: Embedded, *, embedder: EmbedderIdentity | None
    ) -> MemoryRecord | None:
        """Put *new* in the place of *old* if that is still what is kept, and return it."""

        def change(within: Transaction) -> tuple[MemoryRecord, int] | None:
            # Compared as a whole, in the transaction that writes: a change by anybody is seen.
            if self._by_id(within, [old.id]).get(old.id) != old:
                return None
            changed = writing.upsert(
                within, [new], embedder=embedder, versions=self._most_versions, is_edit=True
            )
            return self._by_id(within, [old.id]).get(old.id, new.record), changed

        done = self._place.change(change, in_order=new.record.thread is not None)
        if done is None:
            return None
        self._note_forgotten(done[1])
        return done[0]

    def fill(self, records: Sequence[Embedded], *, embedder: EmbedderIdentity) -> int:
        """Give waiting records their vectors; return how many still waited."""
        count = self._place.change(lambda within: writing.fill(within, records, embedder=embedder))
        self._fold_words(count)
        return count

    def delete(self, ids: Sequence[str], *, for_good: bool = True) -> int:
        """Forget *ids*; return how many were kept."""
        # A change would make the tables, and there is nothing to delete in them.
        if not self._place.exists():
            return 0
        forget = writing.forget_for_good if for_good else writing.forget
        count = self._place.change(lambda within: forget(within, ids, now_ms=self._now()))
        self._note_forgotten(count)
        return count

    def forget(self, ids: Sequence[str]) -> list[Forgotten]:
        """Forget *ids* for good; return what a receipt tells of those that were kept."""
        if not self._place.exists():
            return []

        def change(within: Transaction) -> list[Forgotten]:
            found = forgetting.describe(within, ids)
            writing.forget_for_good(within, ids, now_ms=self._now())
            return found

        found = self._place.change(change)
        self._note_forgotten(len(found))
        return found

    def uncompacted(self) -> int:
        """Return how many changes left bytes behind."""
        return self._place.read(forgetting.count_waiting)

    def compact(
        self,
        *,
        patience: float,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Compaction:
        """Clear what forgotten and changed records left, and give back the space."""
        self._past.clear()
        if not self._place.exists():
            return Compaction()
        return forgetting.compact(
            self._place, patience=patience, progress=progress, cancelled=cancelled
        )

    def page(self, chosen: Filter, after: str | None, limit: int) -> list[MemoryRecord]:
        """Return the next *limit* records in the order of ids."""
        text, values = sql_of(chosen, scope=None, now_ms=self._now())
        rows = self._place.rows(
            _PAGE.format(text),
            namespace=chosen.namespace,
            after=after or "",
            limit=limit,
            **values,
        )
        return [*map(record_of, rows)]

    def latest(self, chosen: Filter, after: Position | None, limit: int) -> list[MemoryRecord]:
        """Return the next *limit* records behind *after*, the one made last first."""
        text, values = sql_of(chosen, scope=None, now_ms=self._now())
        rank, last = after or (float("-inf"), "")
        # Where it begins is behind all moments that there are.
        moment = min(-rank, float(1 << 62))
        rows = self._place.rows(
            _LATEST.format(text),
            namespace=chosen.namespace,
            moment=int(moment),
            last=last,
            limit=limit,
            **values,
        )
        return [*map(record_of, rows)]

    def waiting(self, limit: int) -> list[MemoryRecord]:
        """Return records that wait for a vector."""
        return [*map(record_of, self._place.rows(_WAITING, limit=limit))]

    def stats(self) -> dict[str, object]:
        """Return counts and sizes."""
        return self._place.read(lambda within: upkeep.stats(within, now_ms=self._now()))

    def purge(self) -> int:
        """Remove what has expired."""
        if not self._place.exists():
            return 0

        def change(within: Transaction) -> tuple[int, int]:
            now_ms = self._now()
            expired: dict[int, str] = dict(within.rows(_EXPIRED, now=now_ms))
            if expired:
                within.note(PART, list(expired.values()))
            dropped, _ = history.drop(within, list(expired.values()))
            dropped += history.drop_outdated(within, now_ms, self._most_versions)
            if dropped:
                words.touch(within, now_ms=now_ms, rewritten=dropped)
            return writing.remove(within, list(expired), now_ms=now_ms), dropped

        count, dropped = self._place.change(change)
        self._note_forgotten(count + dropped)
        return count

    def optimize(
        self,
        *,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Merge the tail of the words, and mend the vectors if any are missing."""
        del progress
        if not self._place.exists() or (cancelled is not None and cancelled()):
            return
        folds.fold(self._place)
        if self._place.read(vectors.faults):
            self._place.change(vectors.rebuild, alone=True)
        self._index_vectors()
        if self.uncompacted():
            self.compact(patience=0.0, cancelled=cancelled)

    def rebuild(self) -> None:
        """Make every derived index anew."""
        if not self._place.exists():
            return

        def change(within: Transaction) -> None:
            folds.rebuild(within)
            counts.recount(within)
            upkeep.drop_damaged(within)
            vectors.rebuild(within)
            words.touch(within, now_ms=self._now())

        self._place.change(change, alone=True)

    def needs_optimizing(self) -> bool:
        """Tell whether the tail of the words is long."""
        return self._place.read(folds.is_due)

    def check(self, *, deep: bool) -> list[tuple[str, str]]:
        """Return what is wrong with the tables, each with its code."""
        if not self._place.exists():
            return []
        return self._place.read(lambda within: upkeep.check(within, deep=deep))

    def close(self) -> None:
        """End the use of the database; what this process forgot is cleared from small tables."""
        # A program that forgets and ends is often the last for long that opens the state.
        if self._forgotten:
            self._forgotten = 0
            with contextlib.suppress(StateError):
                self._clear()
        self._part.close()

    def _note_forgotten(self, count: int) -> None:
        """Note that *count* changes left bytes behind; many are cleared at once, if it is quick."""
        self._past.clear()  # no search shall find there what was just forgotten
        self._forgotten += count
        if self._forgotten >= _MANY:
            self._forgotten = 1
            with contextlib.suppress(StateError):  # the change itself is made
                self._clear()

    def _clear(self) -> None:
        if self._place.read(forgetting.is_small) and self.uncompacted():
            self.compact(patience=0.0)

    def _fold_words(self, count: int) -> None:
        """Merge the tail of the words if it is long, unless somebody else does."""
        self._added += count
        if self._added < _LOOK_AT:
            return
        self._added = 0
        # Nothing is lost where it fails: the tail is searched as it is, and others try again.
        with contextlib.suppress(StateError, ValueError):
            if self._place.read(folds.is_due):
                folds.fold(self._place)
                self._index_vectors()

    def _index_vectors(self) -> None:
        """Make the index of the vectors once there are enough that it is of use."""
        if self._place.read(lambda within: vectors.needs_index(within, vectors.FEW)):
            self._place.change(vectors.make_index, alone=True)

    def _by_id(self, within: Transaction, ids: Sequence[str]) -> dict[str, MemoryRecord]:
        rows = within.rows(_BY_ID, ids=list(ids), now=self._now())
        return {record.id: record for record in map(record_of, rows)}

    def _now(self) -> int:
        return to_ms(self._clock())


class PostgresEmbeddings:
    """The `EmbeddingCache` of a memory."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def find(self, hashes: Sequence[bytes]) -> dict[bytes, KnownVector]:
        """Return vectors of texts that are or were kept."""
        rows = self._place.rows(_KNOWN, hashes=list(dict.fromkeys(hashes)))
        return {digest: (unpack([vector])[0], subwords_of(blob)) for digest, vector, blob in rows}
