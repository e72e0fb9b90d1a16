"""`Plugins`: finds, loads, lists and ends the plugins of an opened state."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from clawstate.arguments import require_mapping
from clawstate.config.service import Config
from clawstate.config.settings import (
    MEMORY_SLOT,
    PLUGIN_ENTRIES,
    PLUGIN_PATHS,
    PLUGINS_ALLOWED,
    PLUGINS_DENIED,
    PLUGINS_ENABLED,
)
from clawstate.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    StateError,
    UnavailableError,
)
from clawstate.health import Finding
from clawstate.interrupts import Mutex
from clawstate.plugins.contract import MEMORY, Plugin, PluginInfo, PluginState, Runtime
from clawstate.plugins.discovery import Candidate, find_plugins
from clawstate.plugins.hooks import Callback, Hooks
from clawstate.plugins.included import OUR_PLUGINS
from clawstate.plugins.manifest import require_id
from clawstate.plugins.schemas import check_settings
from clawstate.plugins.selection import PluginSettings, choose, why_refused
from clawstate.plugins.switching import switch
from clawstate.plugins.tools import Tool, Tools

_LOGGER = logging.getLogger("clawstate.plugins")
_NONE = "none"


@dataclass(frozen=True, slots=True)
class _Loaded:
    plugin: Plugin
    given: dict[str, Any]


@dataclass(slots=True)
class _Registration:
    """The tools and hooks of one plugin, under its name."""

    owner: str
    all_tools: Tools
    all_hooks: Hooks

    def register_tool(self, tool: Tool) -> None:
        """Offer *tool*."""
        self.all_tools.register_tool(tool, owner=self.owner)

    def on(self, name: str, callback: Callback, *, priority: int = 0) -> None:
        """Call *callback* at the event *name*."""
        self.all_hooks.add(self.owner, name, callback, priority=priority)


@dataclass(slots=True)
class _Kept:
    loaded: dict[str, _Loaded] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


class Plugins:
    """
    The plugins of a state: which there are, which run, and what those offer. Thread-safe.

    Nothing is loaded before `load` or `start` is called.
    """

    def __init__(
        self, state: PluginState, config: Config, root: Path, write: Callable[[Any], Any]
    ) -> None:
        """*write* gives the JSON form of a public value."""
        self._state = state
        self._config = config
        self._root = root
        self._mutex = Mutex()
        self._kept = _Kept()
        self._tools = Tools(write, _LOGGER)
        self._hooks = Hooks(_LOGGER)

    @property
    def tools(self) -> Tools:
        """The tools of the plugins that are loaded, and of the program."""
        return self._tools

    @property
    def hooks(self) -> Hooks:
        """The events of an agent, and who listens to them."""
        return self._hooks

    def load(self, plugin_id: str) -> dict[str, Any]:
        """
        Load the plugin and return what its `register` gave, and `initialized`.

        Once: a second call returns the same. Raises `NotFoundError`, `ConflictError` where another
        plugin holds its slot, `ConfigError` for its settings, `UnavailableError` where settings
        keep it from running or it fails itself.
        """
        require_id("plugin", plugin_id)
        settings = self._settings()
        candidate = self._require(plugin_id)
        refused = why_refused(settings, plugin_id, candidate.origin)
        if refused:
            hint = f"run 'clawstate plugins enable {plugin_id}', or change that setting"
            raise UnavailableError(f"plugin {plugin_id}", refused, hint)
        return self._load(candidate, settings)

    def start(self) -> tuple[PluginInfo, ...]:
        """
        Load every plugin that the settings choose, and return all that there are.

        One that fails is told of, by `PluginInfo.status` and a line of the log; the others load all
        the same.
        """
        settings = self._settings()
        candidates = self._candidates(settings)
        settings = _known_slot(settings, candidates)
        for candidate in candidates.values():
            runs, _ = choose(settings, candidate.id, self._kind(candidate), candidate.origin)
            if not runs:
                continue
            try:
                self._load(candidate, settings)
            except StateError as error:
                _LOGGER.warning("plugin %s was not loaded: %s", candidate.id, error)
        return self.list()

    def refresh(self) -> tuple[PluginInfo, ...]:
        """
        Do as the settings say now: drop plugins that they no longer choose, and `start` the others.

        One that runs goes on as it is, with the settings that it was given.
        """
        settings = self._settings()
        candidates = self._candidates(settings)
        settings = _known_slot(settings, candidates)
        for owner in tuple(self._kept.loaded):
            candidate = candidates.get(owner)
            is_chosen = (
                candidate is not None
                and (choose(settings, owner, self._kind(candidate), candidate.origin)[0])
            )
            if not is_chosen:
                self._drop(owner)
        return self.start()

    def list(self) -> tuple[PluginInfo, ...]:
        """Return what is known of each plugin that was found, by id."""
        settings = self._settings()
        candidates = self._candidates(settings)
        return tuple(self._info(candidates[each], settings) for each in sorted(candidates))

    def enable(self, plugin_id: str) -> PluginInfo:
        """
        Let the plugin run from the next `start` on; a memory plugin takes the slot of the other.

        Raises `NotFoundError`, and what writing the settings raises.
        """
        return self._switch(plugin_id, on=True)

    def disable(self, plugin_id: str) -> PluginInfo:
        """Let the plugin not run from the next `start` on; one that runs goes on to its end."""
        return self._switch(plugin_id, on=False)

    def close(self) -> None:
        """Tell the plugins that the state closes, and forget them."""
        if self._kept.loaded:
            self.hooks.run("gateway_stop")
        with self._mutex:
            owners, self._kept = list(self._kept.loaded), _Kept()
        for owner in owners:
            self.tools.remove(owner)
            self.hooks.remove(owner)

    def check(self) -> Iterator[Finding]:
        """Give what is wrong with plugins that are to run; none is loaded for that."""
        settings = self._settings()
        candidates = self._candidates(settings)
        for each in candidates.values():
            runs, _ = choose(settings, each.id, self._kind(each), each.origin)
            if runs and each.problem:
                remedy = f"mend it, or run 'clawstate plugins disable {each.id}'"
                yield Finding("plugin", "error", each.place, each.problem, remedy)
        slot = settings.memory
        # OpenClaw may have put a plugin of its own there.
        is_ours = not self._config.owner.is_openclaw
        if settings.enabled and is_ours and slot not in {_NONE, *candidates}:
            message = f"plugins.slots.memory names {slot!r}, and there is no such plugin"
            remedy = f"run 'clawstate plugins enable {OUR_PLUGINS[0].id}'"
            yield Finding("plugin-slot", "warning", str(self._config.path), message, remedy)

    def _switch(self, plugin_id: str, *, on: bool) -> PluginInfo:
        candidate = self._require(require_id("plugin", plugin_id))
        if on and candidate.problem:
            raise UnavailableError(f"plugin {plugin_id}", candidate.problem)
        settings = self._settings()
        is_memory = self._kind(candidate) == MEMORY
        changes: dict[tuple[str, ...], Any] = {}
        if is_memory and (on or settings.memory == plugin_id):
            changes["plugins", "slots", "memory"] = plugin_id if on else _NONE
        if not is_memory or settings.entry(plugin_id).get("enabled") is False:
            changes["plugins", "entries", plugin_id, "enabled"] = on
        switch(self._config, changes)
        return self._info(candidate, self._settings())

    def _settings(self) -> PluginSettings:
        view = self._config.view()
        return PluginSettings(
            enabled=PLUGINS_ENABLED.of(view),
            allow=PLUGINS_ALLOWED.of(view),
            deny=PLUGINS_DENIED.of(view),
            memory=MEMORY_SLOT.of(view),
            entries=PLUGIN_ENTRIES.of(view),
            paths=PLUGIN_PATHS.of(view),
        )

    def _candidates(self, settings: PluginSettings) -> dict[str, Candidate]:
        return find_plugins(self._root, settings.paths, OUR_PLUGINS)

    def _require(self, plugin_id: str) -> Candidate:
        candidates = self._candidates(self._settings())
        if plugin_id not in candidates:
            hint = f"there are {', '.join(sorted(candidates))}"
            raise NotFoundError("plugin", plugin_id, hint)
        return candidates[plugin_id]

    def _kind(self, candidate: Candidate) -> str | None:
        loaded = self._kept.loaded.get(candidate.id)
        return candidate.kind if loaded is None else loaded.plugin.kind

    def _load(self, candidate: Candidate, settings: PluginSettings) -> dict[str, Any]:
        with self._mutex:
            loaded = self._kept.loaded.get(candidate.id)
            if loaded is not None:
                return dict(loaded.given)
            try:
                found = self._register(candidate, settings)
            except StateError as error:
                self._undo(candidate.id, str(error))
                raise
            except (Exception, SystemExit) as error:
                # Not the text of it: it may hold a key of the settings that the plugin was given.
                problem = f"fails with {type(error).__name__}"
                self._undo(candidate.id, problem)
                hint = f"its place is {candidate.place}"
                raise UnavailableError(f"plugin {candidate.id}", problem, hint) from error
            self._kept.failed.pop(candidate.id, None)
            self._kept.loaded[candidate.id] = found
            return dict(found.given)

    def _register(self, candidate: Candidate, settings: PluginSettings) -> _Loaded:
        plugin = candidate.plugin()
        if plugin.kind == MEMORY:
            self._require_slot(candidate.id)
        path = f"plugins.entries.{candidate.id}.config"
        config = settings.entry(candidate.id).get("config")
        registration = _Registration(candidate.id, self.tools, self.hooks)
        runtime = Runtime(
            plugin_id=candidate.id,
            config=check_settings(path, plugin.config_schema, config),
            state=self._state,
            tools=registration,
            hooks=registration,
            logger=_LOGGER.getChild(candidate.id),
            resolve_path=lambda text: self._root / Path(text).expanduser(),
        )
        given = plugin.register(runtime)
        if given is not None and not isinstance(given, Mapping):
            raise InvalidError(f"plugin {candidate.id}", "returned neither a mapping nor nothing")
        return _Loaded(plugin, {"initialized": True, **require_mapping("plugin", given or {})})

    def _require_slot(self, plugin_id: str) -> None:
        for other, loaded in self._kept.loaded.items():
            if loaded.plugin.kind == MEMORY:
                hint = f"one memory plugin runs at a time; {other!r} does, until the state closes"
                raise ConflictError("plugin", plugin_id, hint)

    def _drop(self, plugin_id: str) -> None:
        with self._mutex:
            self._kept.loaded.pop(plugin_id, None)
        self.tools.remove(plugin_id)
        self.hooks.remove(plugin_id)

    def _undo(self, plugin_id: str, problem: str) -> None:
        self.tools.remove(plugin_id)
        self.hooks.remove(plugin_id)
        self._kept.failed[plugin_id] = problem

    def _info(self, candidate: Candidate, settings: PluginSettings) -> PluginInfo:
        loaded = self._kept.loaded.get(candidate.id)
        kind = self._kind(candidate)
        runs, reason = choose(settings, candidate.id, kind, candidate.origin)
        status = "enabled" if runs else "disabled"
        if loaded is not None:
            status, reason = "loaded", reason if runs else "it was asked for by name"
        elif candidate.id in self._kept.failed:
            status, reason = "failed", self._kept.failed[candidate.id]
        elif candidate.problem:
            status, reason = "failed" if runs else "disabled", candidate.problem
        plugin = candidate if loaded is None else loaded.plugin
        return PluginInfo(
            candidate.id,
            plugin.name or candidate.name or candidate.id,
            plugin.version or candidate.version,
            plugin.description or candidate.description,
            kind,
            candidate.origin,
            candidate.place,
            status,
            reason,
            self.tools.names(candidate.id) if loaded is not None else (),
        )


def _known_slot(settings: PluginSettings, candidates: Mapping[str, Candidate]) -> PluginSettings:
    if settings.memory in {_NONE, *candidates}:
        return settings
    return replace(settings, memory=OUR_PLUGINS[0].id)  # it names a plugin that only OpenClaw has
