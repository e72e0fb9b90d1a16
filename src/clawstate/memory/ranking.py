"""
From the scores of two legs to one order: pure functions over keys and numbers.

Every constant stands on a plateau: its neighbours do nearly as well on every set it was measured
on (docs/concepts/search.md).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from itertools import accumulate, pairwise
from statistics import median
from typing import TYPE_CHECKING

from clawstate.interrupts import load_modules
from clawstate.memory.analysis import stems
from clawstate.memory.function_words import STOP_WORDS
from clawstate.memory.letters import VOWELLED, fold
from clawstate.memory.reading import Neighbours, Scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clawstate.memory.reading import Vectors

NEAR, FAR = 0.5, 0.25
"""What a word found one or two records away counts, where the record itself lacks it."""

ECHO = 0.2
"""What a word found one record away counts on top of the record's own."""

BEFORE, AFTER = 0.4, 0.3
"""How much of its neighbours' meanings a record takes on; half of it at `SHORT` subwords."""

SHORT = 40

STRETCH = 5
"""How many records before and after one in its thread tell what is spoken of around it."""

RUN, LONG = 40, 60
"""A run of up to `RUN` neighbours is one stretch; one longer by `LONG` gets half of the most."""

VECTOR_SHARE = 0.425
"""The share of the vectors in a hybrid."""

ABOVE_SHARE = 0.525
"""The share of the vectors where only what is above a floor counts."""

TAKEN = 0.75
"""How much of the median is taken off: all of it would leave nothing to half of the candidates."""

FEW = 20
"""So many candidates move the median half of its way from what unrelated texts have."""

NAMED = 1.4
"""What a record gains whose speaker the query names."""

LABELLED = 0.25
"""What a name counts as a word of a text that it opens: that its bearer speaks is `NAMED`."""

TIMED = 1.3
"""What a record gains that tells a time, where the query asks for one."""

_NOBODY = -1  # no key
_DIGITS = 6  # float32 sums of equal vectors differ behind these
_WORD = re.compile(f"[\\w{VOWELLED}]+")
_LABEL_WORDS, _LABEL_LENGTH = 3, 40
_ROLES = frozenset({"user", "assistant", "system", "human", "ai", "bot", "agent", "tool", "model"})


class Order:
    """Who stands beside whom, pieced together from what is known of some keys."""

    def __init__(self, known: Mapping[int, Neighbours]) -> None:
        self.previous: dict[int, int] = {}
        self.next: dict[int, int] = {}
        self.add(known)

    def add(self, known: Mapping[int, Neighbours]) -> None:
        """Take in what *known* says of the neighbours of some keys."""
        for key, neighbours in known.items():
            run = [*reversed(neighbours.before), key, *neighbours.after]
            # What two records say of the same neighbours agrees: they were read in one transaction.
            for one, other in pairwise(run):
                self.next[one] = other
                self.previous[other] = one

    def keys(self) -> set[int]:
        """Return all keys that have a neighbour."""
        return self.previous.keys() | self.next.keys()

    def runs(self) -> Iterator[list[int]]:
        """Yield the keys that stand in one row each, as far as that is known, in their order."""
        for first in self.next.keys() - self.previous.keys():
            run = [first]
            while (following := self.next.get(run[-1])) is not None:
                run.append(following)
            yield run

    def near(self, key: int) -> tuple[int, int, int, int]:
        """Return the keys one before, one after, two before and two after; -1 for nobody."""
        before, after = self.previous.get(key, _NOBODY), self.next.get(key, _NOBODY)
        return (
            before,
            after,
            self.previous.get(before, _NOBODY),
            self.next.get(after, _NOBODY),
        )


def in_context(terms: Sequence[Scores], phrases: Sequence[Scores], order: Order) -> Scores:
    """
    Return the words scores of all records that match or stand near a match in their thread.

    *terms* and *phrases* hold a list of scores each. A record is lent the words that it lacks by
    those near it: an answer seldom repeats the words of the question before it.
    """
    load_modules("numpy")
    import numpy as np  # noqa: PLC0415 - costs 170 ms, and a search without threads does without

    keys = [*order.keys().union(*terms, *phrases)]
    row = {key: number for number, key in enumerate(keys)}
    nobody = len(keys)  # a last row of zeros stands for a neighbour that is missing
    before, after = (
        np.array([*(row.get(beside.get(key, _NOBODY), nobody) for key in keys), nobody])
        for beside in (order.previous, order.next)
    )
    total = np.zeros(nobody + 1)
    for scores in (*terms, *phrases):
        own = np.zeros(nobody + 1)
        own[[row[key] for key in scores]] = [*scores.values()]
        near = np.maximum(own[before], own[after])
        far = np.maximum(own[before[before]], own[after[after]])
        total += np.maximum(np.maximum(own, NEAR * near), FAR * far)
        total += ECHO * near
    return {key: score for key, score in zip(keys, total.tolist(), strict=False) if score > 0}


