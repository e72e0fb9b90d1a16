"""
The settings that no OpenClaw knows, each with why it is there, and those that one release knows.

Beside an OpenClaw they are kept in `clawstate.json` (decision 24). The repair of the doctor moves
what is in `OWN` and nothing else: what is unknown to us may be a setting of a newer OpenClaw, and
what a release no longer knows is for that release's own doctor to move.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clawstate.json5.path_grammar import KeyPath

OWN: Mapping[KeyPath, str] = {
    ("state",): "the engine of the records, and the encryption of credentials",
    ("pairing",): "the file, lifetime and number of pairing requests (specification, section 4)",
    ("caches",): "how much is cached, and for how long",
    ("locks",): "the patience of the file locks (specification, File Locking Strategy)",
    ("memory", "store"): "the engine of the memory (specification, Configuration Reference)",
    ("memory", "history"): "what is kept of records that change",
    ("memory", "retention"): "which records leave, and when",
    ("gateway", "host"): "the specification's word for where to listen; OpenClaw's is bind",
    ("auth", "order"): "one list for all providers, as the specification has it; OpenClaw takes"
    " one for each",
    ("secrets", "defaults", "keyring"): "the keyring as a source of secrets",
}
"""Settings, and all below them; `auth.order` only as a list."""

OWN_PLUGIN: KeyPath = ("plugins", "entries", "memory-lancedb", "config")
"""The settings of that plugin: ours has more than OpenClaw's of the same name."""

OWN_SOURCE = "keyring"
"""The source of secret references that OpenClaw does not have."""

_MOVED_96 = """
agents.defaults.cliBackends agents.defaults.contextTokens agents.defaults.embeddedPi
agents.defaults.envelopeElapsed agents.defaults.envelopeTimestamp agents.defaults.envelopeTimezone
agents.defaults.memorySearch agents.defaults.timeFormat agents.list audio auth.cooldowns canvasHost
commands.ownerDisplay commands.ownerDisplaySecret commands.useAccessGroups env
gateway.channelHealthCheckMinutes gateway.controlUi.allowInsecureAuth gateway.reload.debounceMs
gateway.reload.mode gateway.tailscale.resetOnExit logging.consoleStyle logging.redactSensitive media
memory.backend memory.qmd meta.lastTouchedAt plugins.installs secrets.resolution
session.agentToAgent session.idleMinutes session.maintenance.pruneAfter
session.maintenance.pruneDays session.maintenance.resetArchiveRetention
session.maintenance.rotateBytes session.parentForkMaxTokens session.resetByType.dm
session.sendPolicy.rules session.threadBindings.ttlHours session.typingIntervalSeconds
session.typingMode web
"""
_PLAIN_26 = """
agents.defaults.memorySearch.remote.apiKey agents.list commands.ownerDisplaySecret
gateway.auth.password gateway.auth.token gateway.remote.password gateway.remote.token
plugins.entries.memory-lancedb.config
"""
DIFFERENT: Mapping[str, tuple[str, ...]] = {
    "2026.2.26": tuple(_PLAIN_26.split()),  # no references there, less of the plugin
    "2026.9.6": tuple(_MOVED_96.split()),  # moved, renamed or dropped since 2026.2.26
}
"""Settings of OpenClaw that we read and that release refuses, in some form at least."""


def is_own(path: KeyPath, value: Any) -> bool:
    """Tell whether the *value* that OpenClaw refuses at *path* is a setting that only we know."""
    if path[-1:] == ("source",):
        return bool(value == OWN_SOURCE)
    if path == ("auth", "order"):
        return isinstance(value, list)
    return any(path[: len(own)] == own for own in (*OWN, OWN_PLUGIN))
