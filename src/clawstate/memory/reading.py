"""What a search asks of one unchanging state of a `MemoryEngine`: promises, no code."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clawstate.memory.embedder import EmbedderIdentity
    from clawstate.memory.explanation import WordPart
    from clawstate.memory.filters import Filter
    from clawstate.memory.records import MemoryRecord

Scores = dict[int, float]
"""Candidates of one leg: the key of a record to its score, higher is better."""


@dataclass(frozen=True, slots=True)
class WordQuery:
    """
    What a query asks of the words, in terms as they are indexed.

    `terms` score one by one; `phrases` are terms that stood side by side, and score when they do;
    `quoted` stood in quotes, needed where all of the query `is_quoted`. `parts` are the terms to
    fall back on where a joined number, such as a date, stands nowhere. `name` is all of it as one.
    `repeated` are terms that count more, and how often they stand in it. `spellings` are terms with
    the words that they are of, as they stand in it, which have stems in other languages.
    """

    terms: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...] = ()
    quoted: tuple[tuple[str, ...], ...] = ()
    is_quoted: bool = False
    parts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    name: str = ""
    repeated: tuple[tuple[str, int], ...] = ()
    spellings: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Inquiry:
    """
    What a search wants to know of the records that *chosen* lets through.

    *words* None leaves the words out; *limit* bounds their candidates; *subwords* of the query are
    counted.
    """

    chosen: Filter
    limit: int
    words: WordQuery | None = None
    subwords: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    What a search begins with: candidates by words, and counts of the namespace.

    `words` are the best by the sum of BM25 of all terms and phrases (k1 = 1.2, b = 0.75, over all
    namespaces, each field by its own lengths), so that scores mean the same on
    every engine. `coverage` tells how much of the query the best of them holds, from 0 to 1, the
    rarer a term the more. `quoted` are, ascending, the records that hold all that stood in quotes;
    None where nothing did, or no record does. `occurrences` says how often each subword occurs,
    `subwords` how many there are in all.
    """

    words: Scores = field(default_factory=dict)
    coverage: float = 0.0
    quoted: NDArray[np.int64] | None = None
    has_threads: bool = False
    occurrences: Mapping[int, int] = field(default_factory=dict)
    subwords: int = 0


@dataclass(frozen=True, slots=True)
class Nearest:
    """Records near a vector: `keys` int64 (n,) in any order, `cosines` float32 (n,)."""

    keys: NDArray[np.int64]
    cosines: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    What a search of threads wants to know of its candidates: of *keys*, and of whom they stand by.

    The terms and phrases of *words* are scored one by one. With a *vector*, the best *limit* near
    it of those that *chosen* lets through are candidates as well, and all vectors are wanted.
    """

    keys: AbstractSet[int]
    chosen: Filter
    words: WordQuery
    vector: NDArray[np.float32] | None = None
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The keys of up to two records before and after one in its thread, the nearest first."""

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Vectors:
    """`matrix` float32 (n, d), a row for each of `keys`; `lengths` int64 (n,), in subwords."""

    keys: NDArray[np.int64]
    matrix: NDArray[np.float32]
    lengths: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Context:
    """
    What `Surroundings` asked for, of the candidates and of their `neighbours` in their threads.

    `near` are the candidates near the vector. `terms` and `phrases` hold what each counts on its
    own (as does the whole query as a name) in *keys* and their neighbours; `asked` are the terms
    that `terms` are of; `openings` the first 400 characters of the texts that belong to a thread;
    `refused` those neighbours that the filter does not let through. `vectors` has the records that
    have one. Without a vector `near` and `vectors` are None.
    """

    near: Nearest | None = None
    neighbours: Mapping[int, Neighbours] = field(default_factory=dict)
    asked: Sequence[str] = ()
    terms: Sequence[Scores] = ()
    phrases: Sequence[Scores] = ()
    openings: Mapping[int, str] = field(default_factory=dict)
    refused: AbstractSet[int] = frozenset()
    vectors: Vectors | None = None


@dataclass(frozen=True, slots=True)
class Shortlist:
    """
    What a search wants to know of its best candidates *keys* before it settles their order.

    How much they hold of what several texts of *leaders*, some of them, have in common, the terms
    of *words* apart, less of long texts where *threads* are; *vectors*: their own; *beginnings*: so
    many characters of their texts.
    """

    keys: AbstractSet[int]
    words: WordQuery
    leaders: Scores = field(default_factory=dict)
    vectors: bool = False
    beginnings: int = 0
    threads: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    What `Shortlist` asked for.

    `common` are scores. Where the query as a whole is the name of a record nothing is in common:
    that record is meant and none like it, so `common` is empty and `vectors` None.
    """

    common: Scores = field(default_factory=dict)
    vectors: Vectors | None = None
    beginnings: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reasons:
    """
    What explains the scores of some keys: their `records`, and `vectors` of those that have one.

    `parts` tell what each part of a query counts in them; the sum of all is in `Evidence.words`.
    """

    records: Mapping[int, MemoryRecord]
    parts: Sequence[WordPart]
    vectors: Vectors


class WordIndex(Protocol):
    """Who holds which stems, as of one moment."""

    def evidence(self, inquiry: Inquiry) -> Evidence:
        """Return the candidates by words, and what is counted."""


class VectorIndex(Protocol):
    """Who is near a vector, as of one moment."""

    def nearest(
        self, vector: NDArray[np.float32], chosen: Filter, limit: int, also: AbstractSet[int] = ...
    ) -> Nearest:
        """Return the best *limit* with exact cosines, and those of *also* that have a vector."""


class Reading(WordIndex, VectorIndex, Protocol):
    """
    One unchanging state of an engine. Keys are valid inside it only, and grow with time.

    A search makes four calls at most, for each may be a round trip to a server: `evidence`;
    `nearest`, or where threads are `context`; `compare`; and `fetch`, or `reasons` to explain hits.
    """

    @property
    def version(self) -> Hashable:
        """What differs after every change of the records, by anybody."""

    @property
    def embedder(self) -> EmbedderIdentity | None:
        """Whose vectors are kept; None while there are none."""

    def context(self, around: Surroundings) -> Context:
        """Return candidates by meaning, and what lies around all candidates."""

    def compare(self, best: Shortlist) -> Comparison:
        """Return what the best candidates have in common."""

    def fetch(self, keys: Sequence[int]) -> list[MemoryRecord]:
        """Return the records of *keys*, in that order."""

    def reasons(self, words: WordQuery | None, keys: AbstractSet[int]) -> Reasons:
        """Return what explains the scores of *keys*; *words* None leaves out the parts."""

    def keys(self, chosen: Filter) -> list[int]:
        """Return the keys of all that *chosen* lets through, and of such as have expired."""
