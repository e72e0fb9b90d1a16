"""`Meanings`: the embedder that a memory uses, and what a query means to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from clawstate.errors import EmbeddingError, FallbackWarning, warn
from clawstate.memory import ingest
from clawstate.memory.contract import (
    Embedder,
    EmbedderIdentity,
    MemoryEngine,
    SubwordEmbedder,
    has_subwords,
)
from clawstate.memory.embedders import EmbedderChoice
from clawstate.memory.query_cache import QueryCache
from clawstate.memory.search import Meaning

T = TypeVar("T")

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BY_WORDS_ONLY = "searching by words only"
"""How the warning of a search begins that cannot compare meanings."""

_MAX_QUERY = 8192  # characters; what is longer is no question


@dataclass(frozen=True, slots=True)
class InUse:
    """
    The `embedder` for a memory that kept vectors of `kept` when it was chosen.

    None: the memory is searched by words alone, and what is added waits for its vector.
    """

    kept: EmbedderIdentity | None
    embedder: Embedder | None
    weighing: SubwordEmbedder | None = None
    """The embedder, if it can weigh the subwords of a query."""
    later: bool = False
    """Whether records are kept before it embeds them."""

    @property
    def identity(self) -> EmbedderIdentity | None:
        """Return whose vectors the embedder makes."""
        return None if self.embedder is None else self.embedder.identity

    def is_for(self, kept: EmbedderIdentity | None) -> bool:
        """Tell whether it is the choice for a memory that keeps vectors of *kept*."""
        if kept == self.kept or self.embedder is None:
            return kept == self.kept
        try:
            return kept == self.identity
        except EmbeddingError:
            return False  # a server that tells its dimensions alone, and is away


class Meanings:
    """
    The embedder of one memory: *given*, or that of *choice* for what *engine* keeps.

    It is chosen when it is first asked for; with *by_meaning* false there is none. Another process
    may replace all vectors by those of another embedder (`Memory.reembed`) at any time: whoever
    finds vectors that are not of the embedder chosen has it chosen anew. Thread-safe.
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
        self.given = given
        self._foreign = given
        self._cache = cache
        self.by_meaning = by_meaning
        self.choice = choice
        self._chosen: InUse | None = None

    @property
    def fills_later(self) -> bool:
        """Whether records wait for vectors of the embedder in use, as far as one was chosen."""
        chosen = self._chosen
        return chosen is not None and chosen.later

    def embedder(self) -> Embedder | None:
        """Return the embedder; None where there is no usable one, with a `FallbackWarning`."""
        return self.current().embedder

    def current(self) -> InUse:
        """Return the embedder in use, chosen at the first call."""
        chosen = self._chosen
        return self.renew() if chosen is None else chosen

    def renew(self) -> InUse:
        """Choose the embedder for the vectors that are kept now, and return it."""
        chosen = self._chosen or InUse(None, None)
        if self.by_meaning:
            kept = self._engine.embedder()
            if self._chosen is None or not chosen.is_for(kept):
                usable = _usable_embedder(kept, self.given, self.choice)
                # Looked at once: a search would take half as long again to ask for it. Not of one
                # that embeds later, which may have to ask its server.
                later = ingest.embeds_later(usable)
                weighing = None
                if not later and usable is not None and has_subwords(usable):
                    weighing = usable
                if usable is not chosen.embedder:
                    self.close()
                chosen = InUse(kept, usable, weighing, later)
        # In one step, so that no other thread sees the embedder of one choice with the vectors of
        # another.
        self._chosen = chosen
        return chosen

    def obstacle(self) -> EmbeddingError | None:
        """Return why there is no usable embedder for the vectors that are kept now, if so."""
        try:
            embedder = _find_embedder(self._engine.embedder(), self.given, self.choice)
        except EmbeddingError as error:
            return error
        if embedder is not self.given:
            close_embedder(embedder)
        return None

    def use(self, embedder: Embedder, *, is_ours: bool) -> None:
        """Take *embedder*, whose vectors are kept by now, as if it had been given."""
        self.close()  # that of before
        self.given = embedder
        if not is_ours:
            self._foreign = embedder
        self._chosen = None

    def close(self) -> None:
        """Let go of an embedder that was chosen here, not given."""
        chosen = self._chosen
        if chosen is not None and chosen.embedder is not self._foreign:
            close_embedder(chosen.embedder)

    def is_for(self, chosen: InUse, kept: EmbedderIdentity | None) -> bool:
        """Tell whether *chosen* is still the choice where vectors of *kept* are found."""
        return kept is chosen.kept or not self.by_meaning or chosen.is_for(kept)

    def try_with(self, work: Callable[[InUse], T]) -> T:
        """
        Return what *work* returns, given the embedder in use.

        It is called again if it fails because vectors of another are kept by now: the engine
        refuses vectors of one that is not its own, in the transaction that would write them.
        """
        while True:
            chosen = self.current()
            try:
                return work(chosen)
            except EmbeddingError:
                # Of two embedders given for a memory without vectors the later write is refused.
                is_late = chosen.kept is None and self.given is not None
                if is_late or self.renew() is chosen:
                    raise

    def of_query(self, chosen: InUse, query: str, *, fresh: bool = False) -> Meaning | None:
        """
        Return what *query* means to the embedder; None if that fails, with a warning.

        *fresh*: the embedder is asked, though its vector may be known.
        """
        if (embedder := chosen.embedder) is None:
            return None
        text = query[:_MAX_QUERY]
        # Embedders of others need not say these.
        unrelated = getattr(embedder, "unrelated", 0.0)
        removes_median = getattr(embedder, "removes_median", False)
        is_told = getattr(embedder, "is_resting", False)  # by the search that met the failure
        try:
            with ingest.embedder_errors():
                if (weighing := chosen.weighing) is None:
                    # By the identity too: another embedder makes another vector of the same text.
                    key = embedder.identity, text
                    if fresh:
                        self._cache.drop_vector(key)
                    vector = self._cache.vector(key, lambda: _embed_query(embedder, text))
                    return Meaning(vector, unrelated=unrelated, removes_median=removes_median)
                (numbers,) = weighing.subwords([text])
        except EmbeddingError as error:
            if not is_told:
                warn(FallbackWarning(f"{BY_WORDS_ONLY}: {error}"), stacklevel=4)
            return None
        return Meaning(
            numbers=numbers,
            embedder=weighing,
            unrelated=unrelated,
            removes_median=removes_median,
        )


