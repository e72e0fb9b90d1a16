"""BM25 over stems in memory, with the constants of FTS5 (k1 = 1.2, b = 0.75)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from clawstate.sqlite.words import stems
from clawstate.stores.transcripts.queries import COMMON_SHARE, MANY_ROWS

Phrase: TypeAlias = tuple[str, ...]
"""Stems that stand together."""

_K1, _B = 1.2, 0.75
_MARKS = 2  # tokens of a row besides its words, as in SQLite: its session and its role
_LEAST_WEIGHT = 1e-6  # of a term that is in more than half of the rows, as FTS5 has it


class WordIndex:
    """The words of *rows* (position, stems in their order), the highest position last."""

    def __init__(self, rows: Sequence[tuple[int, Phrase]]) -> None:
        self._rows = rows
        lengths = [len(words) + _MARKS for _, words in rows]
        self._mean = sum(lengths) / len(rows) if rows else 1.0

    def common(self, terms: Sequence[str]) -> set[str]:
        """Return which of *terms* are in so many rows that they choose nothing."""
        total = self._rows[-1][0] if self._rows else 0
        if total < MANY_ROWS:
            return set()
        return {term for term in terms if self._frequency(term) > total * COMMON_SHARE}

    def scored(
        self, phrases: Sequence[Phrase], *, require_all: bool
    ) -> Iterator[tuple[int, float]]:
        """Give the positions of rows with all or some of *phrases*, and their BM25."""
        counts = [[_count(words, each) for _, words in self._rows] for each in phrases]
        weights = [self._weight(sum(map(bool, each))) for each in counts]
        for at, (position, words) in enumerate(self._rows):
            found = [each[at] for each in counts]
            if not (all(found) if require_all else any(found)):
                continue
            norm = _K1 * (1 - _B + _B * (len(words) + _MARKS) / self._mean)
            score = sum(
                weight * count * (_K1 + 1) / (count + norm)
                for weight, count in zip(weights, found, strict=True)
            )
            yield position, score

    def _weight(self, rows_with_it: int) -> float:
        total = len(self._rows)
        weight = math.log((total - rows_with_it + 0.5) / (rows_with_it + 0.5))
        return weight if weight > 0 else _LEAST_WEIGHT

    def _frequency(self, term: str) -> int:
        found = (sum(stem in words for _, words in self._rows) for stem in stems(term))
        return min(found, default=0)


def _count(words: Phrase, phrase: Phrase) -> int:
    """Return how often the words of *phrase* stand together."""
    width = len(phrase)
    if not width:
        return 0
    return sum(words[at : at + width] == phrase for at in range(len(words) - width + 1))
