"""What became of records that one names in a search: shown, or why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain

from clawstate.clock import to_ms
from clawstate.memory import ranking
from clawstate.memory.absent import present_successors
from clawstate.memory.contract import MemoryEngine
from clawstate.memory.demands import unmet_demands
from clawstate.memory.explaining import Explainer, leg_score, sum_fields
from clawstate.memory.explanation import LegScore
from clawstate.memory.filters import Condition, Filter, filter_from
from clawstate.memory.imports import Imports
from clawstate.memory.matching import lets_through
from clawstate.memory.questions import Question
from clawstate.memory.reading import Reading, Scores, Vectors
from clawstate.memory.records import MemoryRecord
from clawstate.memory.search import Meaning, Ranked, rank
from clawstate.memory.verdict import Reason, Verdict
from clawstate.memory.versions import RecordVersion


def find_verdicts(
    reading: Reading, question: Question, meaning: Meaning | None, name: str, *, now: float
) -> list[Verdict]:
    """
    Return what became of the record with the id *name*, or else of all that come from there.

    What was compared comes first, the best before the others; the rest as it was made.
    """
    by_id = Filter(namespace=None, tree=Condition("id", (), "eq", name))
    # In all namespaces: that it lies in another one is a reason, too.
    keys = reading.keys(by_id) or reading.keys(filter_from(namespace=None, source=name))
    if not keys:
        return []
    found = rank(reading, question, meaning)
    judge = _Judge(reading, found, keys, now)
    told = [judge.verdict(key) for key in keys]
    return sorted(told, key=lambda each: each.rank or len(found.mixed) + 1)


def find_missing(
    engine: MemoryEngine,
    imports: Imports,
    name: str,
    kept: AbstractSet[str],
    *,
    namespace: str,
    mode: str,
) -> list[Verdict]:
    """
    Return what is known of records that are there no more beside those *kept*.

    Of superseded, archived and forgotten ones; one verdict if nothing is known. An id *name* is
    looked for everywhere, a source in *namespace*.
    """
    if name not in kept:
        past = engine.versions.past([name])
        if past and past[-1].ending != "updated":
            return [_ended(engine, past[-1], mode)]
        if imports.were_forgotten([(name, b"")], namespace=None):
            return [Verdict(id=name, reason="forgotten")]
    chosen = filter_from(namespace=namespace, source=name)
    ended = {
        each.record.id: _ended(engine, each, mode)
        for each in engine.versions.ended(chosen)
        if each.record.id not in kept
    }
    sources = [
        each
        for each in sorted(imports.sources(namespace))
        if lets_through(chosen, MemoryRecord(text="", source=each, namespace=namespace), now=0)
    ]
    gone = [
        Verdict(id=each, reason="forgotten", source=source)
        for source, before in imports.look(sources, namespace=namespace).items()
        for each in sorted(before.forgotten - kept - ended.keys())
    ]
    told = [*ended.values(), *gone]
    return told if told or kept else [Verdict(id=name, reason="unknown")]


def _ended(engine: MemoryEngine, version: RecordVersion, mode: str) -> Verdict:
    """Return the verdict on a record of which *version* was the last."""
    record = version.record
    is_archived = version.ending == "archived"
    return Verdict(
        id=record.id,
        reason="archived" if is_archived else "superseded",
        mode=mode,
        source=record.source,
        successors=() if is_archived else present_successors(engine, record.id),
        ended_at=version.until,
    )


class _Judge:
    """What became of the records *keys* in the order *found*, as *reading* has them at *now*."""

    def __init__(self, reading: Reading, found: Ranked, keys: Sequence[int], now: float) -> None:
        self._found = found
        self._now = now
        self._explainer = Explainer(reading, found, keys)
        reasons = self._explainer.reasons
        every = found.question.mode == "vector"
        order = ranking.best(found.scores, len(found.scores), every=every)
        self._places = {key: place for place, key in enumerate(order, start=1)}
        self._shut_out = sorted(
            (score for key, score in found.mixed.items() if key not in found.scores), reverse=True
        )
        self._embedded = set(reasons.vectors.keys.tolist())
        self._cosines = _cosines(found, reasons.vectors)
        self._own = {"vector": {key: cosine - found.floor for key, cosine in self._cosines.items()}}
        if found.words is not None:
            fields = chain(*(each.scores.values() for each in reasons.parts))
            self._own["words"] = sum_fields(fields)

    def verdict(self, key: int) -> Verdict:
        """Return what became of *key*."""
        found, record = self._found, self._explainer.reasons.records[key]
        demands = unmet_demands(found.question.chosen, record)
        ends, legs = record.expires_at, self._legs_of(key)
        has_expired = ends is not None and to_ms(ends) <= to_ms(self._now)
        reason = "expired" if has_expired else "filtered" if demands else self._reason(key, legs)
        return Verdict(
            id=record.id,
            reason=reason,
            mode=found.question.mode,
            source=record.source,
            score=self._score(key),
            rank=self._place(key),
            vector_score=self._cosines.get(key),
            compared=len(found.mixed),
            hits=len(found.keys),
            least=max(found.scores[found.keys[-1]], 0.0) if found.keys else None,
            min_score=found.question.min_score,
            legs=legs,
            unmet=demands,
            expired_at=ends if has_expired else None,
            is_embedded=key in self._embedded,
            explanation=self._explainer.explanation(key) if reason == "shown" else None,
        )

    def _reason(self, key: int, legs: Mapping[str, LegScore]) -> Reason:
        found, place = self._found, self._place(key)
        if key in found.keys:
            return "shown"
        if not self._is_quoted(key):
            return "not-quoted"
        if place is not None:
            return "below-cut" if place > found.question.k else "below-min-score"
        is_near = found.words is None and self._cosines.get(key, 0.0) > 0
        if "words" in legs or is_near:
            return "not-compared"
        if found.vector is not None and key not in self._embedded:
            return "not-embedded"
        return "no-match"

    def _is_quoted(self, key: int) -> bool:
        """Tell whether *key* has what stands in quotes, or nobody needs to."""
        quoted = self._found.evidence.quoted
        return quoted is None or key in quoted

    def _place(self, key: int) -> int | None:
        """Return the place of *key* among all that were compared, the best first."""
        found = self._found
        if key in found.scores or found.mixed.get(key, 0.0) <= 0 or not self._is_quoted(key):
            return self._places.get(key)
        # Only the best are asked for their speaker; those behind them keep their order.
        return len(found.scores) + 1 + sum(each > found.mixed[key] for each in self._shut_out)

    def _score(self, key: int) -> float | None:
        if key in self._found.scores:
            return max(self._found.scores[key], 0.0)
        return None if self._place(key) is None else self._found.scale(self._found.mixed[key])

    def _legs_of(self, key: int) -> dict[str, LegScore]:
        told: dict[str, LegScore] = {}
        for leg in self._explainer.legs:
            score = leg.scores.get(key, self._own[leg.name].get(key))
            if score is not None:
                told[leg.name] = leg_score(leg, score)
        return told


def _cosines(found: Ranked, vectors: Vectors) -> Scores:
    """Return the cosines of all who have one of *vectors*, as they were compared in *found*."""
    if found.vector is None:
        return {}
    cosines = (vectors.matrix @ found.vector).tolist() if len(vectors.keys) else []
    told = dict(zip(vectors.keys.tolist(), cosines, strict=True))
    return {**told, **(found.vectors or {})}
