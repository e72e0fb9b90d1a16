"""The JSON form of the reasons of a search."""

from __future__ import annotations

from typing import Any, cast

from clawstate.memory.explanation import Explanation, LegScore, PartKind, ScorePart
from clawstate.memory.verdict import Reason, Unmet, Verdict
from clawstate.wire.members import Members, times

_PLACES = 6  # two more than scores have, so that the parts add up to one as it is shown


def write_explanation(told: Explanation) -> dict[str, Any]:
    """Return *told*; its parts in their order, its legs by name."""
    return {
        "score": round(told.score, _PLACES),
        "parts": [write_part(each) for each in told.parts],
        "legs": {name: write_leg(each) for name, each in told.legs.items()},
        "factor": round(told.factor, _PLACES),
        "top": round(told.top, _PLACES),
        "strength": round(told.strength, _PLACES),
        "missing": list(told.missing),
        "equals": told.equals,
    }


def read_explanation(document: Any) -> Explanation:
    """Return the explanation of *document*."""
    told = Members(document, "explanation")
    return Explanation(
        score=told.number("score"),
        parts=tuple(map(read_part, told.items("parts"))),
        legs={name: read_leg(each) for name, each in told.mapping("legs").items()},
        factor=told.number("factor"),
        top=told.number("top"),
        strength=told.number("strength"),
        missing=told.texts("missing"),
        equals=told.integer("equals"),
    )


def write_part(part: ScorePart) -> dict[str, Any]:
    """Return *part*."""
    return {
        "kind": part.kind,
        "points": round(part.points, _PLACES),
        "value": round(part.value, _PLACES),
        "leg": part.leg,
        "term": part.term,
        "written": part.written,
        "field": part.field,
        "language": part.language,
        "lenders": list(part.lenders),
    }


def read_part(document: Any) -> ScorePart:
    """Return the part of *document*."""
    told = Members(document, "part")
    return ScorePart(
        kind=cast("PartKind", told.text("kind")),
        points=told.number("points"),
        value=told.number("value"),
        leg=told.text("leg"),
        term=told.text("term"),
        written=told.text("written"),
        field=told.text("field"),
        language=told.maybe_text("language") or "",
        lenders=told.texts("lenders"),
    )


def write_leg(leg: LegScore) -> dict[str, Any]:
    """Return *leg*."""
    return {
        "score": round(leg.score, _PLACES),
        "best": round(leg.best, _PLACES),
        "share": leg.share,
        "rank": leg.rank,
        "compared": leg.compared,
    }


def read_leg(document: Any) -> LegScore:
    """Return the leg of *document*."""
    told = Members(document, "leg")
    return LegScore(
        score=told.number("score"),
        best=told.number("best"),
        share=told.number("share"),
        rank=told.integer("rank"),
        compared=told.integer("compared"),
    )


def write_verdict(verdict: Verdict) -> dict[str, Any]:
    """Return *verdict*, with its sentence."""
    told, cosine = verdict.explanation, verdict.vector_score
    return {
        "id": verdict.id,
        "reason": verdict.reason,
        "sentence": verdict.sentence,
        "mode": verdict.mode,
        "source": verdict.source,
        "score": None if verdict.score is None else round(verdict.score, _PLACES),
        "rank": verdict.rank,
        "vectorScore": None if cosine is None else round(cosine, _PLACES),
        "compared": verdict.compared,
        "hits": verdict.hits,
        "least": None if verdict.least is None else round(verdict.least, _PLACES),
        "minScore": verdict.min_score,
        "legs": {name: write_leg(each) for name, each in verdict.legs.items()},
        "unmet": [write_unmet(each) for each in verdict.unmet],
        **times(expiredAt=verdict.expired_at),
        "successors": list(verdict.successors),
        **times(endedAt=verdict.ended_at),
        "isEmbedded": verdict.is_embedded,
        "explanation": None if told is None else write_explanation(told),
    }


def read_verdict(document: Any) -> Verdict:
    """Return the verdict of *document*."""
    told = Members(document, "verdict")
    reasons = document.get("explanation")
    return Verdict(
        id=told.text("id"),
        reason=cast("Reason", told.text("reason")),
        mode=told.text("mode"),
        source=told.maybe_text("source"),
        score=told.maybe_number("score"),
        rank=told.maybe_integer("rank"),
        vector_score=told.maybe_number("vectorScore"),
        compared=told.integer("compared"),
        hits=told.integer("hits"),
        least=told.maybe_number("least"),
        min_score=told.number("minScore"),
        legs={name: read_leg(each) for name, each in told.mapping("legs").items()},
        unmet=tuple(map(read_unmet, told.items("unmet"))),
        expired_at=told.maybe_moment("expiredAt"),
        successors=told.texts("successors"),
        ended_at=told.maybe_moment("endedAt"),
        is_embedded=None if document.get("isEmbedded") is None else told.truth("isEmbedded"),
        explanation=None if reasons is None else read_explanation(reasons),
    )


def write_unmet(demand: Unmet) -> dict[str, Any]:
    """Return *demand*, and what the record has."""
    return {"demand": demand.demand, "found": demand.found}


def read_unmet(document: Any) -> Unmet:
    """Return the demand of *document*."""
    told = Members(document, "demand")
    return Unmet(told.text("demand"), told.text("found"))