def contextual_cosines(
    query: NDArray[np.float32], keys: Iterable[int], vectors: Vectors, order: Order
) -> Scores:
    """
    Return the cosines of *query* with the vectors of *keys*, each mixed with its neighbours'.

    *vectors* holds those of the neighbours too. The longer a record, the smaller their share.
    A key without a vector is left out.
    """
    load_modules("numpy")
    import numpy as np  # noqa: PLC0415 - word searches do without

    place = {key: row for row, key in enumerate(vectors.keys.tolist())}
    chosen = [key for key in keys if key in place]
    if not chosen:
        return {}
    rows = np.array([place[key] for key in chosen])
    matrix = np.vstack([vectors.matrix, np.zeros((1, vectors.matrix.shape[1]), np.float32)])
    nowhere = len(vectors.keys)
    # A last row of zeros stands for a neighbour that is missing, so all are added in one step.
    mixed = np.zeros((len(rows), matrix.shape[1]), np.float32)
    for direction, weight in ((order.previous, BEFORE), (order.next, AFTER)):
        beside = [place.get(direction.get(key, -1), nowhere) for key in chosen]
        mixed += np.float32(weight) * matrix[beside]
    # A turn of three words has hardly a meaning of its own; a long text needs no help from others.
    tint = (SHORT / (SHORT + vectors.lengths[rows])).astype(np.float32)
    mixed = matrix[rows] + tint[:, np.newaxis] * mixed
    lengths = np.linalg.norm(mixed, axis=1)
    cosines = np.divide(mixed @ query, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return dict(zip(chosen, cosines.tolist(), strict=True))


def around(cosines: Scores, order: Order, *, floor: float) -> Scores:
    """
    Return what the *cosines* above *floor* of those around each key in its thread count for it.

    Who is no candidate counts as 0. The longer the run of neighbours in *order*, the more it is, up
    to twice their mean; in a run of `RUN` or fewer nothing.
    """
    # A long thread speaks of one thing here and of another there, and a stretch that many
    # candidates lie in answers better than a lone turn. A short thread is itself one stretch.
    given: Scores = {}
    for run in order.runs():
        if (longer := len(run) - RUN) <= 0:
            continue
        own = [max(cosines.get(key, floor) - floor, 0.0) for key in run]
        sums = [0.0, *accumulate(own)]
        part = longer / (longer + LONG) / STRETCH
        for place, key in enumerate(run):
            if key in cosines:
                last = min(place + STRETCH + 1, len(run))
                total = sums[last] - sums[max(place - STRETCH, 0)] - own[place]
                given[key] = part * max(total, 0.0)  # sums of floats
    return given


def floor_of(cosines: Scores, unrelated: float) -> float:
    """
    Return what is taken off *cosines*: most of the median, which says nothing of a record.

    The fewer there are, the nearer the median is taken to be to *unrelated*, the cosine of texts of
    different subjects.
    """
    # A median of few says little: of a single record it would be its own cosine.
    count = len(cosines)
    own = median(cosines.values()) if count else 0.0
    return TAKEN * (count * own + FEW * unrelated) / (count + FEW)


def share_of_vectors(*, floor: float) -> float:
    """Return the share of the vectors in a mix where only what is above *floor* counts, or all."""
    return ABOVE_SHARE if floor else VECTOR_SHARE


def legs_of(
    words: Scores, vectors: Scores, *, floor: float = 0.0
) -> Iterator[tuple[Scores, float, float]]:
    """
    Yield the scores of both legs, their share in a mix, and the best score of each.

    Those of the vectors are how far each is above *floor*.
    """
    of_vectors = share_of_vectors(floor=floor)
    if floor:
        vectors = {key: cosine - floor for key, cosine in vectors.items()}
    for scores, share in ((words, 1 - of_vectors), (vectors, of_vectors)):
        yield scores, share, max(scores.values(), default=0.0)


def fuse(words: Scores, vectors: Scores, *, floor: float = 0.0) -> Scores:
    """Return the mix of both legs, each as a share of its best score; *floor* as in `legs_of`."""
    total: Scores = {}
    # By shares of the best and not by ranks: rank fusion lost to its better leg on every set
    # (decision 6). Only a leg that found something counts.
    for scores, share, top in legs_of(words, vectors, floor=floor):
        if top > 0:
            shares = {
                key: share * score / top if score > 0 else 0.0 for key, score in scores.items()
            }
            total = {**shares, **{key: one + shares.get(key, 0.0) for key, one in total.items()}}
    return total


def named_speakers(openings: Mapping[int, str], terms: Iterable[str]) -> dict[int, frozenset[str]]:
    """
    Return the records whose speaker ("Ada: ...") is among *terms*, and by which of them.

    Not those in which others of the speakers have a line as well: they are no turn of one.
    """
    wanted = set(terms)
    shared: dict[str, frozenset[str]] = {"": frozenset()}  # few speakers open many texts
    named: dict[int, frozenset[str]] = {}
    for key, opening in openings.items():
        name = _opening_name(opening)
        if name not in shared:
            shared[name] = _terms_of(name) & wanted
        if shared[name]:
            named[key] = shared[name]
    for key in [key for key in named if "\n" in openings[key]]:
        names = map(_opening_name, openings[key].split("\n"))
        own = next(names)
        if any(other and other != own and other in shared for other in names):
            del named[key]
    return named


def with_speakers(scores: Scores, named: Container[int]) -> Scores:
    """Return *scores* in which the records *named* gain, whose speaker the query names."""
    return {
        key: score * NAMED if key in named and score > 0 else score for key, score in scores.items()
    }


def without_label(scores: Scores, term: str, named: Mapping[int, AbstractSet[str]]) -> Scores:
    """Return *scores* of *term*, which counts little in texts that open with it as a name."""
    # Who speaks gains by that already. Counted in full as a word as well, it would put the shortest
    # turns of a speaker above those that answer.
    return {
        key: score * LABELLED if term in named.get(key, ()) else score
        for key, score in scores.items()
    }


def with_times(scores: Scores, timed: AbstractSet[int]) -> Scores:
    """Return *scores* in which the records *timed* gain, which tell the time that is asked for."""
    if not timed:
        return scores
    return {
        key: score * TIMED if key in timed and score > 0 else score for key, score in scores.items()
    }


def _opening_name(text: str) -> str:
    # No regular expression: a search looks at some six hundred texts.
    before, _, after = text.partition(":")
    name = before.strip()
    is_name = after[:1].isspace() and len(name) <= _LABEL_LENGTH and "\n" not in name
    return name if is_name else ""


@lru_cache(maxsize=4096)  # the same few speak in search after search
def _terms_of(name: str) -> frozenset[str]:
    words = _WORD.findall(fold(name))
    # Longer labels are rather phrases; and the role of a message names nobody in particular.
    if not words or len(words) > _LABEL_WORDS:
        return frozenset()
    telling = set(words) - _ROLES - STOP_WORDS
    return frozenset(stem for each in telling for stem in stems(each))


def best(scores: Scores, k: int, *, every: bool = False) -> list[int]:
    """
    Return the *k* keys of the highest scores, the older record first among equals.

    Those above 0 alone, unless *every* one may come.
    """
    top = max(scores.values(), default=0.0)
    # Rounded, or noise in the last digits of float32 would decide between equals. Keys grow with
    # time, so the older record comes first.
    scale = abs(top) or 1.0
    edge = sorted(scores.values(), reverse=True)[:k][-1] if scores and k > 0 else top
    # Rounding costs: only for who can be among the best.
    least = edge - 2 * scale * 10.0**-_DIGITS
    wanted = (key for key, score in scores.items() if score >= least and (every or score > 0))
    return sorted(wanted, key=lambda key: (-round(scores[key] / scale, _DIGITS), key))[:k]


def equals(scores: Scores, key: int) -> int:
    """Return how many others `best` holds to be as good as *key*, and orders by age."""
    scale = abs(max(scores.values())) or 1.0
    mine = round(scores[key] / scale, _DIGITS)
    return sum(round(score / scale, _DIGITS) == mine for score in scores.values()) - 1
