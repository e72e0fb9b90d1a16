"""From the scores of two legs to one order: pure functions over keys and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clawstate.memory.contract import Neighbours, Scores

PHRASE_WEIGHT = 0.5
NEIGHBOUR_WEIGHT = 0.5
WORDS_SHARE = 0.5


def word_scores(terms: Scores, phrases: Scores) -> Scores:
    """Return the words score of every match: its terms, and half as much for its phrases."""
    return {key: score + PHRASE_WEIGHT * phrases.get(key, 0.0) for key, score in terms.items()}


def with_neighbours(scores: Scores, neighbours: Mapping[int, Neighbours]) -> Scores:
    """
    Return *scores* in which a record also speaks for those beside it in its thread.

    An answer often holds none of the words of the question before it. A neighbour of a match
    becomes a candidate itself.
    """
    smoothed = dict(scores)
    for key, score in scores.items():
        for beside in _beside(neighbours.get(key)):
            gain = NEIGHBOUR_WEIGHT * score
            best = smoothed.get(beside, 0.0) - scores.get(beside, 0.0)
            if gain > best:
                smoothed[beside] = scores.get(beside, 0.0) + gain
    return smoothed


def fused(words: Scores, vectors: Scores) -> Scores:
    """Return the even mix of both legs, each as a share of its best score."""
    return _weighed((words, WORDS_SHARE), (vectors, 1 - WORDS_SHARE))


def best(scores: Scores, k: int) -> list[int]:
    """Return the *k* keys of the highest scores; the older record first among equals."""
    return sorted(scores, key=lambda key: (-scores[key], key))[:k]


def _beside(neighbours: Neighbours | None) -> Iterable[int]:
    if neighbours is not None:
        if neighbours.before is not None:
            yield neighbours.before
        if neighbours.after is not None:
            yield neighbours.after


def _weighed(*legs: tuple[Scores, float]) -> Scores:
    total: Scores = {}
    for scores, share in legs:
        top = max(scores.values(), default=0.0)
        if top > 0:
            for key, score in scores.items():
                total[key] = total.get(key, 0.0) + share * max(score, 0.0) / top
    return total
