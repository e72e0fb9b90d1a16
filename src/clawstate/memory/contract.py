"""What `Memory` asks of an `Embedder` and of a `MemoryBackend`: promises, no code."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clawstate.memory.filters import Filter
    from clawstate.memory.records import MemoryRecord

Scores = dict[int, float]
"""Candidates of one leg: the key of a record to its score, higher is better."""


@dataclass(frozen=True, slots=True)
class EmbedderIdentity:
    """
    Which vectors an embedder makes. Vectors of two identities are never mixed (decision 16).

    `dimensions` is the length of a vector, `normalised` whether it has length 1.
    """

    model: str
    dimensions: int
    normalised: bool = True


class Embedder(Protocol):
    """Turns text into vectors. Thread-safe."""

    @property
    def identity(self) -> EmbedderIdentity:
        """Return which vectors `embed` makes."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """
        Return one row per text, shape (len(texts), dimensions), float32.

        A text without content gives a row of zeros. Raises `EmbeddingError`.
        """


@runtime_checkable
class SubwordEmbedder(Embedder, Protocol):
    """
    An embedder whose vector of a text is the mean of its subwords' vectors.

    It can weigh the subwords of a query by how rare they are among the records searched, which
    needs no second pass over those records: a backend only counts their subwords.
    """

    def subwords(self, texts: Sequence[str]) -> list[NDArray[np.uint16]]:
        """Return the subword numbers of each text, in order, repeats kept."""

    def pool(self, subwords: Sequence[NDArray[np.uint16]]) -> NDArray[np.float32]:
        """Return the unit mean vector of each row of *subwords*, as `embed` would."""

    def weighted(
        self, subwords: NDArray[np.uint16], counts: Mapping[int, int], total: int
    ) -> NDArray[np.float32]:
        """Return the unit vector of a query; *counts* and *total* are those of the records."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A record with its vector (float32, or None while it waits for one) and its subwords."""

    record: MemoryRecord
    vector: NDArray[np.float32] | None = None
    subwords: NDArray[np.uint16] | None = None


@dataclass(frozen=True, slots=True)
class WordQuery:
    """`terms` score one by one; `phrases` are pairs of neighbouring terms of the query."""

    terms: tuple[str, ...]
    phrases: tuple[tuple[str, str], ...] = ()


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


class MemoryView(Protocol):
    """One unchanging state of a backend. Keys are valid inside it only."""

    def version(self) -> Hashable:
        """Return what differs after every change of the records, by anybody."""

    def has_threads(self, chosen: Filter) -> bool:
        """Tell whether any record of the namespace of *chosen* belongs to a thread."""

    def count(self, chosen: Filter) -> int:
        """Return how many records the namespace of *chosen* holds, at most (expired included)."""

    def words(self, query: WordQuery, chosen: Filter, limit: int) -> tuple[Scores, Scores]:
        """Return the best *limit* by terms and the best *limit* by phrases (BM25 sums)."""

    def word_lists(
        self, query: WordQuery, keys: Iterable[int]
    ) -> tuple[list[Scores], list[Scores]]:
        """Return the BM25 of *keys* for each term and each phrase on its own."""

    def nearest(self, vector: NDArray[np.float32], chosen: Filter, limit: int) -> Scores:
        """Return the cosines of the best *limit* records that have a vector."""

    def vectors(self, keys: Iterable[int]) -> Vectors:
        """Return the vectors of those of *keys* that have one, in ascending order of keys."""

    def neighbours(self, keys: Iterable[int]) -> dict[int, Neighbours]:
        """Return the neighbours of each of *keys* that belongs to a thread."""

    def openings(self, keys: Iterable[int]) -> dict[int, str]:
        """Return the first characters (48 at least) of the texts of those in a thread."""

    def matching(self, keys: Iterable[int], chosen: Filter) -> set[int]:
        """Return those of *keys* that *chosen* lets through."""

    def fetch(self, keys: Sequence[int]) -> list[MemoryRecord]:
        """Return the records of *keys*, in that order."""

    def subword_counts(
        self, subwords: Iterable[int], namespace: str | None
    ) -> tuple[dict[int, int], int]:
        """Return how often each of *subwords* occurs in the namespace, and all subwords there."""


class MemoryBackend(Protocol):
    """
    A durable home of records. It stores and finds; it does not rank across legs.

    Every change is one transaction: on disk when the call returns, or not made at all.
    """

    def view(self) -> AbstractContextManager[MemoryView]:
        """Open one unchanging state for a search."""

    def embedder(self) -> EmbedderIdentity | None:
        """Return whose vectors are kept; None while there are none."""

    def upsert(self, records: Sequence[Embedded], *, embedder: EmbedderIdentity | None) -> None:
        """
        Keep *records*; an id that is kept already is replaced.

        Raises `ConflictError` when such an id lives in another namespace, `DimensionError` or
        `EmbeddingError` for vectors of another embedder than the state's.
        """

    def vectors_of(
        self, hashes: Sequence[bytes]
    ) -> dict[bytes, tuple[NDArray[np.float32], NDArray[np.uint16] | None]]:
        """Return the vectors already known for texts of these content hashes."""

    def get(self, ids: Sequence[str]) -> dict[str, MemoryRecord]:
        """Return those of *ids* that are kept and not expired."""

    def swap(
        self, old: MemoryRecord, new: Embedded, *, embedder: EmbedderIdentity | None
    ) -> MemoryRecord | None:
        """
        Put *new* in the place of *old*, in one step, and return it as it is kept.

        None when *old* is no longer what is kept. A *new* of the same text needs no vector: it
        keeps the one that is there.
        """

    def delete(self, ids: Sequence[str]) -> int:
        """Forget *ids*; return how many were kept."""

    def page(self, chosen: Filter, after: str | None, limit: int) -> list[MemoryRecord]:
        """Return the next *limit* records after the id *after*, in the order of ids."""

    def import_marks(self, namespace: str) -> dict[str, str]:
        """Return the sources that were imported whole, each with its fingerprint."""

    def begin_import(self, namespace: str, source: str) -> tuple[set[str], set[str]]:
        """
        Note that *source* is being imported, so not whole.

        Return the ids that it gave before, and those of them that were forgotten since.
        """

    def note_import(self, namespace: str, source: str, ids: Sequence[str]) -> None:
        """Note that *ids* come from *source*, before they are kept."""

    def finish_import(
        self, namespace: str, source: str, *, fingerprint: str | None, vanished: Sequence[str]
    ) -> int:
        """
        Note that *source* is imported whole and forget the ids in *vanished*, in one step.

        A *fingerprint* of None takes the note away. Returns how many records were forgotten.
        """

    def waiting(self, limit: int) -> list[MemoryRecord]:
        """Return records that still wait for a vector, oldest first."""

    def fill(self, records: Sequence[Embedded], *, embedder: EmbedderIdentity) -> int:
        """
        Give their vectors to those of *records* that still wait and have the same text.

        Nothing else of them changes. Returns how many those were.
        """

    def stats(self) -> dict[str, object]:
        """Return counts and sizes, for people to read."""

    def purge(self) -> int:
        """Remove the records that have expired; return how many."""

    def optimize(
        self,
        *,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Bring the derived indexes up to date; searches go on meanwhile."""

    def rebuild(self) -> None:
        """Make the derived indexes anew from the records."""

    def needs_optimizing(self) -> bool:
        """Tell whether `optimize` would make searches noticeably faster."""

    def findings(self, *, deep: bool) -> list[str]:
        """Return what is wrong with the files, a sentence each; *deep* reads everything."""

    def close(self) -> None:
        """Let go of files and threads."""
