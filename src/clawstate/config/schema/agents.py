"""`agents`: what all agents share, each of them, and how they search their memory files."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from clawstate.documents import (
    BY_SHAPE,
    OBJECT,
    VALUE,
    AboveZero,
    Count,
    Document,
    Maybe,
    Object,
    OpenDocument,
    Positive,
    Share,
    Text,
)
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


class ModelChoice(Document):
    """A model, and those that are tried when it fails."""

    primary: Maybe[str] = Field(default=None, description="The model, as `provider/model`.")
    fallbacks: list[str] = Field(default=[], description="The models to try when it fails.")


Model = Annotated[Annotated[str, Tag(VALUE)] | Annotated[ModelChoice, Tag(OBJECT)], BY_SHAPE]
"""`provider/model`, or that with fallbacks."""


class ModelSettings(Document):
    """What is special about one model."""

    alias: Maybe[str] = Field(default=None, description="A short name for the model.")
    params: Maybe[Object] = Field(default=None, description="Parameters of each request.")
    streaming: Maybe[bool] = Field(default=None, description="Receive answers piece by piece.")


class HumanDelay(Document):
    """Pauses as a person makes them."""

    mode: Maybe[Literal["off", "natural", "custom"]] = Field(
        default=None, description="The kind of pause."
    )
    min_ms: Maybe[Count] = Field(default=None, description="The shortest pause.")
    max_ms: Maybe[Count] = Field(default=None, description="The longest pause.")


class SubagentDefaults(OpenDocument):
    """Agents that agents start."""

    max_concurrent: Positive = Field(default=8, description="How many run at the same time.")


class AgentDefaults(Document):
    """What holds for every agent that does not say otherwise."""

    model: Maybe[Model] = Field(default=None, description="The model.")
    image_model: Maybe[Model] = Field(default=None, description="The model that looks at pictures.")
    models: dict[str, ModelSettings] = Field(
        default={}, description="The models to choose from, by `provider/model`."
    )
    workspace: Maybe[str] = Field(default=None, description="The directory that agents work in.")
    repo_root: Maybe[str] = Field(
        default=None, description="The root of the repository they work on."
    )
    skip_bootstrap: Maybe[bool] = Field(default=None, description="Do not fill a new workspace.")
    bootstrap_max_chars: Maybe[Positive] = Field(default=None, description="The most of one file.")
    bootstrap_total_max_chars: Maybe[Positive] = Field(
        default=None, description="The most of all files."
    )
    user_timezone: Maybe[str] = Field(
        default=None, description="Where the user lives, Europe/Vienna."
    )
    time_format: Maybe[Literal["auto", "12", "24"]] = Field(default=None, description="The clock.")
    envelope_timezone: Maybe[str] = Field(
        default=None, description="The zone of times of messages."
    )
    envelope_timestamp: Maybe[Literal["on", "off"]] = Field(
        default=None, description="Say when a message came."
    )
    envelope_elapsed: Maybe[Literal["on", "off"]] = Field(
        default=None, description="Say how long ago the last one came."
    )
    context_tokens: Maybe[Positive] = Field(default=None, description="The size of the context.")
    cli_backends: Maybe[Object] = Field(default=None, description="Programs to use as models.")
    memory_search: Maybe[MemorySearch] = Field(default=None, description="How memory is searched.")
    context_pruning: Maybe[Object] = Field(default=None, description="How old tool output is cut.")
    compaction: Maybe[Object] = Field(
        default=None, description="How long conversations are summarised."
    )
    embedded_pi: Maybe[Object] = Field(default=None, description="Settings of the built-in agent.")
    thinking_default: Maybe[Literal["off", "minimal", "low", "medium", "high", "xhigh"]] = Field(
        default=None, description="How long to think."
    )
    verbose_default: Maybe[Literal["off", "on", "full"]] = Field(
        default=None, description="How much is told about tools."
    )
    elevated_default: Maybe[Literal["off", "on", "ask", "full"]] = Field(
        default=None, description="Whether commands run outside of the sandbox."
    )
    block_streaming_default: Maybe[Literal["off", "on"]] = Field(
        default=None, description="Send answers in blocks."
    )
    block_streaming_break: Maybe[Literal["text_end", "message_end"]] = Field(
        default=None, description="Where a block ends."
    )
    block_streaming_chunk: Maybe[Object] = Field(default=None, description="The size of a block.")
    block_streaming_coalesce: Maybe[Object] = Field(
        default=None, description="How blocks are joined."
    )
    human_delay: Maybe[HumanDelay] = Field(default=None, description="Pauses between blocks.")
    timeout_seconds: Maybe[Positive] = Field(
        default=None, description="The longest a run may take."
    )
    media_max_mb: Maybe[AboveZero] = Field(default=None, description="The largest attachment.")
    image_max_dimension_px: Maybe[Positive] = Field(
        default=None, description="Larger pictures shrink."
    )
    typing_interval_seconds: Maybe[Positive] = Field(
        default=None, description="How often the typing sign is repeated."
    )
    typing_mode: Maybe[Literal["never", "instant", "thinking", "message"]] = Field(
        default=None, description="When the typing sign appears."
    )
    heartbeat: Maybe[Object] = Field(default=None, description="Runs at regular times.")
    max_concurrent: Positive = Field(default=4, description="How many runs at the same time.")
    subagents: SubagentDefaults = Field(
        default_factory=SubagentDefaults, description="Agents that agents start."
    )
    sandbox: Maybe[Object] = Field(default=None, description="Where commands run.")


class Identity(Document):
    """Who an agent is to people."""

    name: Maybe[str] = Field(default=None, description="Its name.")
    theme: Maybe[str] = Field(default=None, description="Its character.")
    emoji: Maybe[str] = Field(default=None, description="Its sign.")
    avatar: Maybe[str] = Field(
        default=None, description="Its picture: a path, an address, or data."
    )


class GroupChat(Document):
    """How an agent behaves in groups."""

    mention_patterns: list[str] = Field(default=[], description="What counts as being called.")
    history_limit: Maybe[Positive] = Field(default=None, description="Messages of others to read.")


class Agent(Document):
    """One agent; what it does not say, the defaults say."""

    id: Text = Field(description="Its name in paths and session keys.")
    default: Maybe[bool] = Field(
        default=None, description="The agent for whatever no binding claims."
    )
    name: Maybe[str] = Field(default=None, description="Its name for people.")
    workspace: Maybe[str] = Field(default=None, description="The directory that it works in.")
    agent_dir: Maybe[Text] = Field(
        default=None, description="Where its credentials are kept; no two agents may share one."
    )
    model: Maybe[Model] = Field(default=None, description="The model.")
    skills: Maybe[list[str]] = Field(default=None, description="The only skills it has.")
    memory_search: Maybe[MemorySearch] = Field(default=None, description="How memory is searched.")
    human_delay: Maybe[HumanDelay] = Field(default=None, description="Pauses between blocks.")
    heartbeat: Maybe[Object] = Field(default=None, description="Runs at regular times.")
    identity: Maybe[Identity] = Field(default=None, description="Who it is to people.")
    group_chat: Maybe[GroupChat] = Field(default=None, description="How it behaves in groups.")
    subagents: Maybe[Object] = Field(default=None, description="Agents that it may start.")
    sandbox: Maybe[Object] = Field(default=None, description="Where its commands run.")
    tools: Maybe[Object] = Field(default=None, description="The tools that it may use.")


class Agents(Document):
    """The agents of this state."""

    defaults: AgentDefaults = Field(
        default_factory=AgentDefaults, description="What holds for all agents."
    )
    list_: list[Agent] = Field(default=[], alias="list", description="The agents.")
