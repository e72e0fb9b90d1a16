"""One search over a `Reading`: candidates from both legs, one order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from clawstate.memory import ranking
from clawstate.memory.contract import SubwordEmbedder
from clawstate.memory.feedback import (
    FOLLOWERS,
    LEADERS,
    LEAST_STRENGTH,
    LONGEST,
    VECTOR_SHARE,
    WORDS_SHARE,
    Feedback,
    add,
    likeness,
)
from clawstate.memory.query_words import share_of_signs, word_query
from clawstate.memory.questions import Question
from clawstate.memory.reading import (
    Context,
    Evidence,
    Inquiry,
    Nearest,
    Reading,
    Scores,
    Shortlist,
    Surroundings,
    WordQuery,
)
from clawstate.memory.records import Hit, MemoryRecord
from clawstate.memory.times import asks_for_time, tells_time

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WORD_CANDIDATES = 100
_VECTOR_CANDIDATES = 100
"""How many each leg proposes; twice as many moved no measured figure by 0.001."""

_NEAREST = 16
"""How many a search by meaning alone asks for where no neighbours can change their order."""

_FAINT = 0.1
"""What a cosine counts that texts of different subjects have too."""

_SPEAKERS = 200
"""How many of the best are looked at for the name of a speaker."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """The *vector* of a query; or its subwords, *numbers*, that *embedder* weighs by rarity."""

    vector: NDArray[np.float32] | None = None
    numbers: NDArray[np.uint16] | None = None
    embedder: SubwordEmbedder | None = None
    unrelated: float = 0.0
    """The cosine that texts of different subjects may have; the embedder declares it."""
    removes_median: bool = False
    """Whether in a mix only counts how far a cosine is above the median; it declares this, too."""

    @property
    def subwords(self) -> tuple[int, ...]:
        """The distinct subwords that are to be counted."""
        return () if self.numbers is None else tuple(set(self.numbers.tolist()))

    def among(self, evidence: Evidence) -> NDArray[np.float32] | None:
        """Return the vector of the query among the records that *evidence* counts."""
        if self.embedder is None or self.numbers is None:
            return self.vector
        return self.embedder.weigh(self.numbers, evidence.occurrences, evidence.subwords)


@dataclass(frozen=True, slots=True)
class Ranked:
    """
    What a search found, and all that its order rests on.

    `keys` are those of the hits, best first, with scores in `scores`, which holds everybody whose
    score was compared at the end; `mixed` holds, before they were scaled, also those whom quotes or
    their number shut out. `words` is None where words gave no scores, `vectors` where meaning gave
    none; of a cosine in `vectors` only what is above `floor` is mixed, and `feedback` comes on top
    of both; `speakers` are those whose speaker the query names, and how; those `timed` tell a time,
    where one is asked for. `strength` is the score of what has the mix `top`, the best of all.
    """

    question: Question
    query: WordQuery
    evidence: Evidence
    context: Context
    vector: NDArray[np.float32] | None
    words: Scores | None
    vectors: Scores | None
    floor: float
    feedback: Feedback
    speakers: Mapping[int, AbstractSet[str]]
    timed: frozenset[int]
    mixed: Scores
    scores: Scores
    top: float
    strength: float
    keys: list[int]

    def scale(self, mixed: float) -> float:
        """Return the score of what has the mix *mixed*."""
        return self.strength * mixed / self.top if self.top > 0 else mixed


def rank(reading: Reading, question: Question, meaning: Meaning | None) -> Ranked:
    """Return who answers *question*, and why; *meaning* None leaves out that leg."""
    # The order of calls follows what each needs: the weights of the query's subwords need counts
    # (`evidence`), the nearest need the weighted vector, and the best need the candidates of both.
    # By words alone a score is the plain BM25 of the words that are asked for.
    query = word_query(question.text, repeats=question.mode == "hybrid")
    by_words = question.mode != "vector" or meaning is None
    asks_words = by_words or query.is_quoted
    evidence = reading.evidence(
        Inquiry(
            question.chosen,
            max(_WORD_CANDIDATES, 2 * question.k),
            words=query if asks_words else None,
            subwords=() if meaning is None else meaning.subwords,
        )
    )
    vector = None if meaning is None else meaning.among(evidence)
    # A vector without content is near to nothing.
    asked = vector if vector is not None and vector.any() else None
    context = _context(reading, question, query, evidence, asked)
    near = context.near
    order = lending_order(evidence, context)
    speakers = ranking.named_speakers(context.openings, query.terms)
    words = _words(evidence, context, order, speakers, question) if by_words else None
    vectors: Scores | None = None if vector is None else {}
    # Pairs of signs are often parts of other words: some of them together are no word yet.
    strength = evidence.coverage ** (1 + share_of_signs(query))
    if vector is not None and near is not None:
        if evidence.has_threads:
            vectors = _contextual(vector, near, words or {}, context, order)
        else:
            vectors = dict(zip(near.keys.tolist(), near.cosines.tolist(), strict=True))
        near_by = _above(max(vectors.values(), default=0.0), meaning)
        strength = 1 - (1 - strength) * (1 - near_by)
    floor = 0.0
    if meaning is not None and meaning.removes_median and by_words:
        # Where all cosines lie in a narrow band, all would have nearly the same share of the best.
        floor = ranking.floor_of(vectors or {}, meaning.unrelated)
    # What neighbours say of a record's subject is told first, since it decides who leads.
    by_both = words and vectors and evidence.has_threads
    lent = ranking.around(vectors or {}, order, floor=floor) if by_both else {}
    given, timed = Feedback({}, lent), frozenset[int]()
    mixed = _mix(question, words, vectors, given, floor)
    if words and vectors and evidence.quoted is None:
        best = _name_speakers(mixed, question, evidence, speakers)
        best = {key: best[key] for key in ranking.best(best, FOLLOWERS)}
        # One alone has nothing in common with others.
        has_leaders = strength >= LEAST_STRENGTH and len(best) > 1
        leaders = dict(islice(best.items(), LEADERS if has_leaders else 0))
        shortlist = Shortlist(
            best.keys(),
            query,
            leaders,
            # Not in threads: there a record takes on its neighbours' meanings already, and lost by
            # those of others.
            vectors=bool(leaders) and not evidence.has_threads,
            beginnings=LONGEST if asks_for_time(question.text) else 0,
            threads=evidence.has_threads,
        )
        if leaders or shortlist.beginnings:
            of_best, timed = _compare(reading, shortlist, floor)
            given = Feedback(of_best.words, add(of_best.vectors, lent))
            mixed = _mix(question, words, vectors, given, floor)
    scores = mixed
    if evidence.quoted is not None:
        stands = set(evidence.quoted.tolist())
        scores = {key: score for key, score in scores.items() if key in stands}
    scores = _name_speakers(scores, question, evidence, speakers)
    scores = ranking.with_times(scores, timed)
    top = max(scores.values(), default=0.0)
    if top > 0:
        # Shares of the best score rank well but say nothing about how good the best one is.
        scores = {key: strength * score / top for key, score in scores.items()}
    # Asked by meaning alone, what a filter lets through comes though it is like nothing asked.
    keys = ranking.best(scores, question.k, every=question.mode == "vector" and near is not None)
    return Ranked(
        question=question,
        query=query,
        evidence=evidence,
        context=context,
        vector=vector,
        words=words,
        vectors=vectors,
        floor=floor,
        feedback=given,
        speakers=speakers,
        timed=timed,
        mixed=mixed,
        scores=scores,
        top=top,
        strength=strength,
        keys=[key for key in keys if max(scores[key], 0.0) >= question.min_score],
    )


def answer(reading: Reading, question: Question, meaning: Meaning | None) -> tuple[Hit, ...]:
    """Return the best hits for *question*, best first; *meaning* None leaves out that leg."""
    found = rank(reading, question, meaning)
    return hits_of(found, reading.fetch(found.keys) if found.keys else ())


def hits_of(found: Ranked, records: Sequence[MemoryRecord]) -> tuple[Hit, ...]:
    """Return the *records* that were *found* with their scores."""
    words, vectors = found.words or {}, found.vectors or {}
    return tuple(
        Hit(
            record,
            score=max(found.scores[key], 0.0),
            words_score=words.get(key, 0.0) if found.question.mode != "vector" else None,
            vector_score=max(vectors[key], 0.0) if key in vectors else None,
        )
        for key, record in zip(found.keys, records, strict=True)
    )


def lending_order(evidence: Evidence, context: Context) -> ranking.Order:
    """Return the threads that the candidates by words touch: who lends words to whom."""
    known = evidence.words.keys() & context.neighbours.keys()
    return ranking.Order({key: context.neighbours[key] for key in known})


def _context(
    reading: Reading,
    question: Question,
    query: WordQuery,
    evidence: Evidence,
    vector: NDArray[np.float32] | None,
) -> Context:
    """Return the candidates by meaning, and what lies around all where threads are."""
    # More than *k*, because neighbours and the words leg may lift a record from further down.
    if evidence.has_threads:
        limit = max(_VECTOR_CANDIDATES, 2 * question.k)
        words = evidence.words.keys()
        return reading.context(Surroundings(words, question.chosen, query, vector, limit))
    if vector is None:
        return Context()
    limit = max(_NEAREST if question.mode == "vector" else _VECTOR_CANDIDATES, question.k)
    # What only words found would count as 0 without its cosine.
    near = reading.nearest(vector, question.chosen, limit, evidence.words.keys())
    return Context(near)


def _words(
    evidence: Evidence,
    context: Context,
    order: ranking.Order,
    speakers: Mapping[int, AbstractSet[str]],
    question: Question,
) -> Scores:
    """Return the words scores, with what neighbours in *order* lend."""
    candidates = evidence.words.keys()
    if not order.keys() and not speakers:
        return dict(evidence.words)
    names = frozenset[str]().union(*speakers.values())
    terms = [
        ranking.without_label(scores, term, speakers) if term in names else scores
        for term, scores in zip(context.asked, context.terms, strict=True)
    ]
    scores = ranking.in_context(terms, context.phrases, order)
    # A neighbour that the filter refuses may lend its words, but is no hit itself.
    for key in (scores.keys() - candidates) & context.refused:
        del scores[key]
    return _best(scores, max(_WORD_CANDIDATES, 2 * question.k))


def _contextual(
    vector: NDArray[np.float32],
    near: Nearest,
    words: Scores,
    context: Context,
    order: ranking.Order,
) -> Scores:
    nearest = set(near.keys.tolist())
    known = context.neighbours
    order.add({key: known[key] for key in (nearest - order.keys()) & known.keys()})
    if context.vectors is None:
        return {}
    return ranking.contextual_cosines(vector, nearest | words.keys(), context.vectors, order)


def _name_speakers(
    scores: Scores,
    question: Question,
    evidence: Evidence,
    speakers: Mapping[int, AbstractSet[str]],
) -> Scores:
    """Return the best of *scores*, with what those gain whose speaker the query names."""
    if not evidence.has_threads:
        return scores
    return ranking.with_speakers(_best(scores, max(_SPEAKERS, question.k)), speakers)


def _compare(reading: Reading, best: Shortlist, floor: float) -> tuple[Feedback, frozenset[int]]:
    """Return what the leaders of *best* give to those behind them, and who tells a time."""
    told = reading.compare(best)
    alike = {} if told.vectors is None else likeness(best.leaders, told.vectors)
    least = min(alike.values(), default=0.0) if floor else 0.0
    of_words = WORDS_SHARE / (1 - ranking.share_of_vectors(floor=floor))
    given = Feedback(
        {key: of_words * each for key, each in told.common.items()},
        {key: VECTOR_SHARE * (each - least) for key, each in alike.items()},
    )
    return given, frozenset(key for key, text in told.beginnings.items() if tells_time(text))


def _mix(
    question: Question,
    words: Scores | None,
    vectors: Scores | None,
    given: Feedback,
    floor: float,
) -> Scores:
    # No usable embedder: whatever the mode, words alone answer (a `FallbackWarning` told so).
    if question.mode == "words" or vectors is None:
        return words or {}
    if words is None:
        return vectors
    words, vectors = add(words, given.words), add(vectors, given.vectors)
    return ranking.fuse(words, vectors, floor=floor)


def _best(scores: Scores, limit: int) -> Scores:
    if len(scores) <= limit:
        return scores
    return {key: scores[key] for key in ranking.best(scores, limit, every=True)}


def _above(cosine: float, meaning: Meaning | None) -> float:
    """Return how far *cosine* is above what unrelated texts have, from 0 to 1."""
    floor = 0.0 if meaning is None else meaning.unrelated
    # What lies below the floor comes last, but comes: a note in another language is often there.
    return max((cosine - floor) / (1 - floor), _FAINT * cosine, 0.0)
