"""`InMemoryMemory`: records in one process; the reference for other engines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from clawstate.clock import Clock, from_ms, system_clock, to_ms
from clawstate.errors import ClosedError
from clawstate.interrupts import Mutex
from clawstate.memory import rules
from clawstate.memory.analysis import count_words, fields_of
from clawstate.memory.backends.inmemory.embeddings import InMemoryEmbeddings
from clawstate.memory.backends.inmemory.imports import InMemoryImports
from clawstate.memory.backends.inmemory.postings import terms_of
from clawstate.memory.backends.inmemory.reading import InMemoryReading, Row, as_kept
from clawstate.memory.backends.inmemory.replacement import InMemoryReplacement
from clawstate.memory.backends.inmemory.versions import InMemoryVersions
from clawstate.memory.contract import (
    Capability,
    Embedded,
    EmbedderIdentity,
)
from clawstate.memory.filters import Filter
from clawstate.memory.forgetting import Compaction, Forgotten, text_digest
from clawstate.memory.matching import lets_through
from clawstate.memory.records import MemoryRecord, position_of
from clawstate.memory.validation import metadata_text
from clawstate.memory.versions import USUAL_VERSIONS, VersionLimits
from clawstate.paging import Position


class InMemoryMemory:
    """
    Records that go with the process; searches compare with every one of them. Safe for threads.

    Every change makes a new mapping of all rows, so a search sees one state without a lock.
    """

    capabilities: frozenset[Capability] = frozenset()

    def __init__(
        self, *, clock: Clock = system_clock, versions: VersionLimits = USUAL_VERSIONS
    ) -> None:
        self._clock = clock
        self._mutex = Mutex()
        self._limits = versions
        self._rows: Mapping[str, Row] | None = {}
        self._next = 1
        self._version = 0
        self._embedder: EmbedderIdentity | None = None
        self.embeddings = InMemoryEmbeddings(self._every)
        self.imports = InMemoryImports(
            self._every,
            self._forget,
            lambda ids: [each.row for each in self.versions.all_of(ids)],
            self._mutex,
        )
        self.replacement = InMemoryReplacement(self._every, self._switch, self._mutex)
        self.versions = InMemoryVersions(
            self._every,
            lambda given, embedder: self._upsert([given], embedder),
            self._take,
            self._give,
            mutex=self._mutex,
            clock=clock,
            limits=versions,
            in_use=lambda: self._embedder,
        )

    @contextmanager
    def reading(self, *, as_of: float | None = None) -> Iterator[InMemoryReading]:
        """Open one unchanging state for a search."""
        with self._mutex:
            rows = [*self._every().values()]
            if as_of is not None:
                rows = self.versions.rows_of(as_of)
            version, embedder = self._version, self._embedder
        yield InMemoryReading(rows, version=version, embedder=embedder, now=self._clock())

    def embedder(self) -> EmbedderIdentity | None:
        """Return whose vectors are kept."""
        self._every()
        return self._embedder

    def upsert(self, records: Sequence[Embedded], *, embedder: EmbedderIdentity | None) -> None:
        """Keep *records*, all or none."""
        if not records:
            return
        with self._mutex:
            self._upsert(records, embedder)

    def get(self, ids: Sequence[str]) -> dict[str, MemoryRecord]:
        """Return those of *ids* that are kept and not expired."""
        rows, now = self._every(), self._clock()
        found = (rows[each] for each in ids if each in rows)
        return {row.record.id: row.copy() for row in found if not row.has_expired(now)}

    def swap(
        self, old: MemoryRecord, new: Embedded, *, embedder: EmbedderIdentity | None
    ) -> MemoryRecord | None:
        """Put *new* in the place of *old* if that is still what is kept, and return it."""
        with self._mutex:
            if self.get([old.id]).get(old.id) != old:
                return None
            self._upsert([new], embedder, is_edit=True)
            return self.get([old.id]).get(old.id, new.record)

    def delete(self, ids: Sequence[str], *, for_good: bool = True) -> int:
        """Forget *ids*; return how many were kept."""
        with self._mutex:
            if for_good:
                self.imports.note_forgotten(ids)
            return self._forget(ids)

    def forget(self, ids: Sequence[str]) -> list[Forgotten]:
        """Forget *ids* for good; return what went of those that were kept."""
        with self._mutex:
            rows = self._every()
            kept = [rows[each] for each in dict.fromkeys(ids) if each in rows]
            found = [
                Forgotten(
                    row.record.id,
                    text_digest(row.record.text),
                    words=count_words(fields_of(row.record)),
                    tags=len(row.record.tags),
                    vector=row.vector is not None,
                    sources=self.imports.count_of(row.record.id),
                    versions=len(self.versions.all_of([row.record.id])),
                )
                for row in sorted(kept, key=lambda row: row.key)
            ]
            found += self._describe_past([each for each in ids if each not in rows])
            self.imports.note_forgotten(ids)
            self._forget(ids)
            return found

    def uncompacted(self) -> int:
        """Return 0: what is forgotten is gone."""
        self._every()
        return 0

    def compact(
        self,
        *,
        patience: float,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Compaction:
        """Forget the vectors of forgotten texts, and the notes of forgotten sources."""
        del patience, progress, cancelled
        with self._mutex:
            self._every()
            self.embeddings.forgotten.clear()
            self.imports.drop_forgotten()
        return Compaction()

    def page(self, chosen: Filter, after: str | None, limit: int) -> list[MemoryRecord]:
        """Return the next *limit* records in the order of ids."""
        rows, now = self._every(), self._clock()
        wanted = sorted(each for each in rows if each > (after or ""))
        found = (rows[each] for each in wanted if lets_through(chosen, rows[each].record, now=now))
        return [row.copy() for row, _ in zip(found, range(limit), strict=False)]

    def latest(self, chosen: Filter, after: Position | None, limit: int) -> list[MemoryRecord]:
        """Return the next *limit* records behind *after*, the one made last first."""
        now = self._clock()
        found = [
            row.copy()
            for row in self._every().values()
            if lets_through(chosen, row.record, now=now)
        ]
        behind = [each for each in found if after is None or position_of(each) > after]
        return sorted(behind, key=position_of)[:limit]

    def waiting(self, limit: int) -> list[MemoryRecord]:
        """Return records that wait for a vector."""
        rows = (row for row in self._every().values() if row.vector is None)
        return [row.copy() for row in sorted(rows, key=lambda row: row.key)[:limit]]

    def fill(self, records: Sequence[Embedded], *, embedder: EmbedderIdentity) -> int:
        """Give waiting records their vectors; return how many still waited."""
        with self._mutex:
            rows = dict(self._every())
            claimed = rules.claim(self._embedder, records, embedder)
            fresh = list(rules.fill(records, {key: row.known() for key, row in rows.items()}))
            for each, digest, known in fresh:
                record = rows.pop(known.id).record
                rows[known.id] = self._row(replace(each, record=record), digest)
            self._publish(rows, changed=bool(fresh))
            self._embedder = claimed
            return len(fresh)

    def purge(self) -> int:
        """Remove what has expired."""
        with self._mutex:
            now = self._clock()
            gone = [key for key, row in self._every().items() if row.has_expired(now)]
            self._remove(gone)
            self.versions.drop_outdated()
            return len(gone)

    def stats(self) -> dict[str, object]:
        """Return counts."""
        rows, now = self._every(), self._clock()
        records = [row.record for row in rows.values()]
        sources = {(each.namespace, each.source) for each in records if each.source is not None}
        namespaces = sorted({each.namespace for each in records})
        return {
            "records": len(records),
            "namespaces": {
                name: sum(each.namespace == name for each in records) for name in namespaces
            },
            "tags": len({tag for each in records for tag in each.tags}),
            "sources": len(sources | self.imports.all_sources()),
            "expired": sum(row.has_expired(now) for row in rows.values()),
            "waiting": sum(row.vector is None for row in rows.values()),
            "cached_vectors": len(self.embeddings.forgotten),
            "embedder": None if self._embedder is None else self._embedder.model,
            "dimensions": None if self._embedder is None else self._embedder.dimensions,
            **rules.replacement_stats(self.replacement.begun()),
        }

    def optimize(
        self,
        *,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Forget what `compact` would: there is no index."""
        del progress, cancelled
        self.compact(patience=0.0)

    def rebuild(self) -> None:
        """Do nothing: there is no index."""
        self._every()

    def needs_optimizing(self) -> bool:
        """Return False."""
        return False

    def check(self, *, deep: bool) -> list[tuple[str, str]]:  # noqa: ARG002 - nothing lies deeper here
        """Return nothing: there is no second form of anything that could differ."""
        self._every()
        return []

    def close(self) -> None:
        """Forget everything."""
        self._rows = None

    def _every(self) -> Mapping[str, Row]:
        if self._rows is None:
            raise ClosedError("the memory in this process")
        return self._rows

    def _upsert(
        self,
        given: Sequence[Embedded],
        embedder: EmbedderIdentity | None,
        *,
        is_edit: bool = False,
    ) -> None:
        given = rules.once(given)
        now = from_ms(rules.newest_ms(given))
        kept = self._every()
        claimed = rules.claim(self._embedder, given, embedder)
        ids = {each.record.id for each in given}
        rows = {key: row for key, row in kept.items() if key not in ids or not row.has_expired(now)}
        known = {key: row.known() for key, row in rows.items()}

        def last(namespace: str, thread: str) -> int | None:
            records = (row.record for row in rows.values())
            run = (each for each in records if (each.namespace, each.thread) == (namespace, thread))
            return max((each.position for each in run if each.position is not None), default=None)

        arrivals = list(rules.arrivals(given, known, last))
        self.versions.drop([key for key in ids if key in kept and key not in rows])
        if self._limits.most:
            imported = set() if is_edit else self.imports.claimed_ids()
            ended = [
                (rows[each.known.id], to_ms(each.place[1]))
                for each in arrivals
                if each.known is not None
                and each.known.id not in imported
                and rules.is_changed(rows[each.known.id].record, each)
            ]
            self.versions.keep(ended, "updated")
        for each in arrivals:
            created_at, updated_at, position = each.place
            record = replace(
                each.embedded.record,
                created_at=created_at,
                updated_at=updated_at,
                position=position,
                metadata=json.loads(metadata_text(each.embedded.record.metadata)),
                importance=float(each.embedded.record.importance),
            )
            if each.stays:
                rows[record.id] = replace(rows[record.id], record=record)
                continue
            whole = replace(each.embedded, record=record)
            old = rows.pop(record.id, None)
            if old is not None and each.keeps_vector:
                whole = replace(whole, vector=old.vector, subwords=old.subwords)
            rows[record.id] = self._row(whole, each.digest)
        self._remember(kept, rows)
        self._publish(rows, changed=True)
        self._embedder = claimed

    def _row(self, embedded: Embedded, digest: bytes) -> Row:
        vector = embedded.vector
        row = Row(
            self._next,
            embedded.record,
            digest,
            terms_of(fields_of(embedded.record)),
            None if vector is None else as_kept(vector),
            embedded.subwords,
        )
        self._next += 1
        return row

    def _forget(self, ids: Iterable[str]) -> int:
        count = self._remove(ids)
        self.versions.note_forgotten(count)
        return count

    def _remove(self, ids: Iterable[str]) -> int:
        kept, now, wanted = self._every(), self._clock(), list(ids)
        gone = set(wanted) & kept.keys()
        _, past = self.versions.drop(wanted)
        rows = {key: row for key, row in kept.items() if key not in gone}
        self._remember(kept, rows)
        self._publish(rows, changed=bool(gone))
        return sum(not kept[key].has_expired(now) for key in gone) + len(past)

    def _take(self, record_id: str) -> None:
        """Take the record out, and nothing that it was."""
        kept = self._every()
        rows = {key: row for key, row in kept.items() if key != record_id}
        self._remember(kept, rows)
        self._publish(rows, changed=True)

    def _give(self, row: Row) -> None:
        """Put a row back, under a new key."""
        whole = Embedded(row.record, row.vector, row.subwords)
        rows = {**self._every(), row.record.id: self._row(whole, row.digest)}
        self._publish(rows, changed=True)

    def _describe_past(self, ids: Sequence[str]) -> list[Forgotten]:
        """Return what a receipt tells of those of *ids* that others took the place of."""
        found: list[Forgotten] = []
        for each in sorted(set(ids)):
            past = [one for one in self.versions.all_of([each]) if one.row.record.id == each]
            if past:
                row = past[-1].row
                found.append(
                    Forgotten(
                        each,
                        text_digest(row.record.text),
                        tags=len(row.record.tags),
                        vector=row.vector is not None,
                        sources=self.imports.count_of(each),
                        versions=len(self.versions.all_of([each])),
                    )
                )
        return found

    def _remember(self, before: Mapping[str, Row], after: Mapping[str, Row]) -> None:
        """Keep the vectors of the texts that went."""
        left = {row.key for row in after.values()}
        for row in before.values():
            if row.key not in left and row.vector is not None:
                self.embeddings.forgotten[row.digest] = (row.vector, row.subwords)

    def _switch(self, rows: Mapping[str, Row], embedder: EmbedderIdentity) -> None:
        # Vectors of the embedder before must not come back with a text that was forgotten.
        self.embeddings.forgotten.clear()
        self._embedder = embedder
        self.versions.drop_vectors()
        self._publish(rows, changed=True)

    def _publish(self, rows: Mapping[str, Row], *, changed: bool) -> None:
        self.replacement.forget_all_but(rows)
        self._rows = rows
        self._version += changed
