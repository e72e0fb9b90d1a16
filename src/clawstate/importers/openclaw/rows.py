"""What the databases hold, laid out as the documents that OpenClaw's files held before."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from clawstate.clock import to_ms
from clawstate.errors import StateError
from clawstate.files.json_text import dump_compact
from clawstate.importers.openclaw.databases import Databases
from clawstate.importers.openclaw.discovery import Found, Role
from clawstate.importers.openclaw.report import Report
from clawstate.importers.openclaw.source import Entry, Source, reason_of
from clawstate.openclaw.credentials import joined
from clawstate.openclaw.owner import STATE_DATABASE
from clawstate.openclaw.state_database import StateDatabase

_MAIN = "main"
_UNSAFE = re.compile(r'[\\/:*?"<>|\x00-\x1f]|\.\.')


def documents(
    source: Source, databases: Databases, report: Report, *, now: float, wanted: frozenset[str]
) -> tuple[Found, ...]:
    """
    Return what is kept in rows as documents by role, each of which *source* gives by its path.

    Only those of the kinds *wanted* are read. A row that cannot be read is told in the *report*.
    """
    found = _Documents(source, report, wanted)
    found.of_agents(databases)
    if databases.state is not None:
        found.of_state(databases.state, to_ms(now))
    return tuple(found.found)


class _Documents:
    def __init__(self, source: Source, report: Report, wanted: frozenset[str]) -> None:
        self.found: list[Found] = []
        self._source = source
        self._report = report
        self._wanted = wanted

    def of_agents(self, databases: Databases) -> None:
        """Add credentials and sessions."""
        if "auth" in self._wanted:
            self._credentials(databases)
        if "sessions" not in self._wanted:
            return
        for each in databases.agents:
            place = f"{each.path}#session_nodes"
            with self._told("sessions", place):
                sessions = each.database.sessions()
                for key, problem in sessions.unreadable.items():
                    self._report.failed("sessions", place, f"{key}: {problem}")
                self._add(Role.SESSIONS, place, sessions.entries, owner=each.agent)

    def of_state(self, state: StateDatabase, now_ms: int) -> None:
        """Add what the whole state has."""
        parts: Mapping[str, Callable[[], None]] = {
            "channels": lambda: self._channels(state),
            "identity": lambda: self._identity(state),
            "device-auth": lambda: self._device_auth(state),
            "devices": lambda: self._devices(state),
            "dedupe": lambda: self._marks(state, now_ms),
        }
        for kind, add in parts.items():
            if kind in self._wanted:
                with self._told(kind, STATE_DATABASE):
                    add()

    def _credentials(self, databases: Databases) -> None:
        own: dict[str, dict[str, Any]] = {}
        places: dict[str, str] = {}
        for each in databases.agents:
            place = f"{each.path}#auth_profile_store"
            with self._told("auth", place):
                if document := each.database.credentials():
                    own[each.agent] = joined(document, own.get(each.agent, {}))
                    places.setdefault(each.agent, place)
        if databases.state is not None:
            place = f"{STATE_DATABASE}#authProfiles"
            with self._told("auth", place):
                if shared := databases.state.credentials():
                    # All agents have them, as here those of the main agent.
                    own[_MAIN] = joined(shared, own.get(_MAIN, {}))
                    places[_MAIN] = place
        for agent, document in own.items():
            if document["profiles"] or len(document) > len({"version", "profiles"}):
                self._add(Role.AUTH, places[agent], document, owner=agent)

    def _channels(self, state: StateDatabase) -> None:
        for (channel, account), entries in state.allowed().items():
            name = f"{_safe(channel)}-{_safe(account)}-allowFrom.json"
            document = {"version": 1, "allowFrom": entries}
            self._add(Role.ALLOW_FROM, f"{STATE_DATABASE}#credentials/{name}", document)
        for channel, requests in state.pairing().items():
            name = f"{_safe(channel)}-pairing.json"
            document = {"version": 1, "requests": requests}
            self._add(Role.CHANNEL_PAIRING, f"{STATE_DATABASE}#credentials/{name}", document)

    def _identity(self, state: StateDatabase) -> None:
        if (document := state.identity()) is not None:
            self._add(Role.IDENTITY, f"{STATE_DATABASE}#device_identities", document)

    def _device_auth(self, state: StateDatabase) -> None:
        for device, document in state.device_auth().items():
            place = f"{STATE_DATABASE}#device_auth_tokens/{device}"
            self._add(Role.DEVICE_AUTH, place, document)

    def _devices(self, state: StateDatabase) -> None:
        place = f"{STATE_DATABASE}#device_pairing_paired"
        devices = state.devices()
        for name, problem in devices.unreadable.items():
            self._report.failed("devices", place, f"{name}: {problem}")
        if devices.documents:
            self._add(Role.PAIRED, place, devices.documents)

    def _marks(self, state: StateDatabase, now_ms: int) -> None:
        marks: dict[str, dict[str, int]] = {}
        for each in state.marks(now_ms=now_ms):
            space = f"{each.plugin}:{each.namespace}"
            marks.setdefault(space, {})[each.key] = each.seen_at_ms
        for space, members in marks.items():
            place = f"{STATE_DATABASE}#plugin_state_entries/{space}"
            self._add(Role.DEDUPE, place, members, owner=space)

    def _add(self, role: Role, place: str, document: Any, *, owner: str = "") -> None:
        self._source.documents[place] = document
        size = len(dump_compact(document)) if role is Role.SESSIONS else 0
        entry = Entry(place, is_folder=False, is_link=False, size=size)
        self.found.append(Found(entry, role, owner, in_database=True))

    @contextmanager
    def _told(self, kind: str, place: str) -> Iterator[None]:
        try:
            yield
        except StateError as error:
            self._report.failed(kind, place, reason_of(error))


def _safe(name: str) -> str:
    """Return *name* as OpenClaw writes it into the name of a file."""
    return _UNSAFE.sub("_", name.strip().lower())
