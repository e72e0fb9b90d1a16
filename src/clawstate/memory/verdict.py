"""`Verdict`: what became of a record that one names in a search, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from clawstate.clock import to_iso
from clawstate.memory.explanation import Explanation, LegScore
from clawstate.quantities import number_of

Reason: TypeAlias = Literal[
    "shown",
    "below-min-score",
    "below-cut",
    "not-quoted",
    "not-compared",
    "no-match",
    "not-embedded",
    "filtered",
    "expired",
    "superseded",
    "archived",
    "forgotten",
    "unknown",
]
"""
What became of a record in a search.

`shown`: it is a hit. `below-min-score`, `below-cut`: its score is too low. `not-quoted`: it lacks
what stands in quotes, and others have it. `not-compared`: it matches, but too many match better.
`no-match`: no word of the query and no near meaning. `not-embedded`: no word of the query, and it
waits for its vector. `filtered`: it is not what was asked for. `superseded`: others took its place.
`archived`, `expired`, `forgotten`: it is no longer kept. `unknown`: nothing tells of it.
"""


@dataclass(frozen=True, slots=True)
class Unmet:
    """A demand of a filter that a record does not meet, in words, and what the record has."""

    demand: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """
    What became of one record in a search, and why.

    `reason` says it in a word (see `Reason`), `sentence` in full; `mode` is that of the search.
    `score` and `rank`, its place from 1 among the `compared`, are known where its score was
    compared; `least` is the score of the last of the `hits` that were shown. `vector_score` is the
    cosine of its meaning. `legs` tells what its
    own words and meaning count, also behind the candidates of a leg. `unmet` are the demands of the
    filter that it does not meet. `successors` are the ids of records that are kept in its place, if
    it is superseded, `ended_at` when that was, or the archiving. `is_embedded` tells
    whether it has a vector; None where it is not kept. The `explanation` is that of a hit.
    """

    id: str
    reason: Reason
    mode: str = "hybrid"
    source: str | None = None
    score: float | None = None
    rank: int | None = None
    vector_score: float | None = None
    compared: int = 0
    hits: int = 0
    least: float | None = None
    min_score: float = 0.0
    legs: Mapping[str, LegScore] = field(default_factory=dict)
    unmet: tuple[Unmet, ...] = ()
    expired_at: float | None = None
    successors: tuple[str, ...] = ()
    ended_at: float | None = None
    is_embedded: bool | None = None
    explanation: Explanation | None = None

    @property
    def sentence(self) -> str:
        """What became of it in words, without its name."""
        return "; ".join(self._clauses())

    def _clauses(self) -> Iterator[str]:
        score = f"with a score of {self.score or 0:.2f}"
        match self.reason:
            case "shown":
                yield f"hit {self.rank or 0:,} of {self.hits:,}, {score}"
            case "below-cut":
                yield f"place {self.rank or 0:,} of {self.compared:,}, {score}"
                yield f"the last of {number_of(self.hits, 'hit')} has {self.least or 0:.2f}"
            case "below-min-score":
                yield f"place {self.rank or 0:,} of {self.compared:,}, {score}"
                yield f"at least {self.min_score:.2f} was asked for"
            case "filtered":
                failed = (f"{each.demand} (it has {each.found})" for each in self.unmet)
                yield f"the filter leaves it out: {'; '.join(failed)}"
            case "expired":
                yield f"it expired at {to_iso(self.expired_at or 0)}"
            case "superseded":
                heirs = ", ".join(self.successors) or "another record, which is gone,"
                yield f"{heirs} took its place at {to_iso(self.ended_at or 0)}"
            case "archived":
                yield f"it is in the archive since {to_iso(self.ended_at or 0)}"
                yield f"'clawstate memory restore {self.id}' puts it back"
            case "not-compared" | "no-match" | "not-embedded":
                yield from self._behind()
            case _:
                yield _SENTENCES[self.reason]
        if self.is_embedded is False and self.reason not in {"shown", "filtered", "expired"}:
            yield "it has no vector yet, so only words can find it"

    def _behind(self) -> Iterator[str]:
        """Yield why no leg proposed it."""
        words, vector = self.legs.get("words"), self.legs.get("vector")
        cosine = self.vector_score or 0.0
        if words is not None:
            others = number_of(words.rank - 1, "other matches", "others match")
            yield f"{others} the words better"
        elif self.mode != "vector":
            yield "it has no word of the query"
        if vector is not None and cosine <= 0:
            yield f"its meaning is not like that of the query (cosine {cosine:.2f})"
        elif vector is not None:
            others = number_of(vector.rank - 1, "other is", "others are")
            yield f"{others} nearer in meaning (its cosine is {cosine:.2f})"
        elif self.mode != "words" and self.is_embedded:
            yield "meanings could not be compared"


_SENTENCES = {
    "not-quoted": "it does not have what stands in quotes, and others do",
    "forgotten": "it was forgotten",
    "unknown": "no such record is kept, and none from such a source; "
    "one that was removed when it had expired, or left its file, leaves no trace",
}
