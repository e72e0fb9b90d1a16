"""`agents`: the agents of this state, and what holds for all of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from clawstate.config.schema.memory_search import MemorySearch
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
    Text,
)


class ModelChoice(Document):
    """A model, and what stands in for it."""

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
