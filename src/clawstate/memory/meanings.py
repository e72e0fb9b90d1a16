"""`Meanings`: the embedder that a memory uses, and what a query means to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawstate.errors import EmbeddingError, FallbackWarning, warn
from clawstate.memory import ingest
from clawstate.memory.contract import Embedder, EmbedderIdentity, MemoryEngine, SubwordEmbedder
from clawstate.memory.embedders import EmbedderChoice
from clawstate.memory.query_cache import QueryCache
from clawstate.memory.search import Meaning
from clawstate.memory.upkeep import usable_embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MAX_QUERY = 8192  # characters; what is longer is no question


class Meanings:
    """
    The embedder of one memory: *given*, or that of *choice* for what *engine* keeps.

    It is settled when it is first asked for. With *by_meaning* false there is none. Thread-safe.
    """

    def __init__(
        self,
        engine: MemoryEngine,
        given: Embedder | None,
        cache: QueryCache,
        *,
        by_meaning: bool,
        choice: EmbedderChoice,
    ) -> None:
        self._engine = engine
        self._given = given
        self._cache = cache
        self._by_meaning = by_meaning
        self._choice = choice
        self._usable: Embedder | None = None
        self._weighing: SubwordEmbedder | None = None
        self._is_settled = False

    def embedder(self) -> Embedder | None:
        """Return the embedder; None where there is no usable one, with a `FallbackWarning`."""
        if not self._is_settled:
            usable = None
            if self._by_meaning:
                usable = usable_embedder(self._engine, self._given, self._choice)
            self._usable = usable
            self._weighing = usable if isinstance(usable, SubwordEmbedder) else None
            self._is_settled = True
        return self._usable

    def identity(self) -> EmbedderIdentity | None:
        """Return which vectors the embedder makes; None where there is none."""
        embedder = self.embedder()
        return None if embedder is None else embedder.identity

    def of_query(self, embedder: Embedder, query: str) -> Meaning | None:
        """Return what *query* means to *embedder*; None if that fails, with a warning."""
        text = query[:_MAX_QUERY]
        # Embedders of others need not say these.
        unrelated = getattr(embedder, "unrelated", 0.0)
        removes_median = getattr(embedder, "removes_median", False)
        try:
            with ingest.embedder_errors():
                if self._weighing is None:
                    vector = self._cache.vector(text, lambda: _embed_query(embedder, text))
                    return Meaning(vector, unrelated=unrelated, removes_median=removes_median)
                (numbers,) = self._weighing.subwords([text])
        except EmbeddingError as error:
            warn(FallbackWarning(f"searching by words only: {error}"), stacklevel=3)
            return None
        return Meaning(
            numbers=numbers,
            embedder=self._weighing,
            unrelated=unrelated,
            removes_median=removes_median,
        )


def _embed_query(embedder: Embedder, text: str) -> NDArray[np.float32]:
    """Return the vector of *text* as a query, where *embedder* reads those in another way."""
    embed = getattr(embedder, "embed_query", None)
    vector: NDArray[np.float32] = embedder.embed([text])[0] if embed is None else embed(text)
    return vector
