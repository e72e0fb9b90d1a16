"""What is known of models that answer over HTTP, as of `PRICES_OF`."""

from __future__ import annotations

from dataclasses import dataclass

PRICES_OF = "2026-11"
"""The month that the prices are of, as OpenAI's list had them."""

OWN_URL = "https://api.openai.com/v1"
"""Where OpenAI answers."""

PREFIX = "openai/"
"""What the names of models begin with in an identity: the protocol, not the server."""

DEFAULT_MODEL = "text-embedding-3-small"

BYTES_OF_TOKEN = 4
"""How many bytes of English a token has, as providers count; other scripts have fewer."""


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """
    A model: its `dimensions`, its `price` in USD for a million tokens.

    `unrelated` is the cosine that texts of different subjects may have; `shortens` whether it gives
    shorter vectors when it is asked for them.
    """

    dimensions: int
    price: float
    unrelated: float
    shortens: bool = True


MODELS = {
    "text-embedding-3-small": RemoteModel(1536, 0.02, 0.1),
    "text-embedding-3-large": RemoteModel(3072, 0.13, 0.1),
    "text-embedding-ada-002": RemoteModel(1536, 0.10, 0.7, shortens=False),
}


def tokens_in(characters: int) -> int:
    """Return about how many tokens so many *characters* of English are."""
    return -(-characters // BYTES_OF_TOKEN)
