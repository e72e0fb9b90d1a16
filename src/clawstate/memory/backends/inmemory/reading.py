"""What a search sees of records in one process: exact, and as slow as comparing with each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clawstate.clock import to_ms
from clawstate.memory.backends.inmemory.postings import InMemoryPostings, Terms
from clawstate.memory.contract import EmbedderIdentity
from clawstate.memory.filters import Filter
from clawstate.memory.matching import lets_through
from clawstate.memory.postings.scoring import Allowed
from clawstate.memory.postings.snapshot import Snapshot, SnapshotCache
from clawstate.memory.reading import (
    Comparison,
    Context,
    Evidence,
    Inquiry,
    Nearest,
    Neighbours,
    Reasons,
    Scores,
    Shortlist,
    Surroundings,
    Vectors,
    WordQuery,
)
from clawstate.memory.records import MemoryRecord, fields_text
from clawstate.memory.rules import Known
from clawstate.memory.validation import metadata_text
from clawstate.memory.word_search import WordSearch


@dataclass(frozen=True, slots=True)
class Row:
    """A record with what is derived from its text; the key stands for that text for ever."""

    key: int
    record: MemoryRecord
    digest: bytes
    words: Terms
    vector: NDArray[np.float32] | None
    subwords: NDArray[np.uint16] | None

    def has_expired(self, now: float) -> bool:
        """Tell whether the record's time is over."""
        # In whole milliseconds, as it is stored elsewhere: a sum of floats may be a hair beside.
        end = self.record.expires_at
        return end is not None and to_ms(end) <= to_ms(now)

    def copy(self) -> MemoryRecord:
        """Return the record, with metadata that a caller may change."""
        metadata = json.loads(metadata_text(self.record.metadata))
        return replace(self.record, metadata=metadata)

    def known(self) -> Known:
        """Return what the rules ask of a record."""
        record, end = self.record, self.record.expires_at
        return Known(
            record.id,
            self.key,
            record.namespace,
            self.digest,
            self.vector is not None,
            to_ms(record.created_at),
            record.thread,
            record.position,
            to_ms(record.updated_at),
            None if end is None else to_ms(end),
            fields_text(record),
        )


