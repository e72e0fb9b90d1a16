"""BM25 over stems in memory, as FTS5 computes it (k1 = 1.2, b = 0.75)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

Phrase: TypeAlias = tuple[str, ...]
"""Stems that stand together."""

_K1, _B = 1.2, 0.75
_LEAST_WEIGHT = 1e-6  # of a phrase that is in more than half of the rows, as FTS5 has it


class Bm25:
    """The words of *rows* (key, stems in their order), each with *marks* other tokens."""

    def __init__(self, rows: Sequence[tuple[int, Phrase]], *, marks: int) -> None:
        self._rows = rows
        self._marks = marks
        lengths = [len(words) + marks for _, words in rows]
        self._mean = sum(lengths) / len(rows) if rows else 1.0

    def scores(self, phrase: Phrase) -> dict[int, float]:
        """Return the keys of the rows that hold *phrase*, and their BM25."""
        found = [(key, words, _count(words, phrase)) for key, words in self._rows]
        found = [each for each in found if each[2]]
        total = len(self._rows)
        weight = math.log((total - len(found) + 0.5) / (len(found) + 0.5))
        weight = weight if weight > 0 else _LEAST_WEIGHT
        return {key: weight * self._saturation(len(words), count) for key, words, count in found}

    def frequency(self, stem: str) -> int:
        """Return how many rows hold *stem*."""
        return sum(stem in words for _, words in self._rows)

    def _saturation(self, length: int, count: int) -> float:
        norm = _K1 * (1 - _B + _B * (length + self._marks) / self._mean)
        return count * (_K1 + 1) / (count + norm)


def _count(words: Phrase, phrase: Phrase) -> int:
    """Return how often the words of *phrase* stand together."""
    width = len(phrase)
    if not width:
        return 0
    return sum(words[at : at + width] == phrase for at in range(len(words) - width + 1))
