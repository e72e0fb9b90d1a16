"""What a search sees of records in one process: exact, and as slow as comparing with each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clawstate.clock import to_ms
from clawstate.memory.contract import (
    Context,
    Evidence,
    Inquiry,
    Nearest,
    Neighbours,
    Scores,
    Surroundings,
    Vectors,
)
from clawstate.memory.filters import Filter, lets_through
from clawstate.memory.query_words import telling
from clawstate.memory.records import MemoryRecord, fields_text
from clawstate.memory.rules import Known
from clawstate.memory.validation import metadata_text
from clawstate.sqlite.bm25 import Bm25, Phrase
from clawstate.sqlite.words import stems

_MARKS = 1  # tokens of a row besides its words, as in SQLite: its namespace


@dataclass(frozen=True, slots=True)
class Row:
    """A record with what is derived from its text; the key stands for that text for ever."""

    key: int
    record: MemoryRecord
    digest: bytes
    words: Phrase
    vector: NDArray[np.float32] | None
    subwords: NDArray[np.uint16] | None

    def has_expired(self, now: float) -> bool:
        """Tell whether the record's time is over."""
        # In whole milliseconds, as it is stored elsewhere: a sum of floats may be a hair beside.
        end = self.record.expires_at
        return end is not None and to_ms(end) <= to_ms(now)

    def told(self) -> MemoryRecord:
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

    def __init__(self, rows: Iterable[Row], *, version: int, now: float) -> None:
        self.version = version
        self._rows = {row.key: row for row in sorted(rows, key=lambda row: row.key)}
        self._now = now

    def evidence(self, inquiry: Inquiry) -> Evidence:
        """Return BM25 sums by terms and by phrases, and counts."""
        namespace = inquiry.chosen.namespace
        inside = [row for row in self._rows.values() if namespace in {None, row.record.namespace}]
        terms, phrases = self._candidates(inquiry)
        counts = Counter(
            number for row in inside if row.subwords is not None for number in row.subwords.tolist()
        )
        return Evidence(
            terms,
            phrases,
            any(row.record.thread is not None for row in inside),
            {each: counts[each] for each in inquiry.subwords if each in counts},
            counts.total(),
        )

    def nearest(self, vector: NDArray[np.float32], chosen: Filter, limit: int) -> Nearest:
        """Return the best records with their cosines."""
        chosen_rows = self._chosen(chosen)
        rows = [row for row in chosen_rows if row.vector is not None and row.vector.any()]
        keys = np.array([row.key for row in rows], np.int64)
        cosines = (row.vector @ vector for row in rows if row.vector is not None)
        found = np.fromiter(cosines, np.float32, len(rows))
        best = np.argsort(-found, kind="stable")[:limit]
        return Nearest(keys[best], found[best])

    def context(self, around: Surroundings) -> Context:
        """Return neighbours, scores of single terms, openings and vectors."""
        neighbours: dict[int, Neighbours] = {}
        if around.neighbours:
            threaded = (key for key in around.keys if self._rows[key].record.thread is not None)
            neighbours = {key: self._neighbours(key) for key in threaded}
        scored, every = set(around.scored), set(around.keys)
        for key, each in neighbours.items():
            every |= {*each.before, *each.after}
            if key in around.scored:
                scored |= {*each.before, *each.after}
        index = self._index()

        def alone(words: str) -> Scores:
            found = index.scores(tuple(stems(words)))
            return {key: score for key, score in found.items() if key in scored}

        rows = [self._rows[key] for key in sorted(every)]
        return Context(
            neighbours,
            [alone(term) for term in around.words.terms],
            [alone(" ".join(pair)) for pair in around.words.phrases],
            openings={row.key: row.record.text[:48] for row in rows if row.record.thread},
            refused={
                row.key
                for row in rows
                if row.key not in around.keys
                and not lets_through(around.chosen, row.record, now=self._now)
            },
            vectors=_vectors(rows) if around.vectors else None,
        )

    def fetch(self, keys: Sequence[int]) -> list[MemoryRecord]:
        """Return the records of *keys* in their order."""
        return [self._rows[key].told() for key in keys]

    def _chosen(self, chosen: Filter) -> list[Row]:
        rows = self._rows.values()
        return [row for row in rows if lets_through(chosen, row.record, now=self._now)]

    def _candidates(self, inquiry: Inquiry) -> tuple[Scores, Scores]:
        query = inquiry.words
        if query is None:
            return {}, {}
        index, allowed = self._index(), {row.key for row in self._chosen(inquiry.chosen)}

        def best(alternatives: Iterable[str]) -> Scores:
            total = _summed(index, alternatives)
            found = sorted(total.items(), key=lambda pair: -pair[1])
            return dict([pair for pair in found if pair[0] in allowed][: inquiry.limit])

        frequencies = {
            term: min(map(index.frequency, stems(term)), default=0) for term in query.terms
        }
        chosen = telling(frequencies, len(self._rows))
        terms = best(chosen)
        if not terms and len(chosen) < len(query.terms):
            # The rare terms are in other namespaces, or in what a filter leaves out.
            chosen = query.terms
            terms = best(chosen)
        if not terms:
            return {}, {}
        rest = _summed(index, (term for term in query.terms if term not in chosen))
        terms = {key: score + rest.get(key, 0.0) for key, score in terms.items()}
        return terms, best(" ".join(pair) for pair in query.phrases)

    def _index(self) -> Bm25:
        return Bm25([(key, row.words) for key, row in self._rows.items()], marks=_MARKS)

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


def _summed(index: Bm25, alternatives: Iterable[str]) -> Scores:
    total: Scores = {}
    for each in alternatives:
        for key, score in index.scores(tuple(stems(each))).items():
            total[key] = total.get(key, 0.0) + score
    return total


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
