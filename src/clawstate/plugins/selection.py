"""Which of the plugins that were found run: rules over the settings, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clawstate.plugins.contract import MEMORY
from clawstate.plugins.discovery import INCLUDED


@dataclass(frozen=True, slots=True)
class PluginSettings:
    """What the section `plugins` of the configuration says."""

    enabled: bool = True
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    memory: str = "memory-core"
    entries: Mapping[str, Any] = field(default_factory=dict)
    paths: tuple[str, ...] = ()

    def entry(self, plugin_id: str) -> Mapping[str, Any]:
        """Return what is said of one plugin."""
        found = self.entries.get(plugin_id)
        return found if isinstance(found, dict) else {}


def why_refused(settings: PluginSettings, plugin_id: str, origin: str) -> str:
    """Return why the plugin may not run at all, naming the setting; empty where it may."""
    if not settings.enabled:
        return "plugins.enabled is false"
    if plugin_id in settings.deny:
        return "plugins.deny names it"
    # The list is about what others brought: beside OpenClaw it names only plugins of OpenClaw.
    if settings.allow and plugin_id not in settings.allow and origin != INCLUDED:
        return "plugins.allow does not name it"
    if settings.entry(plugin_id).get("enabled") is False:
        return f"plugins.entries.{plugin_id}.enabled is false"
    return ""


def choose(
    settings: PluginSettings, plugin_id: str, kind: str | None, origin: str
) -> tuple[bool, str]:
    """
    Return whether the plugin runs without being asked for, and why.

    Exactly one of the kind `memory` does: that in `plugins.slots.memory`. Others run when they are
    enabled, and those in a folder that a setting names.
    """
    refused = why_refused(settings, plugin_id, origin)
    if refused:
        return False, refused
    if kind == MEMORY:
        if settings.memory == plugin_id:
            return True, "plugins.slots.memory names it"
        return False, f"plugins.slots.memory is {settings.memory!r}"
    if settings.entry(plugin_id).get("enabled") is True:
        return True, f"plugins.entries.{plugin_id}.enabled is true"
    # Whatever else is in the directory, or was installed beside, runs only by the word of a person:
    # it could read every key that is kept here.
    if origin == "config":
        return True, "plugins.load.paths names its folder"
    return False, f"not enabled; run 'clawstate plugins enable {plugin_id}'"