class InMemoryReading:
    """A `Reading` of *rows* at *now*."""

    def __init__(
        self,
        rows: Iterable[Row],
        *,
        version: int,
        embedder: EmbedderIdentity | None,
        now: float,
    ) -> None:
        self.version = version
        self.embedder = embedder
        self._rows = {row.key: row for row in sorted(rows, key=lambda row: row.key)}
        self._now = now
        self._postings: tuple[InMemoryPostings, Snapshot] | None = None

    def evidence(self, inquiry: Inquiry) -> Evidence:
        """Return candidates by words, and counts."""
        namespace = inquiry.chosen.namespace
        inside = [row for row in self._rows.values() if namespace in {None, row.record.namespace}]
        words: Scores = {}
        coverage, quoted = 0.0, None
        if inquiry.words is not None:
            words, coverage, quoted = self._words(inquiry, inquiry.words)
        counts = Counter(
            number for row in inside if row.subwords is not None for number in row.subwords.tolist()
        )
        return Evidence(
            words,
            coverage,
            quoted,
            any(row.record.thread is not None for row in inside),
            {each: counts[each] for each in inquiry.subwords if each in counts},
            counts.total(),
        )

    def nearest(
        self,
        vector: NDArray[np.float32],
        chosen: Filter,
        limit: int,
        also: AbstractSet[int] = frozenset(),
    ) -> Nearest:
        """Return the best records with their cosines."""
        chosen_rows = self._chosen(chosen)
        rows = [row for row in chosen_rows if row.vector is not None and row.vector.any()]
        keys = np.array([row.key for row in rows], np.int64)
        cosines = (row.vector @ vector for row in rows if row.vector is not None)
        found = np.fromiter(cosines, np.float32, len(rows))
        best = np.argsort(-found, kind="stable")[:limit]
        cosine = dict(zip(keys[best].tolist(), found[best].tolist(), strict=True))
        for key in sorted(also - cosine.keys()):
            if (other := self._rows[key].vector) is not None:
                cosine[key] = float(other @ vector)
        return Nearest(np.array([*cosine], np.int64), np.array([*cosine.values()], np.float32))

    def context(self, around: Surroundings) -> Context:
        """Return the nearest, neighbours, scores of single terms, openings and vectors."""
        near, candidates = None, set(around.keys)
        if around.vector is not None:
            near = self.nearest(around.vector, around.chosen, around.limit)
            candidates.update(near.keys.tolist())
        threaded = (key for key in candidates if self._rows[key].record.thread is not None)
        neighbours = {key: self._neighbours(key) for key in threaded}
        scored, every = set(around.keys), set(candidates)
        for key, each in neighbours.items():
            every |= {*each.before, *each.after}
            if key in around.keys:
                scored |= {*each.before, *each.after}
        search = self._search(around.words)[0]
        terms, phrases = search.lists(scored)
        rows = [self._rows[key] for key in sorted(every)]
        return Context(
            near,
            neighbours,
            search.terms,
            terms,
            phrases,
            openings={row.key: row.record.text[:400] for row in rows if row.record.thread},
            refused={
                row.key
                for row in rows
                if row.key not in candidates
                and not lets_through(around.chosen, row.record, now=self._now)
            },
            vectors=None if near is None else _vectors(rows),
        )

    def compare(self, best: Shortlist) -> Comparison:
        """Return what the best have in common, their vectors, and how their texts begin."""
        search = self._search(best.words)[0]
        texts = {key: self._rows[key].record.text for key in best.keys}
        common: Scores = {}
        vectors: Vectors | None = None
        if best.leaders and not search.is_name():
            leading = {key: texts[key] for key in best.leaders}
            common = search.common_terms(best, leading)
            if best.vectors:
                vectors = _vectors(self._rows[key] for key in sorted(best.keys))
        length = best.beginnings
        beginnings = {key: text[:length] for key, text in texts.items()} if length else {}
        return Comparison(common, vectors, beginnings)

    def fetch(self, keys: Sequence[int]) -> list[MemoryRecord]:
        """Return the records of *keys* in their order."""
        return [self._rows[key].copy() for key in keys]

    def reasons(self, words: WordQuery | None, keys: AbstractSet[int]) -> Reasons:
        """Return the records of *keys*, what each part of *words* counts in them, and vectors."""
        ordered = sorted(keys)
        parts = [] if words is None else self._search(words)[0].parts(ordered)
        records = dict(zip(ordered, self.fetch(ordered), strict=True))
        return Reasons(records, parts, _vectors(self._rows[key] for key in ordered))

    def keys(self, chosen: Filter) -> list[int]:
        """Return the keys of what *chosen* lets through, of expired records too."""
        rows = self._rows.values()
        return [row.key for row in rows if lets_through(chosen, row.record, now=0)]

    def _chosen(self, chosen: Filter) -> list[Row]:
        rows = self._rows.values()
        return [row for row in rows if lets_through(chosen, row.record, now=self._now)]

    def _words(
        self, inquiry: Inquiry, query: WordQuery
    ) -> tuple[Scores, float, NDArray[np.int64] | None]:
        search, snapshot = self._search(query)
        allowed = np.array([row.key for row in self._chosen(inquiry.chosen)], np.int64)
        quoted = search.required()
        if quoted is not None and len(quoted):
            docs = np.intersect1d(allowed, quoted)
            found, coverage = search.best(Allowed(snapshot, docs=docs), inquiry.limit)
            if found:
                return found, coverage, quoted
        return *search.best(Allowed(snapshot, docs=allowed), inquiry.limit), None

    def _search(self, query: WordQuery) -> tuple[WordSearch, Snapshot]:
        if self._postings is None:
            store = InMemoryPostings({key: row.words for key, row in self._rows.items()})
            self._postings = store, SnapshotCache().snapshot(store, None)
        store, snapshot = self._postings
        return WordSearch(store, snapshot, query), snapshot

    def _neighbours(self, key: int) -> Neighbours:
        one = self._rows[key].record
        run = sorted(
            (row.record.position or 0, row.key)
            for row in self._rows.values()
            if (row.record.namespace, row.record.thread) == (one.namespace, one.thread)
        )
        keys = [each for _, each in run]
        at = keys.index(key)
        return Neighbours(tuple(keys[max(0, at - 2) : at][::-1]), tuple(keys[at + 1 : at + 3]))


def _vectors(rows: Iterable[Row]) -> Vectors:
    kept = [row for row in rows if row.vector is not None]
    lengths = [
        len(row.record.text) // 4 if row.subwords is None else len(row.subwords) for row in kept
    ]
    return Vectors(
        np.array([row.key for row in kept], np.int64),
        np.array([row.vector for row in kept], np.float32).reshape(len(kept), -1)
        if kept
        else np.empty((0, 0), np.float32),
        np.array(lengths, np.int64),
    )


def as_kept(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return *vector* as it is kept: in float16, as on disk."""
    return vector.astype(np.float16).astype(np.float32)
