"""One search over a `MemoryView`: candidates from both legs, one order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from clawstate.errors import InvalidError
from clawstate.memory import ranking
from clawstate.memory.contract import MemoryView, Scores, WordQuery
from clawstate.memory.filters import Filter
from clawstate.memory.query_words import word_query
from clawstate.memory.records import Hit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Mode = Literal["hybrid", "words", "vector"]
MODES: tuple[Mode, ...] = ("hybrid", "words", "vector")

MAX_HITS = 1000

_WORD_CANDIDATES = 300
_VECTOR_CANDIDATES = 200
"""How many each leg proposes; twice as many moved no measured figure by 0.003."""

_NEAREST = 16
"""How many a search by meaning alone asks for where no neighbours can change their order."""

_SPEAKERS = 200
"""How many of the best are looked at for the name of a speaker."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for; equal questions over equal records have equal answers."""

    text: str
    k: int
    mode: Mode
    chosen: Filter
    min_score: float


def question_from(query: str, *, k: int, mode: Mode, chosen: Filter, min_score: float) -> Question:
    """Return the question that a caller's arguments ask; raises `InvalidError`."""
    return Question(_query(query), _count(k), _mode(mode), chosen, _bar(min_score))


def answer(
    view: MemoryView, question: Question, vector: NDArray[np.float32] | None
) -> tuple[Hit, ...]:
    """Return the best hits for *question*, best first; *vector* None leaves out that leg."""
    query = word_query(question.text)
    threads = view.has_threads(question.chosen)
    words: Scores = {}
    vectors: Scores = {}
    order = ranking.Order({})
    strength = 0.0
    if question.mode != "vector" or vector is None:
        words, order, strength = _words(view, query, question, threads=threads)
    if vector is not None:
        vectors = _vectors(view, vector, question, words, order if threads else None)
        strength = max(strength, *vectors.values(), 0.0)
    scores = _mixed(question, words, vectors if vector is not None else None)
    if threads:
        scores = _best(scores, max(_SPEAKERS, question.k))
        scores = ranking.with_speakers(scores, view.openings(scores), query.terms)
    scores = _calibrated(scores, strength)
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


def _words(
    view: MemoryView, query: WordQuery, question: Question, *, threads: bool
) -> tuple[Scores, ranking.Order, float]:
    """Return the words scores, the order of the threads they touch, and how good the best is."""
    limit = max(_WORD_CANDIDATES, 2 * question.k)
    terms, phrases = view.words(query, question.chosen, limit)
    strength = _strength(view, query, terms)
    order = ranking.Order(view.neighbours(terms.keys() | phrases.keys()) if threads else {})
    near = order.keys()
    if not near:
        return ranking.summed(terms, phrases), order, strength
    lists = view.word_lists(query, near | terms.keys() | phrases.keys())
    scores = ranking.in_context(*lists, order)
    strangers = scores.keys() - terms.keys() - phrases.keys()
    refused = strangers - view.matching(strangers, question.chosen)
    kept = {key: score for key, score in scores.items() if key not in refused}
    return _best(kept, limit), order, strength


def _strength(view: MemoryView, query: WordQuery, terms: Scores) -> float:
    """Return how good the best of *terms* is, from 0 to 1."""
    top = max(terms.values(), default=0.0)
    strength = top / (top + _HALF_STRENGTH)
    if 0 < top < _FAINT:
        # In a small memory every word is common and BM25 near 0: count the words instead.
        (best,) = ranking.best(terms, 1)
        lists, _ = view.word_lists(query, [best])
        strength = max(strength, 0.5 * sum(best in each for each in lists) / len(lists))
    return strength


def _vectors(
    view: MemoryView,
    vector: NDArray[np.float32],
    question: Question,
    words: Scores,
    order: ranking.Order | None,
) -> Scores:
    if order is None:
        limit = max(_NEAREST if question.mode == "vector" else _VECTOR_CANDIDATES, question.k)
        near = view.nearest(vector, question.chosen, limit)
        missing = view.vectors(words.keys() - near.keys()) if words else None
        return ranking.positive(near | ranking.cosines(vector, missing))
    near = view.nearest(vector, question.chosen, max(_VECTOR_CANDIDATES, 2 * question.k))
    order.add(view.neighbours(near.keys() - order.keys()))
    keys = near.keys() | words.keys()
    beside = {each for key in keys for each in order.beside(key)}
    return ranking.contextual_cosines(vector, keys, view.vectors(keys | beside), order)


def _mixed(question: Question, words: Scores, vectors: Scores | None) -> Scores:
    if question.mode == "words" or vectors is None:
        return words
    return vectors if question.mode == "vector" else ranking.fused(words, vectors)


def _best(scores: Scores, limit: int) -> Scores:
    if len(scores) <= limit:
        return scores
    return {key: scores[key] for key in ranking.best(scores, limit)}


def _calibrated(scores: Scores, strength: float) -> Scores:
    # Shares of the best score rank well but say nothing about how good the best one is.
    top = max(scores.values(), default=0.0)
    return {key: strength * score / top for key, score in scores.items()} if top > 0 else scores


_HALF_STRENGTH = 6.0  # the BM25 sum of about one rare word
_FAINT = 1.0


def _query(query: str) -> str:
    if not isinstance(query, str):
        raise InvalidError("query", f"is {type(query).__name__}, not a string")
    if not query or query.isspace():
        raise InvalidError("query", "is empty", "ask for something")
    return query.encode("utf-8", "replace").decode().replace("\0", " ")


def _count(k: int) -> int:
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= MAX_HITS:
        raise InvalidError("k", f"{k!r} is not a whole number from 1 to {MAX_HITS}")
    return k


def _bar(score: float) -> float:
    if isinstance(score, bool) or not isinstance(score, int | float) or score != score:  # noqa: PLR0124 - NaN
        raise InvalidError("min_score", "is not a number")
    return max(-1.0, min(score, 2.0))  # scores are from 0 to 1, so beyond that all bars are alike


def _mode(mode: Mode) -> Mode:
    if mode not in MODES:
        raise InvalidError("mode", f"{mode!r} is unknown", f"use one of {', '.join(MODES)}")
    return mode
