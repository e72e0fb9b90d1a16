"""Embedders: text to vectors. The default ships its table and needs neither key nor network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from clawstate.arguments import describe
from clawstate.errors import InvalidError
from clawstate.interrupts import load_modules
from clawstate.memory.contract import Embedder, EmbedderIdentity

NAMES: Final = ("static", "wordllama", "transformer")
"""The embedders that can be asked for by a name."""

_WORDLLAMA = "wordllama-"
_TRANSFORMER = "bge-small-"


@dataclass(frozen=True, slots=True)
class EmbedderChoice:
    """
    Which of our embedders a memory uses: that called *name* if it is new.

    *threads* is how many cores one text may take.
    """

    name: str = "static"
    threads: int = 1

    def for_memory(self, kept: EmbedderIdentity | None) -> Embedder:
        """
        Return the embedder for a memory that keeps vectors of *kept*, or none yet.

        Vectors that no embedder of ours made get the default one, whose identity is another then.
        Raises `EmbeddingError` when its weights are not installed.
        """
        # A state goes on with what it was made with until it is embedded anew: vectors of two
        # models cannot be compared (decision 3).
        if kept is None:
            return self.named(self.name)
        if kept.model.startswith(_WORDLLAMA):
            return self.named("wordllama")
        return self.named("transformer" if kept.model.startswith(_TRANSFORMER) else "static")

    def named(self, name: str) -> Embedder:
        """
        Return the embedder *name*, one of `NAMES`.

        Raises `InvalidError` for another, `EmbeddingError` when its weights are not installed.
        """
        if name == "static":
            return default_embedder()
        if name == "wordllama":
            load_modules("clawstate.memory.embedders.wordllama")
            from clawstate.memory.embedders.wordllama import WordLlamaEmbedder  # noqa: PLC0415

            return WordLlamaEmbedder()
        if name == "transformer":
            load_modules("clawstate.memory.embedders.transformer")
            from clawstate.memory.embedders.transformer import TransformerEmbedder  # noqa: PLC0415

            return TransformerEmbedder(threads=self.threads)
        known = ", ".join(NAMES)
        raise InvalidError("embedder", f"{describe(name)} is unknown", f"use one of {known}")


DEFAULT_CHOICE: Final = EmbedderChoice()
"""The static embedder for a new memory."""


def default_embedder() -> Embedder:
    """Return the embedder that a new state gets: static, local, 256 dimensions (decision 042)."""
    load_modules("clawstate.memory.embedders.static")
    from clawstate.memory.embedders.static import StaticEmbedder  # noqa: PLC0415 - needs numpy

    return StaticEmbedder()
