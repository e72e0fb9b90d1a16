"""`OpenClawView`: what the OpenClaw of a directory keeps in its databases, read live."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawstate.arguments import require_text
from clawstate.clock import from_ms
from clawstate.errors import StateError
from clawstate.openclaw.owner import Era
from clawstate.openclaw.reading import MAIN, Documents, read_credentials, read_sessions
from clawstate.secret_rules import mask
from clawstate.stores.auth.credentials import TYPES
from clawstate.stores.sessions.entry import SessionEntry, entry_of

if TYPE_CHECKING:
    from clawstate.openclaw.owner import Owner

MISSING = "missing"
"""Shown of a secret that is not there."""


@dataclass(frozen=True, slots=True)
class OpenClawSession:
    """A session of OpenClaw: the *agent* whose database has it, and its *entry*, without a file."""

    agent: str
    entry: SessionEntry


@dataclass(frozen=True, slots=True)
class OpenClawCredential:
    """
    A credential of OpenClaw, without its secret.

    *agent* is `main` for those that all agents have. *secret* shows the ends of a long one, the
    reference of one that lies elsewhere, or `missing`. *expires* is in seconds since the epoch.
    """

    agent: str
    id: str
    provider: str
    type: str
    secret: str
    email: str | None = field(default=None, repr=False)
    expires: float | None = None


class OpenClawView:
    """
    What the OpenClaw of *owner* keeps in SQLite; nothing of it is ever changed.

    Empty for a directory of nobody's, and of the file era, whose files are shared: there the
    sessions and credentials of the state are OpenClaw's. Each call reads anew, also while its
    gateway runs.
    """

    def __init__(self, owner: Owner) -> None:
        self._root: Path | None = owner.root if owner.era is Era.SQLITE else None

    def sessions(self, agent_id: str | None = None) -> tuple[OpenClawSession, ...]:
        """Return its sessions, of all agents or of one, the one updated last first."""
        found = self._read(read_sessions).by_agent
        entries = [
            OpenClawSession(agent, entry)
            for agent, documents in found.items()
            if agent_id is None or agent == agent_id
            for entry in _entries(documents)
        ]
        return tuple(sorted(entries, key=lambda each: -each.entry.updated_at))

    def credentials(self, agent_id: str = MAIN) -> tuple[OpenClawCredential, ...]:
        """Return the credentials that the agent *agent_id* has there, by id; secrets are masked."""
        require_text("agent id", agent_id)
        found = self._read(read_credentials).by_agent
        merged: dict[str, OpenClawCredential] = {}
        for agent in dict.fromkeys((MAIN, agent_id)):
            profiles = found.get(agent, {}).get("profiles")
            for name, each in (profiles if isinstance(profiles, Mapping) else {}).items():
                if isinstance(each, Mapping):
                    merged[name] = _credential(agent, name, each)
        return tuple(merged[name] for name in sorted(merged))

    def problems(self) -> tuple[str, ...]:
        """Return what of its databases cannot be read, as sentences."""
        found = (self._read(read).problems for read in (read_sessions, read_credentials))
        return tuple(dict.fromkeys(str(problem) for each in found for problem in each))

    def _read(self, read: Callable[[Path], Documents]) -> Documents:
        return Documents() if self._root is None else read(self._root)


def _entries(documents: Mapping[str, Any]) -> Iterator[SessionEntry]:
    for key, document in documents.items():
        with suppress(StateError):  # `problems` tells of those that OpenClaw cannot use either
            yield entry_of(key, document, session_file="", extra={})


def _credential(agent: str, name: str, document: Mapping[str, Any]) -> OpenClawCredential:
    kind = str(document.get("type") or document.get("mode") or "")
    end = TYPES[kind].expiry if kind in TYPES else None
    email, expires = document.get("email"), document.get("expires" if end is None else end.name)
    return OpenClawCredential(
        agent=agent,
        id=name,
        provider=str(document.get("provider") or name.partition(":")[0]),
        type=kind,
        secret=_mask_secret(document, kind),
        email=email if isinstance(email, str) else None,
        expires=_moment(expires),
    )


def _mask_secret(document: Mapping[str, Any], kind: str) -> str:
    known = TYPES.get(kind)
    secrets = () if known is None else (known.reference, *known.secrets)
    for member in secrets:
        value = None if member is None else document.get(member.name)
        if isinstance(value, Mapping):
            return ":".join(str(value.get(each, "")) for each in ("source", "provider", "id"))
        if isinstance(value, str) and value:
            return mask(value)
    return MISSING


def _moment(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return from_ms(value)
