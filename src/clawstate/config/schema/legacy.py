"""Keys of older versions of OpenClaw, and where they have moved (reference, "Schema")."""

from __future__ import annotations

from typing import Any

from clawstate.json5.path_grammar import KeyPath

_CHANNELS = ("whatsapp", "telegram", "discord", "slack", "signal", "imessage", "msteams", "irc")
_ROUTING = {
    "agentToAgent": "tools.agentToAgent",
    "agents": "agents.list",
    "allowFrom": "channels.whatsapp.allowFrom",
    "bindings": "bindings",
    "defaultAgentId": 'agents.list, as "default": true',
    "groupChat": "messages.groupChat, and the groups of each channel",
    "queue": "messages.queue",
    "transcribeAudio": "tools.media.audio.models",
}
_MOVED: dict[KeyPath, str] = {
    **{(name,): f"channels.{name}" for name in _CHANNELS},
    **{("routing", key): place for key, place in _ROUTING.items()},
    ("routing",): "agents, bindings, channels, messages and tools",
    ("agent",): "agents.defaults",
    ("memorySearch",): "agents.defaults.memorySearch",
    ("heartbeat",): "agents.defaults.heartbeat",
    ("identity",): "agents.list, as the identity of an agent",
    ("tools", "bash"): "tools.exec",
    ("gateway", "token"): "gateway.auth.token",
    ("messages", "tts", "enabled"): 'messages.tts.auto, as "always" or "off"',
}


def moved_keys(value: Any) -> dict[KeyPath, str]:
    """Return the paths of old keys in the configuration *value*, and where each belongs now."""
    found = {path: place for path, place in _MOVED.items() if _is_at(value, path)}
    if any(path[:1] == ("routing",) and len(path) > 1 for path in found):
        del found["routing",]
    return found


def _is_at(value: Any, path: KeyPath) -> bool:
    for step in path:
        if not isinstance(value, dict) or step not in value:
            return False
        value = value[step]
    return True
