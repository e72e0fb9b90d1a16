"""`plugins`: which plugins run, and how they are configured."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from clawstate.config.schema.memory import MemoryConfig
from clawstate.documents import Document, Maybe, Object


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
    allow: list[str] = Field(default=[], description="The only plugins to run; empty for all.")
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
