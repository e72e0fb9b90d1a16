"""What gave the score of a hit: values, no code of a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

PartKind: TypeAlias = Literal[
    "word",
    "phrase",
    "quote",
    "name",
    "meaning",
    "median",
    "neighbours",
    "feedback",
    "speaker",
    "time",
]
"""
What gave a part of a score.

A `word` of the query; a `phrase`, words that stand side by side in it; a `quote`, what stands in
quotes there; the whole query as the `name` of the record; the `meaning` of the record's own text,
less most of the `median` of the records compared where the embedder asks for that; its `neighbours`
in its thread; `feedback`, what it shares with the best hits; the `speaker` whom the query names;
the `time` that it asks for and the record tells.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePart:
    """
    One reason of a score.

    `points` is how much of the score it gave; the points of all parts add up to the score. `value`
    is what it counts in its `leg` (`words`: BM25, `vector`: a cosine; empty for a speaker). `term`
    is the word as it is indexed (a stem), `written` as the record writes it (the query, where a
    neighbour lent it), `field` where it stands there (`text`, `headings`, `title`, `names`). Where
    it stands there in another form, `term` is the stem of both in the `language` of the record.
    `lenders` are the ids of the neighbours that gave it.
    """

    kind: PartKind
    points: float = 0.0
    value: float = 0.0
    leg: str = ""
    term: str = ""
    written: str = ""
    field: str = ""
    language: str = ""
    lenders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LegScore:
    """
    What one leg of a search thought of a record: the `score` that the leg gave it.

    `best` is the highest that it gave, `share` what that counts in the mix of the legs, from 0 to
    1. The record is number `rank` of those `compared`, from 1.
    """

    score: float
    best: float
    share: float
    rank: int
    compared: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """
    Where a score comes from.

    `parts`, what gave most first, add up to `score`. `legs` maps `words` and `vector` to what they
    thought; a leg that was not asked, or has nothing of the record, is missing. A record's mix is
    the sum over the legs of `share * score / best`, without what is below 0, times `factor`; its
    score is `strength * mix / top`: `top` is the highest mix, `strength` how well that one answers
    the query on its own, from 0 to 1. `factor` is above 1 if the query names the speaker, or asks
    for a time that the record tells. `missing` are the words of the query that neither the record
    nor its neighbours have. `equals` counts others with the same score: of those the older comes
    first, and age counts nowhere else.
    """

    score: float
    parts: tuple[ScorePart, ...] = ()
    legs: Mapping[str, LegScore] = field(default_factory=dict)
    factor: float = 1.0
    top: float = 0.0
    strength: float = 0.0
    missing: tuple[str, ...] = ()
    equals: int = 0


@dataclass(frozen=True, slots=True)
class WordPart:
    """
    What one part of a query counts in some records: `scores` by the name of the field, and key.

    `kind` is `word`, `phrase` (`terms` side by side), `quote` (the same, which stood in quotes) or
    `name` (the whole query as one).
    """

    kind: Literal["word", "phrase", "quote", "name"]
    terms: tuple[str, ...]
    scores: Mapping[str, Mapping[int, float]]
