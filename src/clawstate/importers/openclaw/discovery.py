"""What each file of OpenClaw's state directory is (its release 2026.2.26), told by its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from clawstate.files.paths import normalise_agent_id
from clawstate.importers.openclaw.source import Entry, Source


class Role(Enum):
    """What a file is to the import."""

    CONFIG = "configuration"
    OLD_CONFIG = "configuration of an older name"
    ENVIRONMENT = "environment"
    AUTH = "credentials of an agent"
    AUTH_LEGACY = "credentials of an agent, by provider"
    OAUTH = "credentials of all agents, by provider"
    SESSIONS = "session index"
    SESSIONS_LEGACY = "session index of older releases"
    TRANSCRIPT = "transcript"
    ARCHIVE = "archived transcript"
    CHANNEL_PAIRING = "pairing requests of a channel"
    ALLOW_FROM = "allow list of a channel"
    IDENTITY = "identity of this device"
    DEVICE_AUTH = "tokens of this device"
    PAIRED = "paired devices"
    PENDING = "devices that wait to be paired"
    INDEX = "memory index"
    LANCEDB = "LanceDB table"
    DEDUPE = "marks of what was handled"
    DATABASE = "database of OpenClaw 2026.7 or later"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class Found:
    """
    A file of the source, what it is, and the agent, channel or namespace that it is of.

    What is *in_database* is no file, but a document that the rows of a database make up.
    """

    entry: Entry
    role: Role
    owner: str = ""
    in_database: bool = False

    @property
    def path(self) -> str:
        """Where it lies, relative to the source."""
        return self.entry.path


_AGENT = r"agents/(?P<owner>[^/]+)/"
_PLUGIN = r"(?!workspace|extensions/|agents/|dedupe/)[^/.][^/]*/(?:[^/.][^/]*/)?"
_STAMP = r"\.(?:deleted|reset|bak)\.[^/]+"
_PATTERNS = [
    (re.compile(pattern), role)
    for pattern, role in (
        (r"openclaw\.json", Role.CONFIG),
        (r"(?:clawdbot|moldbot|moltbot)\.json", Role.OLD_CONFIG),
        (r"\.env", Role.ENVIRONMENT),
        (_AGENT + r"agent/auth-profiles\.json", Role.AUTH),
        (r"agent/auth-profiles\.json", Role.AUTH),
        (_AGENT + r"agent/auth\.json", Role.AUTH_LEGACY),
        (r"agent/auth\.json", Role.AUTH_LEGACY),
        (r"credentials/oauth\.json", Role.OAUTH),
        (_AGENT + r"sessions/sessions\.json", Role.SESSIONS),
        (r"sessions/sessions\.json", Role.SESSIONS_LEGACY),
        (_AGENT + r"sessions/[^/]+\.jsonl", Role.TRANSCRIPT),
        (r"sessions/[^/]+\.jsonl", Role.TRANSCRIPT),
        (_AGENT + r"sessions/[^/]+\.jsonl" + _STAMP, Role.ARCHIVE),
        (r"sessions/[^/]+\.jsonl" + _STAMP, Role.ARCHIVE),
        (r"credentials/(?P<owner>[^/]+)-pairing\.json", Role.CHANNEL_PAIRING),
        (r"credentials/(?P<owner>[^/]+)-allowFrom\.json", Role.ALLOW_FROM),
        (r"identity/device\.json", Role.IDENTITY),
        (r"(?:state/)?identity/device-auth\.json", Role.DEVICE_AUTH),
        (r"devices/paired\.json", Role.PAIRED),
        (r"devices/pending\.json", Role.PENDING),
        (r"state/openclaw\.sqlite|agents/[^/]+/agent/openclaw-agent\.sqlite", Role.DATABASE),
        (r"memory/(?P<owner>[^/]+)\.sqlite", Role.INDEX),
        (r"memory/lancedb", Role.LANCEDB),
        (_PLUGIN + r"dedupe?/(?P<owner>[^/.][^/]*)\.json", Role.DEDUPE),
        (r"dedup/(?P<owner>[^/.][^/]*)\.json", Role.DEDUPE),
    )
]
OF_AGENTS = frozenset(
    {Role.AUTH, Role.AUTH_LEGACY, Role.SESSIONS, Role.SESSIONS_LEGACY}
    | {Role.TRANSCRIPT, Role.ARCHIVE, Role.INDEX}
)
"""What belongs to one agent."""

_FOLDERS = {Role.LANCEDB}


def discover(source: Source, *, default_agent: str = "main") -> Iterator[Found]:
    """
    Yield every file of *source*, sorted by path, with what it is.

    What older releases kept for their only agent belongs to the *default_agent*. A link has a
    role like a file; opening it is refused.
    """
    for path, entry in sorted(source.entries.items()):
        found = _found(path, entry, default_agent)
        if not entry.is_folder or found.role in _FOLDERS:
            yield found


def _found(path: str, entry: Entry, default_agent: str) -> Found:
    for pattern, role in _PATTERNS:
        match = pattern.fullmatch(path)
        if match is None or entry.is_folder != (role in _FOLDERS):
            continue
        owner = match.groupdict().get("owner") or ""
        if role in OF_AGENTS:
            owner = normalise_agent_id(owner) if owner else default_agent
        return Found(entry, role, owner)
    return Found(entry, Role.OTHER)
