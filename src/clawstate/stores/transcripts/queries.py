"""What a search asks for, and how what it finds is put in order; the same on every engine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Protocol

from clawstate.sqlite.words import sign_places

COMMON_SHARE = 0.05
"""A word in a larger share of many messages chooses nothing, but costs most of the time."""
MANY_ROWS = 20_000
"""From how many messages on a common word is left to the last."""

_TERM = re.compile(r'"([^"]*)"|(\w+)')
# A whole page that was pasted as a query would be one expression with thousands of words.
_MOST_TERMS = 32


def terms_of(query: str) -> list[str]:
    """Return the words of *query*, and what stands in double quotes as one, without repetitions."""
    found = (phrase or word for phrase, word in _TERM.findall(query))
    return list(dict.fromkeys(each.lower() for each in found if each.strip()))[:_MOST_TERMS]


def parts_of(terms: Iterable[str]) -> Iterator[str]:
    """Give what may be found by itself: words, and pairs of signs."""
    # In scripts without blanks a term is a run of signs; pairs of them take the place of words.
    for term in terms:
        places = sign_places(term)
        if len(places) < len(term) or len(term) < 3:
            yield term
        else:
            yield from (first + second for first, second in pairwise(term))


class Words(Protocol):
    """The words of all messages, as one engine knows them."""

    def rank(self, words: Sequence[str], *, require_all: bool) -> Sequence[tuple[int, float]]:
        """Return the best (position, BM25) of what has all or some of *words*, the best first."""

    def frequency(self, word: str) -> int:
        """Return in how many messages *word* is at most."""

    def total(self) -> int:
        """Return about how many messages there are."""


def best(words: Words, terms: Sequence[str], limit: int) -> list[tuple[int, float]]:
    """
    Return what has all *terms*, then what has some, at most *limit*, each with its score.

    A score is from 0 to 1, above one half for what has all terms. Among `MANY_ROWS` common words
    choose last, and a word in no message counts for nothing.
    """
    # BM25 has no scale of its own, so both halves are shares: the order within each stays.
    every = words.rank(terms, require_all=True)
    found = {key: (1 + _share(score)) / 2 for key, score in every}
    if len(found) < limit and len(list(parts_of(terms))) > 1:
        for more in _some(words, terms, is_had=bool(every)):
            # The lists follow each other, so the scores of one are below those of the one before.
            ceiling = min([0.5, *found.values()])
            for key, score in more:
                found.setdefault(key, ceiling * _share(score))
            if len(found) >= limit:
                break
    return list(found.items())[:limit]


def _some(
    words: Words, terms: Sequence[str], *, is_had: bool
) -> Iterator[Sequence[tuple[int, float]]]:
    """Give lists of what has some of *terms*, the better ones first; *is_had*: some has all."""
    total = words.total()
    if total < MANY_ROWS:
        yield words.rank(list(parts_of(terms)), require_all=False)
        return
    counts = {term: words.frequency(term) for term in terms}
    there = [term for term in terms if counts[term]]
    if not is_had and 1 < len(there) < len(terms):
        every = words.rank(there, require_all=True)
        is_had = bool(every)
        yield every
    common = [term for term in terms if counts[term] > total * COMMON_SHARE]
    rare = [term for term in terms if term not in common]
    if not common or not rare:
        yield words.rank(list(parts_of(terms)), require_all=False)
        return
    some = words.rank(list(parts_of(rare)), require_all=False)
    yield some
    # To rank what has common words takes most of the time of a search, so they choose where the
    # others leave hardly anything to choose from.
    number = len(there) - len(common)
    if not number or (not is_had and (number == 1 or not some)):
        yield words.rank(list(parts_of(common)), require_all=False)


def _share(score: float) -> float:
    """Return a BM25 *score*, which has no upper bound and may be next to nothing, as 0 to 1."""
    return score / (1 + score) if score > 0 else 0.0
