"""
Where the scores of a search come from.

Nothing is ranked anew: what a part gave is asked of the functions of `ranking` that ranked it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from clawstate.memory import ranking
from clawstate.memory.analysis import FIELD_NAMES, fields_of, joined_numbers, stems
from clawstate.memory.explanation import Explanation, LegScore, ScorePart, WordPart
from clawstate.memory.feedback import add
from clawstate.memory.letters import VOWELLED, fold
from clawstate.memory.questions import Question
from clawstate.memory.reading import Reading, Scores
from clawstate.memory.records import Hit
from clawstate.memory.search import Meaning, Ranked, hits_of, lending_order, rank
from clawstate.memory.stemming import languages_of, written_form

_WORD = re.compile(f"[\\w{VOWELLED}]+(?:[-./:'][\\w{VOWELLED}]+)*")


def explained_answer(
    reading: Reading, question: Question, meaning: Meaning | None
) -> tuple[Hit, ...]:
    """Return the hits that `answer` would, each with its explanation."""
    found = rank(reading, question, meaning)
    if not found.keys:
        return ()
    explainer = Explainer(reading, found, found.keys)
    records = [explainer.reasons.records[key] for key in found.keys]
    return tuple(
        replace(hit, explanation=explainer.explanation(key))
        for key, hit in zip(found.keys, hits_of(found, records), strict=True)
    )


class Leg(NamedTuple):
    """The scores of a leg, what of them feedback gave, its share, its best, and a point's worth."""

    name: str
    scores: Scores
    given: Scores
    share: float
    best: float
    unit: float


class _Asked(NamedTuple):
    """A part of the query: what it counts on its own, and with what neighbours lend."""

    part: WordPart
    own: Scores
    lent: Scores


class Explainer:
    """What gave their scores to those of the records *keys* that are hits in *found*."""

    def __init__(self, reading: Reading, found: Ranked, keys: Sequence[int]) -> None:
        self._found = found
        self.legs = list(find_legs(found))
        self._lending = lending_order(found.evidence, found.context)
        self._beside = ranking.Order(found.context.neighbours)
        hits = set(found.keys).intersection(keys)
        near = {each for key in hits for each in self._beside.near(key) if each >= 0}
        query = None if found.words is None else found.query
        self.reasons = reading.reasons(query, {*keys, *near})
        self._records = self.reasons.records
        self._asked: list[_Asked] = []
        for part in self.reasons.parts:
            counted = self._without_label(part)
            own = sum_fields(counted.scores.values())
            self._asked.append(_Asked(counted, own, ranking.in_context([own], (), self._lending)))

    def explanation(self, key: int) -> Explanation:
        """Return where the score of *key* comes from."""
        found = self._found
        parts = [part for leg in self.legs if key in leg.scores for part in self._of(leg, key)]
        mixed = sum(each.points for each in parts)
        raised = self._speaker(key, mixed)
        raised += self._time(key, mixed + sum(each.points for each in raised))
        return Explanation(
            score=max(found.scores[key], 0.0),
            parts=tuple(sorted([*parts, *raised], key=lambda each: -each.points)),
            legs={
                leg.name: leg_score(leg, leg.scores[key]) for leg in self.legs if key in leg.scores
            },
            factor=1 + sum(each.points for each in raised) / mixed if mixed > 0 else 1.0,
            top=_top(found, self.legs),
            strength=found.strength,
            missing=tuple(dict.fromkeys(self._missing(key))),
            equals=ranking.equals(found.scores, key),
        )

    def _of(self, leg: Leg, key: int) -> Iterator[ScorePart]:
        """Yield what *leg* gave to *key*."""
        # What is below 0 counts as nothing, so nothing that it is made of counts.
        unit = leg.unit if leg.scores[key] > 0 else 0.0
        for each in self._words(key) if leg.name == "words" else self._meaning(key):
            yield replace(each, leg=leg.name, points=unit * each.value or 0.0)  # not -0.0
        if value := leg.given.get(key, 0.0):
            part = ScorePart(kind="feedback", leg=leg.name, value=value, points=unit * value)
            if leg.name == "vector" and self._found.evidence.has_threads:
                lenders = self._ids(self._beside.near(key)[:2])
                part = replace(part, kind="neighbours", lenders=lenders)
            yield part

    def _words(self, key: int) -> Iterator[ScorePart]:
        fields = dict(zip(FIELD_NAMES, fields_of(self._records[key]), strict=True))
        for part, own, lent in self._asked:
            for name, scores in part.scores.items():
                if value := scores.get(key, 0.0):
                    yield replace(self._written(part, name, fields), value=value)
            term = " ".join(part.terms).removeprefix("=")
            value = lent.get(key, 0.0) - own.get(key, 0.0)
            if value > 0:
                lenders = self._ids(each for each in self._lending.near(key) if each in own)
                asked = " ".join(_spelling(each, self._found.question.text) for each in part.terms)
                yield ScorePart(
                    kind="neighbours", value=value, term=term, written=asked, lenders=lenders
                )

    def _written(self, part: WordPart, name: str, fields: Mapping[str, str]) -> ScorePart:
        """Return how the field *name* of a record writes *part*, as a reason without its points."""
        term = " ".join(part.terms).removeprefix("=")
        found = [_find_spelling(each, fields[name]) for each in part.terms]
        if part.kind == "word" and found == [None]:
            words = dict(self._found.query.spellings).get(part.terms[0], ())
            languages = languages_of("\n".join(filter(None, fields.values())))
            written, stem, language = written_form(words, fields[name], languages)
            if written:
                return ScorePart(
                    kind="word", term=stem, written=written, field=name, language=language
                )
        written = " ".join(_spelling(each, fields[name]) for each in part.terms)
        return ScorePart(kind=part.kind, term=term, written=written, field=name)

    def _meaning(self, key: int) -> Iterator[ScorePart]:
        found = self._found
        cosine = alone = (found.vectors or {})[key]
        vectors = found.context.vectors
        lenders = self._ids(self._beside.near(key)[:2])
        if lenders and vectors is not None and found.vector is not None:
            nobody = ranking.Order({})
            alone = ranking.contextual_cosines(found.vector, [key], vectors, nobody)[key]
        yield ScorePart(kind="meaning", value=alone)
        if found.floor:
            yield ScorePart(kind="median", value=-found.floor)
        if lenders:
            yield ScorePart(kind="neighbours", value=cosine - alone, lenders=lenders)

    def _without_label(self, part: WordPart) -> WordPart:
        """Return *part* as it was counted where a text opens with it as a name."""
        if part.kind != "word":
            return part
        (term,), speakers = part.terms, self._found.speakers
        return replace(
            part,
            scores={
                field: ranking.without_label(dict(scores), term, speakers)
                for field, scores in part.scores.items()
            },
        )

    def _speaker(self, key: int, mixed: float) -> list[ScorePart]:
        speakers = self._found.speakers
        points = ranking.with_speakers({key: mixed}, speakers)[key] - mixed
        if points <= 0:
            return []
        return [ScorePart(kind="speaker", points=points, term=" ".join(sorted(speakers[key])))]

    def _time(self, key: int, mixed: float) -> list[ScorePart]:
        points = ranking.with_times({key: mixed}, self._found.timed)[key] - mixed
        return [ScorePart(kind="time", points=points)] if points > 0 else []

    def _missing(self, key: int) -> Iterator[str]:
        text = self._found.question.text
        for part, _, lent in self._asked:
            if part.kind == "word" and not lent.get(key):
                yield _spelling(part.terms[0], text)

    def _ids(self, keys: Iterable[int]) -> tuple[str, ...]:
        return tuple(self._records[each].id for each in keys if each in self._records)


