"""Embedders: text to vectors. The default ships its table and needs neither key nor network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from clawstate.arguments import describe
from clawstate.errors import InvalidError, UnavailableError
from clawstate.interrupts import load_modules
from clawstate.memory.contract import Embedder, EmbedderIdentity
from clawstate.memory.embedders.remote_models import DEFAULT_MODEL, MODELS, OWN_URL, PREFIX

NAMES: Final = ("static", "wordllama", "transformer", "openai")
"""The embedders that can be asked for by a name."""

OWN: Final = "clawstate-static-"
"""How the models of our own static embedder begin."""

_BEGINNINGS = {
    OWN: "static",
    "wordllama-": "wordllama",
    "bge-small-": "transformer",
    PREFIX: "openai",
}


def _no_key() -> str | None:
    raise UnavailableError("apiKey", "is not set", f"set {KEY_SETTING}, or OPENAI_API_KEY")


KEY_SETTING: Final = "plugins.entries.memory-lancedb.config.embedding.apiKey"
"""Where the key of a server stands in a configuration."""


@dataclass(frozen=True, slots=True)
class EmbeddingServer:
    """
    What answers at *base_url* with vectors of *model*, asked with what *key* returns.

    *dimensions* are for a model that offers several lengths. *key* returns None where the server
    wants none, and raises `StateError`. *price* is what a million tokens cost, in USD.
    """

    model: str = DEFAULT_MODEL
    base_url: str = OWN_URL
    key: Callable[[], str | None] = field(default=_no_key, repr=False)
    dimensions: int | None = None
    allow_plain_http: bool = False
    price: float | None = None

    def of(self, kept: EmbedderIdentity) -> tuple[EmbeddingServer, int]:
        """Return it as it makes vectors like those *kept*, and of how many dimensions these are."""
        model = kept.model.removeprefix(PREFIX)
        known, asked, price = MODELS.get(model), self.dimensions, self.price
        if model != self.model:  # what is asked for is of the configured one
            is_shorter = known is not None and known.dimensions != kept.dimensions
            asked, price = kept.dimensions if is_shorter else None, None
        elif asked is not None:
            asked = kept.dimensions
        found = replace(self, model=model, dimensions=asked, price=price)
        return found, kept.dimensions


@dataclass(frozen=True, slots=True)
class EmbedderChoice:
    """
    Which of our embedders a memory uses: that called *name* if it is new.

    *threads* is how many cores one text may take, *server* the one that `openai` stands for.
    *is_set*: somebody said so, and it is not merely the default.
    """

    name: str = "static"
    threads: int = 1
    server: EmbeddingServer = EmbeddingServer()
    is_set: bool = False

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
        if kept.model.startswith(PREFIX):
            return _remote_embedder(*self.server.of(kept))
        return self.named(name_of(kept) or "static")

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
        if name == "openai":
            return _remote_embedder(self.server)
        known = ", ".join(NAMES)
        raise InvalidError("embedder", f"{describe(name)} is unknown", f"use one of {known}")


def name_of(kept: EmbedderIdentity) -> str | None:
    """Return the name of our embedder that made vectors of *kept*; None where none of ours did."""
    names = (name for begin, name in _BEGINNINGS.items() if kept.model.startswith(begin))
    return next(names, None)


DEFAULT_CHOICE: Final = EmbedderChoice()
"""The static embedder for a new memory."""


def default_embedder() -> Embedder:
    """Return the embedder that a new state gets: static, local, 256 dimensions (decision 042)."""
    load_modules("clawstate.memory.embedders.static")
    from clawstate.memory.embedders.static import StaticEmbedder  # noqa: PLC0415 - needs numpy

    return StaticEmbedder()


def _remote_embedder(server: EmbeddingServer, expected: int | None = None) -> Embedder:
    load_modules("clawstate.memory.embedders.openai")
    from clawstate.memory.embedders.openai import OpenAIEmbedder  # noqa: PLC0415 - needs ssl

    return OpenAIEmbedder(
        server.model,
        base_url=server.base_url,
        key=server.key,
        dimensions=server.dimensions,
        expected=expected,
        allow_plain_http=server.allow_plain_http,
        price=server.price,
    )