def close_embedder(embedder: Embedder | None) -> None:
    """Let *embedder* go of its connections, if it has any."""
    close = getattr(embedder, "close", None)
    if callable(close):
        close()


def _embed_query(embedder: Embedder, text: str) -> NDArray[np.float32]:
    """Return the vector of *text* as a query, where *embedder* reads those in another way."""
    embed = getattr(embedder, "embed_query", None)
    vector: NDArray[np.float32] = embedder.embed([text])[0] if embed is None else embed(text)
    return vector


def _usable_embedder(
    kept: EmbedderIdentity | None, given: Embedder | None, choice: EmbedderChoice
) -> Embedder | None:
    """Return *given*, or that of *choice*, if *kept* are its vectors; else warn, and None."""
    try:
        return _find_embedder(kept, given, choice)
    except EmbeddingError as error:
        warn(FallbackWarning(f"{BY_WORDS_ONLY}: {error}"), stacklevel=5)
        return None


def _find_embedder(
    kept: EmbedderIdentity | None, given: Embedder | None, choice: EmbedderChoice
) -> Embedder:
    """Return *given*, or that of *choice*; `EmbeddingError` unless *kept* are its vectors."""
    embedder = given or choice.for_memory(kept)
    if kept is None and ingest.embeds_later(embedder):
        return embedder  # its identity may have to be asked for
    identity = embedder.identity
    # Cosines between vectors of two models mean nothing (decision 3).
    if kept is not None and kept != identity:
        others = f"those of {identity.model} cannot be compared with"
        problem = f"keeps vectors of {kept.model}, which {others}"
        raise EmbeddingError("this memory", problem, "open it with the embedder it was made with")
    return embedder
