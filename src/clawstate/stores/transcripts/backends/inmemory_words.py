"""Who of the transcripts in memory holds which words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Sequence

from clawstate.sqlite.bm25 import Bm25, Phrase
from clawstate.sqlite.words import stems

_MARKS = 2  # tokens of a row besides its words, as in SQLite: its session and its role


class WordIndex:
    """
    The words of *rows* (position, stems in their order), the highest position last.

    The best *limit* rows among *allowed* are found.
    """

    def __init__(
        self, rows: Sequence[tuple[int, Phrase]], *, allowed: Container[int], limit: int
    ) -> None:
        self._rows = rows
        self._allowed = allowed
        self._limit = limit
        self._bm25 = Bm25(rows, marks=_MARKS)

    def rank(self, words: Sequence[str], *, require_all: bool) -> list[tuple[int, float]]:
        """Return the best (position, BM25) of rows with all or some of *words*."""
        scored = self._scores([tuple(stems(each)) for each in words], require_all=require_all)
        inside = (each for each in scored if each[0] in self._allowed)
        return sorted(inside, key=lambda each: (-each[1], -each[0]))[: self._limit]

    def frequency(self, word: str) -> int:
        """Return in how many rows *word* is at most."""
        return min(map(self._bm25.frequency, stems(word)), default=0)

    def total(self) -> int:
        """Return about how many rows there are."""
        return self._rows[-1][0] if self._rows else 0

    def _scores(
        self, phrases: Sequence[Phrase], *, require_all: bool
    ) -> Iterator[tuple[int, float]]:
        """Give the positions of rows with all or some of *phrases*, and their BM25."""
        found: defaultdict[int, list[float]] = defaultdict(list)
        for phrase in phrases:
            for position, score in self._bm25.scores(phrase).items():
                found[position].append(score)
        for position, scores in found.items():
            if not require_all or len(scores) == len(phrases):
                yield position, sum(scores)
