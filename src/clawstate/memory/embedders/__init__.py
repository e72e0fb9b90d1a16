"""Embedders: text to vectors. The default ships its weights and needs neither key nor network."""

from __future__ import annotations

from clawstate.interrupts import load_modules
from clawstate.memory.contract import Embedder


def default_embedder() -> Embedder:
    """
    Return the embedder that a new state gets: static, local, 256 dimensions (decision 3).

    Raises `EmbeddingError` when its weights are not installed.
    """
    load_modules("clawstate.memory.embedders.local")
    from clawstate.memory.embedders.local import LocalEmbedder  # noqa: PLC0415 - needs numpy

    return LocalEmbedder()
