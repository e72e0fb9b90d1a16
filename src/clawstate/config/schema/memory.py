"""`memory`: what the agent remembers, and the configuration of the plugin `memory-lancedb`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from clawstate.config.settings import default_of
from clawstate.documents import WHOLE, Document, Maybe, Object, Positive, Text
from clawstate.secrets.schema import Secret


class MemoryVector(Document):
    """Search by meaning."""

    enabled: bool = Field(
        default=default_of("memory.store.vector.enabled"),
        description="Search by meaning, too, not by words only.",
    )


class MemoryStore(Document):
    """Where memories are kept (specification, "Configuration Reference")."""

    type: Literal["sqlite", "lancedb"] = Field(
        default=default_of("memory.store.type"), description="The engine."
    )
    path: Maybe[Text] = Field(
        default=None,
        description="The database; `memory/memory.db` or `memory/lancedb` in the state directory"
        " if not given.",
    )
    vector: MemoryVector = Field(
        default_factory=MemoryVector, description="How memories are searched by meaning."
    )


class MemorySection(Document):
    """What the agent remembers."""

    store: MemoryStore = Field(
        default_factory=MemoryStore, description="Where memories are kept; OpenClaw ignores it."
    )
    backend: Maybe[Literal["builtin", "qmd"]] = Field(
        default=None, description="What OpenClaw searches memory files with."
    )
    citations: Maybe[Literal["auto", "on", "off"]] = Field(
        default=None, description="Whether answers name the memory that they come from."
    )
    qmd: Maybe[Object] = Field(default=None, description="Settings of the search tool QMD.")


class Embedding(Document):
    """How text becomes vectors."""

    provider: Literal["openai", "local"] = Field(
        default="openai",
        description="An OpenAI-compatible server, or the model that comes with clawstate.",
    )
    model: Text = Field(default="text-embedding-3-small", description="The name of the model.")
    api_key: Maybe[Secret] = Field(
        default=None, description="The key of the provider; without one the local model is used."
    )
    base_url: Maybe[Text] = Field(
        default=None, description="The address of another compatible server."
    )
    dimensions: Maybe[Positive] = Field(
        default=None, description="The length of the vectors, for models that offer several."
    )


class MemoryConfig(Document):
    """The configuration of the plugin `memory-lancedb` (specification section 6)."""

    embedding: Embedding = Field(default_factory=Embedding, description="How text becomes vectors.")
    db_path: Maybe[Text] = Field(
        default=None,
        description="The directory of the database, `~` allowed; `memory/lancedb` in the state"
        " directory if not given.",
    )
    auto_capture: bool = Field(
        default=False, description="Remember what conversations say without being told to."
    )
    auto_recall: bool = Field(
        default=True, description="Put memories that fit into the context of the agent."
    )
    capture_max_chars: Annotated[int, Field(ge=100, le=10_000), WHOLE] = Field(
        default=500, description="The longest text that is remembered without being told to."
    )
