"""`Question`: what a search is asked, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clawstate.arguments import describe
from clawstate.errors import InvalidError
from clawstate.memory.filters import Filter
from clawstate.moments import Moment, end_seconds
from clawstate.paging import MAX_HITS

Mode = Literal["hybrid", "words", "vector"]
MODES: tuple[Mode, ...] = ("hybrid", "words", "vector")


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for; equal questions over equal records have equal answers."""

    text: str
    k: int
    mode: Mode
    chosen: Filter
    min_score: float
    as_of: float | None = None
    """The moment (s) whose records are asked; None for those of now."""


def question_from(
    query: str,
    *,
    k: int,
    mode: Mode,
    chosen: Filter,
    min_score: float,
    as_of: Moment | None = None,
) -> Question:
    """Return the question that a caller's arguments ask; raises `InvalidError`."""
    moment = None if as_of is None else end_seconds("as_of", as_of)
    return Question(_query(query), _count(k), _mode(mode), chosen, _bar(min_score), moment)


def _query(query: str) -> str:
    if not isinstance(query, str):
        raise InvalidError("query", f"is {type(query).__name__}, not a string")
    if not query or query.isspace():
        raise InvalidError("query", "is empty", "ask for something")
    # A query is not kept, so what is no Unicode is replaced, not refused. FTS5 would end at a NUL.
    return query.encode("utf-8", "replace").decode().replace("\0", " ")


def _count(k: int) -> int:
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= MAX_HITS:
        raise InvalidError("k", f"{describe(k)} is not a whole number from 1 to {MAX_HITS:,}")
    return k


def _bar(score: float) -> float:
    if isinstance(score, bool) or not isinstance(score, int | float) or score != score:  # noqa: PLR0124 - NaN
        raise InvalidError("min_score", "is not a number")
    return max(-1.0, min(score, 2.0))  # scores are from 0 to 1, so beyond that all bars are alike


def _mode(mode: Mode) -> Mode:
    if mode not in MODES:
        raise InvalidError("mode", f"{describe(mode)} is unknown", f"use one of {', '.join(MODES)}")
    return mode
