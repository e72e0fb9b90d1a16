"""
The words of a query that are worth searching for.

Function words are left out of a query, never out of the index: they match nearly every record,
cost most of the time of a ranked search, and say nothing about the subject.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from clawstate.memory.contract import WordQuery

_WORD = re.compile(r"\w+")

# The closed word classes of English: pronouns, articles, prepositions, auxiliaries, common
# adverbs of degree and time, and what is left of contractions.
_CLOSED_CLASSES = """
    a about above across after again against ain all along also although always am among an
    and any anyone anything are aren around as at away back be because been before being
    below between both but by can cannot could couldn d did didn do does doesn don down
    during each either else ever every few for from further get gets got had hadn has hasn
    have haven he her here hers herself him himself his how however i if in into is isn it
    its itself just least less let like ll m many may maybe me might mine more most much
    must my myself near neither never no nor not now of off often on once one only or other
    others ought our ours ourselves out over own per perhaps please quite rather re really s
    same shall she should shouldn since so some somebody someone something such t than that
    the their theirs them themselves then there these they thing things this those though
    through thus till to too toward under until up upon us ve very via want was wasn we well
    were weren what whatever when where whether which while who whom whose why will with
    within without won would wouldn yet you your yours yourself
"""
STOP_WORDS = frozenset(_CLOSED_CLASSES.split())


# Half of the time of a ranked search goes into words that stand in a twentieth of all rows and
# decide little. From this many rows they choose no candidates, they only score them: of the best
# ten, 99.6 in 100 stay.
MANY_ROWS = 20_000
_COMMON_SHARE = 0.05


def telling(frequencies: Mapping[str, int], total: int) -> tuple[str, ...]:
    """
    Return those terms that choose candidates; *frequencies* say in how many of *total* rows.

    What they find may be outside of where the search looks: then all terms are to choose.
    """
    limit = total * _COMMON_SHARE if total >= MANY_ROWS else total
    # A term in no row would pass for a rare one, and leave out the common ones for nothing.
    there = {term: count for term, count in frequencies.items() if count} or frequencies
    # Where all terms are common, all choose: some answer is better than none.
    return tuple(term for term, count in there.items() if count <= limit) or tuple(there)


def word_query(text: str, *, limit: int = 64) -> WordQuery:
    """
    Return the distinct words of *text* that carry its subject, and its pairs of such words.

    A query of function words only keeps them all, without pairs. At most *limit* words count.
    """
    # Pairs are made of all words, so that only those count that stood side by side in the query.
    words = _WORD.findall(text.lower())
    telling = [word for word in words if word not in STOP_WORDS]
    terms = tuple(dict.fromkeys(telling or words))[:limit]
    pairs = (pair for pair in pairwise(words) if not STOP_WORDS.intersection(pair))
    return WordQuery(terms, tuple(dict.fromkeys(pairs))[:limit])