def find_legs(found: Ranked) -> Iterator[Leg]:
    """Yield the legs that gave the scores of *found*."""
    words, vectors = found.words, found.vectors
    if words is not None and vectors is not None:
        given = found.feedback
        words, vectors = add(words, given.words), add(vectors, given.vectors)
        legs = ranking.legs_of(words, vectors, floor=found.floor)
        for name, more, (scores, share, best) in zip(("words", "vector"), given, legs, strict=True):
            unit = found.scale(share / best) if best > 0 else 0.0
            yield Leg(name, scores, more, share, best, unit)
        return
    # One leg alone is not mixed: its scores are scaled as they are.
    name, scores = ("vector", vectors or {}) if words is None else ("words", words)
    best = max(scores.values(), default=0.0)
    yield Leg(name, scores, {}, 1.0, best, found.scale(1.0) if best > 0 else 0.0)


def _top(found: Ranked, legs: list[Leg]) -> float:
    """Return the highest mix, of shares."""
    if len(legs) > 1 or legs[0].best <= 0:
        return max(found.top, 0.0)
    return found.top / legs[0].best


def leg_score(leg: Leg, score: float) -> LegScore:
    """Return where *score* stands in *leg*, of a candidate or of somebody behind them."""
    place = 1 + sum(each > score for each in leg.scores.values())
    return LegScore(
        score=score, best=leg.best, share=leg.share, rank=place, compared=len(leg.scores)
    )


def sum_fields(fields: Iterable[Mapping[int, float]]) -> Scores:
    """Return the scores of all *fields* together."""
    total: Scores = {}
    for scores in fields:
        for key, score in scores.items():
            total[key] = total.get(key, 0.0) + score
    return total


def _spelling(term: str, text: str) -> str:
    """Return how *text* writes *term* where it stands first; else the term."""
    return _find_spelling(term, text) or term.removeprefix("=")


def _find_spelling(term: str, text: str) -> str | None:
    for found in _WORD.finditer(text):
        folded = fold(found[0])
        if term in {*stems(folded), *joined_numbers(folded)}:
            return found[0]
    return None
