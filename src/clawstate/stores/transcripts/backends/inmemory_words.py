"""Who of the transcripts in memory holds which words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from clawstate.sqlite.bm25 import Bm25, Phrase
from clawstate.sqlite.words import stems
from clawstate.stores.transcripts.queries import COMMON_SHARE, MANY_ROWS

_MARKS = 2  # tokens of a row besides its words, as in SQLite: its session and its role


class WordIndex:
    """The words of *rows* (position, stems in their order), the highest position last."""

    def __init__(self, rows: Sequence[tuple[int, Phrase]]) -> None:
        self._rows = rows
        self._bm25 = Bm25(rows, marks=_MARKS)

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
        found: defaultdict[int, list[float]] = defaultdict(list)
        for phrase in phrases:
            for position, score in self._bm25.scores(phrase).items():
                found[position].append(score)
        for position, scores in found.items():
            if not require_all or len(scores) == len(phrases):
                yield position, sum(scores)

    def _frequency(self, term: str) -> int:
        return min(map(self._bm25.frequency, stems(term)), default=0)
