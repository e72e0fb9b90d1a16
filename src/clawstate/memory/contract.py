"""What `Memory` asks of an `Embedder` and of a `MemoryEngine`: promises, no code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

# Part of this contract: by another name it is no export to a type checker.
from clawstate.memory.embedder import Embedded as Embedded  # noqa: PLC0414
from clawstate.memory.embedder import Embedder as Embedder  # noqa: PLC0414
from clawstate.memory.embedder import EmbedderIdentity as EmbedderIdentity  # noqa: PLC0414
from clawstate.memory.embedder import KnownVector as KnownVector  # noqa: PLC0414
from clawstate.memory.embedder import SubwordEmbedder as SubwordEmbedder  # noqa: PLC0414
from clawstate.memory.embedder import has_subwords as has_subwords  # noqa: PLC0414

if TYPE_CHECKING:
    from clawstate.memory.filters import Filter
    from clawstate.memory.forgetting import Compaction, Forgotten
    from clawstate.memory.ledger import ImportLedger
    from clawstate.memory.reading import Reading
    from clawstate.memory.records import MemoryRecord
    from clawstate.memory.replacement import VectorReplacement
    from clawstate.memory.versions import VersionStore
    from clawstate.paging import Position
    from clawstate.records.contract import Lease

Lend: TypeAlias = "Callable[[str, float, float], Lease]"
"""Returns the lease of a name for a ttl; raises `LockTimeoutError` after a wait; in seconds."""

DAMAGE: Final = "memory-damage"
"""The code of damage to what is kept: only a backup has it."""

INDEX: Final = "memory-index"
"""The code of damage to what derives from that: `rebuild` mends it without loss."""


class Capability(Enum):
    """What an engine can do beyond the contract that all of them keep."""

    # Some engines cannot promise these, so the tests of each ask only for what it declares.
    DURABLE = "what was acknowledged survives a power cut"
    SHARED = "several processes may use one memory at once"


class RecordStore(Protocol):
    """
    The records, their vectors, what waits for one, and what has expired.

    Every change is one transaction: on disk when the call returns, or not made at all.
    """

    def embedder(self) -> EmbedderIdentity | None:
        """Return whose vectors are kept; None while there are none."""

    def upsert(self, records: Sequence[Embedded], *, embedder: EmbedderIdentity | None) -> None:
        """
        Keep *records*; an id that is kept already is replaced.

        Raises `ConflictError` when such an id lives in another namespace, `DimensionError` or
        `EmbeddingError` for vectors of another embedder than the state's.
        """

    def get(self, ids: Sequence[str]) -> dict[str, MemoryRecord]:
        """Return those of *ids* that are kept and not expired."""

    # Compare-and-set and no lock: the text of *new* is embedded before, which may ask a server.
    def swap(
        self, old: MemoryRecord, new: Embedded, *, embedder: EmbedderIdentity | None
    ) -> MemoryRecord | None:
        """
        Put *new* in the place of *old*, in one step, and return it as it is kept.

        None when *old* is no longer what is kept. A *new* of the same text needs no vector: it
        keeps the one that is there.
        """

    def delete(self, ids: Sequence[str], *, for_good: bool = True) -> int:
        """
        Forget *ids*; return how many were kept.

        *for_good*: `imports.were_forgotten` tells of them from now on.
        """

    def page(self, chosen: Filter, after: str | None, limit: int) -> list[MemoryRecord]:
        """Return the next *limit* records after the id *after*, in the order of ids."""

    def latest(self, chosen: Filter, after: Position | None, limit: int) -> list[MemoryRecord]:
        """Return the next *limit* records behind *after*, in the order of `position_of`."""

    def waiting(self, limit: int) -> list[MemoryRecord]:
        """Return records that still wait for a vector, oldest first."""

    def fill(self, records: Sequence[Embedded], *, embedder: EmbedderIdentity) -> int:
        """
        Give their vectors to those of *records* that still wait and have the same text.

        Nothing else of them changes. Returns how many those were.
        """

    def purge(self) -> int:
        """Remove the records that have expired; return how many."""


class EmbeddingCache(Protocol):
    """The vectors of texts that are kept, or were for a while after they were forgotten."""

    def find(self, hashes: Sequence[bytes]) -> dict[bytes, KnownVector]:
        """Return what is known of texts of these content hashes."""


class MemoryEngine(RecordStore, Protocol):
    """
    A home of records: it stores and finds, and does not rank across legs. Safe for threads.

    Every method raises `CorruptError`, `VersionError`, `UnavailableError` and `ClosedError`, and
    when writing `LockTimeoutError`. Reading makes nothing.
    """

    @property
    def imports(self) -> ImportLedger:
        """What was imported from where."""

    @property
    def embeddings(self) -> EmbeddingCache:
        """The vectors that are known already."""

    @property
    def replacement(self) -> VectorReplacement:
        """The vectors of another embedder that are to take the place of those kept."""

    @property
    def versions(self) -> VersionStore:
        """What records were, and which others took the place of."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the engine can do beyond the contract."""

    def reading(self, *, as_of: float | None = None) -> AbstractContextManager[Reading]:
        """
        Open one unchanging state for a search: the present one, or that of *as_of* (s).

        That has the records made by then, each in its version of then, also if another took its
        place since; not what was forgotten, or whose time is over by now or was by then.
        """

    def stats(self) -> dict[str, object]:
        """Return counts and sizes, for people to read."""

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

    def forget(self, ids: Sequence[str]) -> list[Forgotten]:
        """Forget *ids* as `delete` does, and return what went of those that were kept."""

    def uncompacted(self) -> int:
        """Return how many changes left bytes behind that `compact` would clear."""

    def compact(
        self,
        *,
        patience: float,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Compaction:
        """
        Leave no byte of what was forgotten or changed before, and give back the space.

        Searches go on meanwhile, and writers wait shortly. After *patience* (seconds) of others who
        read or write all the time it gives up, which the result tells.
        """

    def check(self, *, deep: bool) -> list[tuple[str, str]]:
        """Return what is wrong, a code (`DAMAGE`, `INDEX`) and a sentence; *deep* reads it all."""

    def close(self) -> None:
        """Let go of files and threads."""
