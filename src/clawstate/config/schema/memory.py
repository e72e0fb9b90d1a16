"""`memory` and `plugins`: what the agent remembers, and the plugin `memory-lancedb`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from clawstate.config.settings import default_of
from clawstate.documents import (
    WHOLE,
    Count,
    Document,
    Duration,
    Maybe,
    NotNegative,
    Object,
    Positive,
    Share,
    Text,
    refusal,
)
from clawstate.secrets.schema import Secret


class MemoryVector(Document):
    """Search by meaning."""

    enabled: bool = Field(
        default=default_of("memory.store.vector.enabled"),
        description="Search by meaning, too, not by words only.",
    )
    embedder: Literal["static", "transformer", "openai"] = Field(
        default=default_of("memory.store.vector.embedder"),
        description="What gives texts of a new memory their vectors; one that has vectors goes on"
        " with its own. `openai` is the server of the plugin's `embedding`, which is taken by"
        " itself where that names a key, an address or the provider.",
    )
    index: Literal["auto", "ivf_hnsw_sq"] = Field(
        default=default_of("memory.store.vector.index"),
        description="What finds near vectors: `auto` is what measures best; `ivf_hnsw_sq` the index"
        " of the LanceDB table, from 10,000 vectors on.",
    )
    threads: Positive = Field(
        default=default_of("memory.store.vector.threads"),
        description="How many cores the transformer may use.",
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


class MemoryHistory(Document):
    """What is kept of records that change."""

    versions: Count = Field(
        default=default_of("memory.history.versions"),
        description="How many earlier versions of a record are kept beyond those within"
        " state.history.keepFor; 0 for none.",
    )


class MemoryRetentionRule(Document):
    """What becomes of records that meet all that is named; a duration without a unit is seconds."""

    action: Literal["archive", "forget"] = Field(
        default="archive", description="Take them out of searches, to be restored; or forget them."
    )
    older_than: Maybe[Duration] = Field(default=None, description="How long ago they were made.")
    importance_below: Maybe[Share] = Field(
        default=None, description="They are less important than this."
    )
    category: Maybe[Text] = Field(default=None, description="Their category.")
    source: Maybe[Text] = Field(
        default=None, description="The file, folder, name or pattern that they come from."
    )
    tag: Maybe[Text] = Field(default=None, description="A tag that they have.")
    namespace: Maybe[Text] = Field(default=None, description="Whose memory; everybody's if none.")

    @model_validator(mode="after")
    def _require_demand(self) -> Self:
        # By a slip all records would go.
        named = (self.older_than, self.importance_below, self.category, self.source, self.tag)
        if all(each is None for each in named):
            wanted = "a rule that names an age, an importance, a category, a source or a tag"
            # Elsewhere an unknown name is a warning; here it may be the demand that is missing.
            unknown = sorted(self.model_extra or {})
            raise refusal(f"{wanted} (it knows no {unknown[0][:40]!r})" if unknown else wanted)
        return self


class MemoryRetention(Document):
    """Which records leave, and when: what `memory retain` does without arguments."""

    rules: list[MemoryRetentionRule] = Field(
        default=[], description="The rules; the first that a record meets counts."
    )
    archive_for: Maybe[Duration] = Field(
        default=None, description="Forget what is longer than this in the archive."
    )


class MemorySection(Document):
    """What the agent remembers."""

    retention: MemoryRetention = Field(
        default_factory=MemoryRetention,
        description="Which records leave, and when; OpenClaw ignores it.",
    )

    history: MemoryHistory = Field(
        default_factory=MemoryHistory,
        description="What is kept of records that change; OpenClaw ignores it.",
    )
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
        default=None,
        description="The key of the provider. Without it that of a profile of `openai`, or of"
        " `OPENAI_API_KEY`, is sent to OpenAI, and none to another server.",
    )
    base_url: Maybe[Text] = Field(
        default=None, description="The address of another compatible server."
    )
    dimensions: Maybe[Positive] = Field(
        default=None, description="The length of the vectors, for models that offer several."
    )
    price_per_million: Maybe[NotNegative] = Field(
        default=None,
        description="What a million tokens cost, in USD, for what is told before texts are sent;"
        " without it OpenAI's models have the prices that were known when this was made.",
    )
    allow_plain_http: bool = Field(
        default=False,
        description="Send key and texts over plain HTTP to servers beyond the private network.",
    )


class MemoryHooks(Document):
    """What a plugin for memory does by itself (specification section 6)."""

    auto_capture: bool = Field(
        default=False, description="Remember what conversations say without being told to."
    )
    auto_recall: bool = Field(
        default=True, description="Put memories that fit into the context of the agent."
    )
    capture_max_chars: Annotated[int, Field(ge=100, le=10_000), WHOLE] = Field(
        default=500, description="The longest text that is remembered without being told to."
    )


class MemoryConfig(MemoryHooks):
    """The configuration of the plugin `memory-lancedb` (specification section 6)."""

    embedding: Embedding = Field(default_factory=Embedding, description="How text becomes vectors.")
    db_path: Maybe[Text] = Field(
        default=None,
        description="The directory of the database, `~` allowed; `memory/lancedb` in the state"
        " directory if not given.",
    )


class PluginEntry(Document):
    """One plugin. Its configuration is checked by the plugin."""

    enabled: Maybe[bool] = Field(default=None, description="Run the plugin.")
    config: Maybe[Object] = Field(default=None, description="What the plugin is told.")


class MemoryLancedbEntry(Document):
    """The plugin `memory-lancedb`."""

    enabled: Maybe[bool] = Field(default=None, description="Run the plugin.")
    config: Maybe[MemoryConfig] = Field(
        default=None, description="How memories are kept and recalled."
    )


class PluginEntries(Document):
    """The plugins by their names."""

    __pydantic_extra__: dict[str, PluginEntry] = Field(init=False)

    memory_lancedb: Maybe[MemoryLancedbEntry] = Field(
        default=None, alias="memory-lancedb", description="Memories in LanceDB."
    )


class PluginInstall(Document):
    """Where an installed plugin came from."""

    source: Literal["npm", "archive", "path"] = Field(description="The kind of the source.")
    spec: Maybe[str] = Field(default=None, description="What was asked for.")
    source_path: Maybe[str] = Field(default=None, description="The file or directory it came from.")
    install_path: Maybe[str] = Field(default=None, description="Where it lies now.")
    version: Maybe[str] = Field(default=None, description="Its version.")
    resolved_name: Maybe[str] = Field(default=None, description="The name of the package.")
    resolved_version: Maybe[str] = Field(default=None, description="The version of the package.")
    resolved_spec: Maybe[str] = Field(default=None, description="Name and version of the package.")
    integrity: Maybe[str] = Field(default=None, description="The checksum that npm gives.")
    shasum: Maybe[str] = Field(default=None, description="The SHA-1 of the archive.")
    resolved_at: Maybe[str] = Field(default=None, description="When it was looked up.")
    installed_at: Maybe[str] = Field(default=None, description="When it was installed.")


class PluginLoad(Document):
    """Where plugins are looked for."""

    paths: list[str] = Field(default=[], description="Further files and directories.")


class PluginSlots(Document):
    """Parts of which there is only one."""

    memory: str = Field(
        default="memory-core", description="The plugin for memory; `none` for none."
    )


class Plugins(Document):
    """Which plugins run, and how they are configured."""

    enabled: Maybe[bool] = Field(default=None, description="Run plugins at all.")
    allow: list[str] = Field(
        default=[],
        description="The only plugins to run of those that others brought; empty for all.",
    )
    deny: list[str] = Field(default=[], description="Plugins that never run.")
    load: Maybe[PluginLoad] = Field(default=None, description="Where plugins are looked for.")
    slots: PluginSlots = Field(
        default_factory=PluginSlots, description="Parts of which there is only one."
    )
    entries: PluginEntries = Field(
        default_factory=PluginEntries, description="The plugins by their names."
    )
    installs: dict[str, PluginInstall] = Field(
        default={}, description="Where installed plugins came from."
    )
