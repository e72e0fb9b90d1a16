"""The JSON form of the reasons of a search."""

from __future__ import annotations

from typing import Any, cast

from clawstate.memory.explanation import Explanation, LegScore, PartKind, ScorePart
from clawstate.wire.members import Members

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
