"""What a search asks for, and how what it finds is put in order; the same on every engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

from clawstate.sqlite.words import sign_places

K = TypeVar("K", bound=Hashable)

COMMON_SHARE = 0.05
"""A word in a larger share of many messages chooses nothing, but costs most of the time."""
MANY_ROWS = 20_000
"""From how many messages on a common word is left out."""

_TERM = re.compile(r'"([^"]*)"|(\w+)')
# A whole page that was pasted as a query would be one expression with thousands of words.
_MOST_TERMS = 32


def terms_of(query: str) -> list[str]:
    """Return the words of *query*, and what stands in double quotes as one, without repetitions."""
    found = (phrase or word for phrase, word in _TERM.findall(query))
    return list(dict.fromkeys(each.lower() for each in found if each.strip()))[:_MOST_TERMS]


def parts_of(terms: Sequence[str], common: Collection[str]) -> Iterator[str]:
    """Give what may be found by itself: words that are not *common*, and pairs of signs."""
    # In scripts without blanks a term is a run of signs; pairs of them take the place of words.
    for term in [each for each in terms if each not in common] or terms:
        places = sign_places(term)
        if len(places) < len(term) or len(term) < 3:
            yield term
        else:
            yield from (first + second for first, second in pairwise(term))


def combined(
    every: Sequence[tuple[K, float]], some: Callable[[], Sequence[tuple[K, float]]], limit: int
) -> list[tuple[K, float]]:
    """
    Return what has all terms before what has *some*; both are (key, BM25), the best first.

    A score is from 0 to 1, above one half for what has all terms.
    """
    # BM25 has no scale of its own, so both halves are shares: the order within each stays.
    found = [(key, (1 + _share(score)) / 2) for key, score in every]
    if len(found) >= limit:
        return found[:limit]
    have = {key for key, _ in every}
    rest = ((key, _share(score) / 2) for key, score in some() if key not in have)
    return [*found, *rest][:limit]


def _share(score: float) -> float:
    """Return a BM25 *score*, which has no upper bound and may be next to nothing, as 0 to 1."""
    return score / (1 + score) if score > 0 else 0.0
