"""`memorySearch`, in `agents.defaults` and for each agent: how OpenClaw searches memory files."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from clawstate.documents import Count, Document, Maybe, Positive, Share
from clawstate.secrets.schema import Secret


class Batch(Document):
    """Many texts in one request."""

    enabled: Maybe[bool] = Field(default=None, description="Send many texts in one request.")
    wait: Maybe[bool] = Field(default=None, description="Wait until the request is done.")
    concurrency: Maybe[Positive] = Field(default=None, description="Requests at the same time.")
    poll_interval_ms: Maybe[Count] = Field(
        default=None, description="How often the server is asked."
    )
    timeout_minutes: Maybe[Positive] = Field(
        default=None, description="How long to wait for a request."
    )


class RemoteEmbedding(Document):
    """The server that embeds."""

    base_url: Maybe[str] = Field(default=None, description="The address of the server.")
    api_key: Maybe[Secret] = Field(default=None, description="The key of the server.")
    headers: dict[str, str] = Field(default={}, description="Further headers of each request.")
    batch: Maybe[Batch] = Field(default=None, description="Many texts in one request.")


class LocalEmbedding(Document):
    """The model on this machine."""

    model_path: Maybe[str] = Field(default=None, description="The file of the model.")
    model_cache_dir: Maybe[str] = Field(default=None, description="Where models are downloaded to.")


class SearchVector(Document):
    """Vectors inside the index."""

    enabled: Maybe[bool] = Field(
        default=None, description="Search by meaning with an extension of SQLite."
    )
    extension_path: Maybe[str] = Field(default=None, description="The file of the extension.")


class SearchStore(Document):
    """Where the index is kept."""

    driver: Maybe[Literal["sqlite"]] = Field(default=None, description="The engine.")
    path: Maybe[str] = Field(default=None, description="The file of the index.")
    vector: Maybe[SearchVector] = Field(default=None, description="Vectors inside the index.")


class Chunking(Document):
    """How files are cut."""

    tokens: Maybe[Positive] = Field(default=None, description="The length of a piece, in tokens.")
    overlap: Maybe[Count] = Field(default=None, description="What neighbours share, in tokens.")


class SessionSync(Document):
    """When a transcript is indexed again."""

    delta_bytes: Maybe[Count] = Field(default=None, description="After it grew by this many bytes.")
    delta_messages: Maybe[Count] = Field(default=None, description="After this many messages.")


class Sync(Document):
    """When the index is brought up to date."""

    on_session_start: Maybe[bool] = Field(default=None, description="When a session starts.")
    on_search: Maybe[bool] = Field(default=None, description="Before a search.")
    watch: Maybe[bool] = Field(default=None, description="When a file changes.")
    watch_debounce_ms: Maybe[Count] = Field(
        default=None, description="How long to wait for more changes."
    )
    interval_minutes: Maybe[Count] = Field(
        default=None, description="Every so many minutes; 0 for never."
    )
    sessions: Maybe[SessionSync] = Field(
        default=None, description="When a transcript is indexed again."
    )


class Diversity(Document):
    """Preference for hits that differ (MMR)."""

    enabled: Maybe[bool] = Field(
        default=None, description="Prefer hits that differ from one another."
    )
    lambda_: Maybe[Share] = Field(
        default=None, alias="lambda", description="1 for relevance only, 0 for difference only."
    )


class TemporalDecay(Document):
    """Preference for what is recent."""

    enabled: Maybe[bool] = Field(default=None, description="Prefer what is recent.")
    half_life_days: Maybe[Positive] = Field(
        default=None, description="The days after which a score is halved."
    )


class Hybrid(Document):
    """How hits by words and by meaning are mixed."""

    enabled: Maybe[bool] = Field(default=None, description="Search by words and by meaning.")
    vector_weight: Maybe[Share] = Field(default=None, description="The weight of meaning.")
    text_weight: Maybe[Share] = Field(default=None, description="The weight of words.")
    candidate_multiplier: Maybe[Positive] = Field(
        default=None, description="Candidates for each hit that is wanted."
    )
    mmr: Maybe[Diversity] = Field(default=None, description="Preference for hits that differ.")
    temporal_decay: Maybe[TemporalDecay] = Field(
        default=None, description="Preference for the recent."
    )


class SearchQuery(Document):
    """What a search returns."""

    max_results: Maybe[Positive] = Field(default=None, description="The most hits.")
    min_score: Maybe[Share] = Field(default=None, description="Hits that score less are left out.")
    hybrid: Maybe[Hybrid] = Field(default=None, description="How both kinds of hits are mixed.")


class SearchCache(Document):
    """Embeddings that are kept."""

    enabled: Maybe[bool] = Field(default=None, description="Keep embeddings.")
    max_entries: Maybe[Positive] = Field(default=None, description="How many are kept.")


class Experimental(Document):
    """What may still change."""

    session_memory: Maybe[bool] = Field(default=None, description="Index transcripts, too.")


class MemorySearch(Document):
    """How memory files are searched."""

    enabled: Maybe[bool] = Field(default=None, description="Search memory files at all.")
    sources: Maybe[list[Literal["memory", "sessions"]]] = Field(
        default=None, description="What is indexed: memory files, transcripts."
    )
    extra_paths: list[str] = Field(default=[], description="Further files and directories.")
    experimental: Maybe[Experimental] = Field(default=None, description="What may still change.")
    provider: Maybe[Literal["openai", "local", "gemini", "voyage", "mistral"]] = Field(
        default=None, description="Who embeds; found out if not given."
    )
    remote: Maybe[RemoteEmbedding] = Field(default=None, description="The server that embeds.")
    fallback: Maybe[Literal["openai", "gemini", "local", "voyage", "mistral", "none"]] = Field(
        default=None, description="Who embeds when the provider fails."
    )
    model: Maybe[str] = Field(default=None, description="The name of the model.")
    local: Maybe[LocalEmbedding] = Field(default=None, description="The model on this machine.")
    store: Maybe[SearchStore] = Field(default=None, description="Where the index is kept.")
    chunking: Maybe[Chunking] = Field(default=None, description="How files are cut.")
    sync: Maybe[Sync] = Field(default=None, description="When the index is brought up to date.")
    query: Maybe[SearchQuery] = Field(default=None, description="What a search returns.")
    cache: Maybe[SearchCache] = Field(default=None, description="Embeddings that are kept.")
