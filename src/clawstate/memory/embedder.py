"""What `Memory` asks of an `Embedder`: promises, no code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeGuard, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clawstate.memory.records import MemoryRecord

KnownVector: TypeAlias = "tuple[NDArray[np.float32], NDArray[np.uint16] | None]"
"""The vector that a text got, and its subwords where its embedder has some."""


@dataclass(frozen=True, slots=True)
class EmbedderIdentity:
    """
    Which vectors an embedder makes. Vectors of two identities are never mixed (decision 3).

    `dimensions` is the length of a vector, `normalised` whether it has length 1.
    """

    model: str
    dimensions: int
    normalised: bool = True


@dataclass(frozen=True, slots=True)
class Embedded:
    """A record with its vector (float32, or None while it waits for one) and its subwords."""

    record: MemoryRecord
    vector: NDArray[np.float32] | None = None
    subwords: NDArray[np.uint16] | None = None


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


# Asked by `isinstance`, so an embedder of the caller's own need not know this protocol.
@runtime_checkable
class SubwordEmbedder(Embedder, Protocol):
    """
    An embedder whose vector of a text is the mean of its subwords' vectors.

    It can weigh the subwords of a query by how rare they are among the records searched, which
    needs no second pass over those records: an engine only counts their subwords.
    """

    def subwords(self, texts: Sequence[str]) -> list[NDArray[np.uint16]]:
        """Return the subword numbers of each text, in order, repeats kept."""

    def pool(self, subwords: Sequence[NDArray[np.uint16]]) -> NDArray[np.float32]:
        """Return the unit mean vector of each row of *subwords*, as `embed` would."""

    def weigh(
        self, subwords: NDArray[np.uint16], counts: Mapping[int, int], total: int
    ) -> NDArray[np.float32]:
        """Return the unit vector of a query; *counts* and *total* are those of the records."""


_OF_SUBWORDS = ("subwords", "pool", "weigh")


def has_subwords(embedder: Embedder) -> TypeGuard[SubwordEmbedder]:
    """Tell whether *embedder* is a `SubwordEmbedder`."""
    # `isinstance` looks at the protocol itself each time, as long as several statements of SQLite.
    return all(hasattr(embedder, name) for name in _OF_SUBWORDS)
