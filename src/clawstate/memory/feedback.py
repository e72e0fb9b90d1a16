"""
Pseudo relevance feedback: what the best hits have in common lifts those that have it too.

In the manner of RM3 (Abdul-Jaleel et al. 2004) for words and of Rocchio (1971) for vectors, within
the candidates: nobody becomes a hit by it who was none before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from clawstate.interrupts import load_modules
from clawstate.memory.analysis import analyse, stems
from clawstate.memory.function_words import STOP_WORDS
from clawstate.memory.reading import Scores

if TYPE_CHECKING:
    from clawstate.memory.reading import Vectors

LEADERS = 10
"""How many of the best are looked at for what they have in common; 8 to 15 do as well."""

FOLLOWERS = 30
"""How many of the best may be lifted by that; twice as many changed no measured figure."""

LEAST_STRENGTH = 0.2
"""The score of the best hit from which on it tells what was meant; below, all may be astray."""

WORDS_SHARE = 0.115
"""What the most telling of the terms in common counts in a mix, as words have a share of it."""

VECTOR_SHARE = 0.75
"""What the cosine with the best counts beside that with the query, where no threads are."""

CENTRE = 3
"""How many of the best make the vector that others are compared with."""

MOST_IN_COMMON = 10
"""How many of the terms in common count."""

_LOOKED_UP = 20  # terms: how rare each is costs a look into the index
_TWO = 2  # what one of the best says alone is its own affair
TURN = 300
"""How many characters of a turn in a thread leave feedback by words its full weight."""

LONGEST = 800
"""How many characters of a text are looked at: beyond, terms are many and none tells much."""


class Feedback(NamedTuple):
    """What the best hits gave others, in the numbers of each leg."""

    words: Scores
    vectors: Scores


def terms_in_common(
    leaders: Mapping[int, float], texts: Mapping[int, str], asked: Iterable[str], mean: float
) -> dict[str, float]:
    """
    Return the terms that several of *texts* hold, and how much they do; none that was *asked*.

    *leaders* are the scores of the best by key, *mean* the mean length of a text in terms.
    """
    total = sum(leaders.values())
    counted: list[tuple[float, float, Counter[str]]] = []
    holders: Counter[str] = Counter()
    for key, text in texts.items():
        beginning = text[:LONGEST]
        placed, extra = analyse(beginning)
        # As BM25 has it, by the length of all the text: a term repeated says little more.
        length = (len(placed) + 1) * len(text) / max(len(beginning), 1)
        counts = Counter((*placed, *extra))
        counted.append((leaders[key] / total, 0.3 + 0.9 * length / max(mean, 1.0), counts))
        holders.update(counts.keys())
    common, known = _common_stems(), frozenset(asked)
    shared = [
        term
        for term, many in holders.items()
        if many >= _TWO and len(term) > 1 and term not in common and term not in known
    ]
    weights = {
        term: sum(
            share * counts[term] / (counts[term] + norm)
            for share, norm, counts in counted
            if term in counts
        )
        for term in shared
    }
    best = sorted(shared, key=lambda term: (-weights[term], term))[:_LOOKED_UP]
    return {term: weights[term] for term in best}


def weight_in_threads(leaders: Mapping[int, float], texts: Mapping[int, str]) -> float:
    """Return what terms in common count in threads: the less, the longer *texts* of *leaders*."""
    # A short turn hardly says what it is about. Long ones do, and neighbours lend them words as
    # well: what they then have in common is how people speak.
    total = sum(leaders.values())
    length = sum(score * len(texts[key]) for key, score in leaders.items()) / total
    return min(1.0, (TURN / max(length, 1.0)) ** 2)


def likeness(leaders: Mapping[int, float], vectors: Vectors) -> Scores:
    """Return the cosines of *vectors* with the middle of the best of *leaders*."""
    load_modules("numpy")
    import numpy as np  # noqa: PLC0415 - word searches do without

    place = {key: row for row, key in enumerate(vectors.keys.tolist())}
    best = [key for key in sorted(leaders, key=lambda key: -leaders[key]) if key in place][:CENTRE]
    if not best:
        return {}
    weights = np.array([leaders[key] for key in best], np.float32)
    centre = weights @ vectors.matrix[[place[key] for key in best]]
    length = float(np.linalg.norm(centre))
    if length <= 0:
        return {}
    cosines = (vectors.matrix @ (centre / np.float32(length))).tolist()
    return dict(zip(place, cosines, strict=True))


def add(scores: Scores, given: Scores) -> Scores:
    """Return *scores* with what was *given* on top."""
    if not given:
        return scores
    total = dict(scores)
    for key, each in given.items():
        total[key] = total.get(key, 0.0) + each
    return total


@cache
def _common_stems() -> frozenset[str]:
    return frozenset(stems(" ".join(STOP_WORDS)))
