"""What the author of a plugin writes against: `Plugin`, and the `Runtime` that it is given."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from clawstate.plugins.hooks import Callback
from clawstate.plugins.tools import Tool

if TYPE_CHECKING:
    from clawstate.clock import Clock
    from clawstate.config.service import Config
    from clawstate.memory.service import Memory
    from clawstate.stores.dedupe import PersistentDedupe
    from clawstate.stores.sessions import Sessions
    from clawstate.stores.transcripts import Transcripts

MEMORY = "memory"
"""The kind of plugin of which exactly one is active: that in `plugins.slots.memory`."""


class PluginState(Protocol):
    """What a plugin sees of the opened state; what it is given is the whole `State`."""

    @property
    def config(self) -> Config:
        """The settings."""

    @property
    def memory(self) -> Memory:
        """What is remembered."""

    @property
    def sessions(self) -> Sessions:
        """The sessions."""

    @property
    def transcripts(self) -> Transcripts:
        """The messages of the sessions."""

    @property
    def dedupe(self) -> PersistentDedupe:
        """The marks of what was handled already."""

    @property
    def clock(self) -> Clock:
        """The clock of the state: seconds since the epoch."""


class PluginTools(Protocol):
    """The tools, as a plugin may change them."""

    def register_tool(self, tool: Tool) -> None:
        """Offer *tool*; raises `ConflictError` when another plugin offers one of that name."""


class PluginHooks(Protocol):
    """The events of an agent, as a plugin may listen to them."""

    def on(self, name: str, callback: Callback, *, priority: int = 0) -> None:
        """Call *callback* at the event *name*, those of a higher *priority* first."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """
    What `Plugin.register` is given (specification, "memory-lancedb Extension").

    *config* is what `plugins.entries.<id>.config` holds, checked against the schema of the plugin:
    an instance of it where the schema is a pydantic model, else a mapping. *resolve_path* makes an
    absolute path of a text: `~` is the home directory, what is relative lies in the state.
    """

    plugin_id: str
    config: Any
    state: PluginState
    tools: PluginTools
    hooks: PluginHooks
    logger: logging.Logger
    resolve_path: Callable[[str], Path]


@dataclass(frozen=True, slots=True)
class Plugin:
    """
    A plugin: an entry point of the group `clawstate.plugins`, or the `plugin` of a folder.

    *register* is called once with a `Runtime`, and returns what `state.plugins.load` gives back.
    *kind* `memory` makes it one of those of which exactly one is active. *config_schema* is a
    pydantic model or a JSON Schema; without one the plugin takes no settings.
    """

    id: str
    register: Callable[[Runtime], Mapping[str, Any] | None]
    name: str = ""
    description: str = ""
    version: str = ""
    kind: str | None = None
    config_schema: Any = None


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """
    What is known of a plugin that was found, loaded or not.

    *origin* is `config`, `state`, `installed` or `included`. *status* is `loaded`, `enabled` (it
    loads with the next start), `disabled`, or `failed`; *reason* says why.
    """

    id: str
    name: str
    version: str
    description: str
    kind: str | None
    origin: str
    place: str
    status: str
    reason: str
    tools: tuple[str, ...] = ()
