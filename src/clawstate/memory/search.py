"""One search over a `MemoryView`: candidates from both legs, one order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from clawstate.memory import ranking
from clawstate.memory.contract import MemoryView, Scores
from clawstate.memory.filters import Filter
from clawstate.memory.query_words import word_query
from clawstate.memory.records import Hit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Mode = Literal["hybrid", "words", "vector"]
MODES: tuple[Mode, ...] = ("hybrid", "words", "vector")

_CANDIDATES = 200
"""How many each leg proposes to a hybrid; twice as many changed no measured order by 0.001."""

_NEAREST = 40
"""How many a search by meaning alone scores exactly; an index may misplace the last few."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for; equal questions over equal records have equal answers."""

    text: str
    k: int
    mode: Mode
    chosen: Filter
    min_score: float


def answer(
    view: MemoryView, question: Question, vector: NDArray[np.float32] | None
) -> tuple[Hit, ...]:
    """Return the best hits for *question*, best first; *vector* None leaves out that leg."""
    limit = max(_CANDIDATES, 2 * question.k)
    words: Scores = {}
    vectors: Scores = {}
    if question.mode != "vector" or vector is None:
        words = _words(view, question, limit)
    if question.mode == "words" or vector is None:
        scores = words
    elif question.mode == "vector":
        near = view.nearest(vector, question.chosen, max(_NEAREST, 2 * question.k))
        vectors = scores = _positive(near)
    else:
        vectors = view.nearest(vector, question.chosen, limit)
        vectors |= view.cosines(vector, words.keys() - vectors.keys())
        vectors = _positive(vectors)
        scores = ranking.fused(words, vectors)
    scores = _calibrated(scores, words, vectors)
    keys = [key for key in ranking.best(scores, question.k) if scores[key] >= question.min_score]
    return tuple(
        Hit(
            record,
            score=scores[key],
            words_score=words.get(key, 0.0) if question.mode != "vector" else None,
            vector_score=vectors.get(key) if vector is not None else None,
        )
        for key, record in zip(keys, view.fetch(keys), strict=True)
    )


def _words(view: MemoryView, question: Question, limit: int) -> Scores:
    terms, phrases = view.words(word_query(question.text), question.chosen, limit)
    scores = ranking.word_scores(terms, phrases)
    smoothed = ranking.with_neighbours(scores, view.neighbours(scores))
    strangers = smoothed.keys() - scores.keys()
    if strangers:
        for key in strangers - view.matching(strangers, question.chosen):
            del smoothed[key]
    return smoothed


def _positive(vectors: Scores) -> Scores:
    return {key: max(cosine, 0.0) for key, cosine in vectors.items()}


def _calibrated(scores: Scores, words: Scores, vectors: Scores) -> Scores:
    # Shares of the best score rank well but say nothing about how good the best one is.
    top = max(scores.values(), default=0.0)
    if top <= 0:
        return scores
    word = max(words.values(), default=0.0)
    strength = max(word / (word + _HALF_STRENGTH), max(vectors.values(), default=0.0))
    return {key: strength * score / top for key, score in scores.items()}


_HALF_STRENGTH = 6.0  # the BM25 sum of about one rare word
