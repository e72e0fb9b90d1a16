"""Embedders: text to vectors. The default ships its table and needs neither key nor network."""

from __future__ import annotations

from clawstate.interrupts import load_modules
from clawstate.memory.contract import Embedder, EmbedderIdentity

_WORDLLAMA = "wordllama-"


def default_embedder() -> Embedder:
    """Return the embedder that a new state gets: static, local, 256 dimensions (decision 042)."""
    load_modules("clawstate.memory.embedders.static")
    from clawstate.memory.embedders.static import StaticEmbedder  # noqa: PLC0415 - needs numpy

    return StaticEmbedder()


def embedder_of(kept: EmbedderIdentity | None) -> Embedder:
    """
    Return the embedder for a memory that keeps vectors of *kept*, the default one for a new memory.

    Raises `EmbeddingError` when its weights are not installed. Vectors that no embedder of ours
    made get the default one, whose identity is another then.
    """
    # A state goes on with what it was made with until it is embedded anew: vectors of two models
    # cannot be compared (decision 3).
    if kept is None or not kept.model.startswith(_WORDLLAMA):
        return default_embedder()
    load_modules("clawstate.memory.embedders.wordllama")
    from clawstate.memory.embedders.wordllama import WordLlamaEmbedder  # noqa: PLC0415 - old states

    return WordLlamaEmbedder()
