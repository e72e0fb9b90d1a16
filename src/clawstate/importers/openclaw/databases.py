"""`Databases`: those in which OpenClaw keeps its state since 2026.7, opened for one import."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawstate.clock import to_ms
from clawstate.config.agents import MAIN_AGENT
from clawstate.errors import StateError, UnavailableError
from clawstate.files.json_text import dump_compact
from clawstate.files.paths import effective_home
from clawstate.importers.openclaw.report import Report
from clawstate.importers.openclaw.source import Entry, Found, Role, Source, reason_of
from clawstate.openclaw.agent_database import AgentDatabase
from clawstate.openclaw.owner import STATE_DATABASE, AgentPlace, agent_places
from clawstate.openclaw.schema import Role as Part
from clawstate.openclaw.snapshot import Snapshot, merge_documents, snapshot
from clawstate.openclaw.state_database import StateDatabase
from clawstate.openclaw.transcripts import Transcripts

_LINK = UnavailableError("", "is a link, which is not followed", "put a copy there")
_OUTSIDE = "is the database of {agent!r}, and outside of the source: it is left"

_UNSAFE = re.compile(r'[\\/:*?"<>|\x00-\x1f]|\.\.')


@dataclass(frozen=True, slots=True)
class AgentRows:
    """What the database of an *agent* holds; messages call it *path*."""

    agent: str
    path: str
    file: Path
    database: AgentDatabase
    transcripts: Transcripts


@dataclass(slots=True)
class Databases:
    """
    The database of the *state*, if there is one, and those of *agents*, each in one transaction.

    The *failures* are those that cannot be read, or were written while they were; the *notes* are
    about those that are left. Both are by path.
    """

    state: StateDatabase | None = None
    agents: list[AgentRows] = field(default_factory=list)
    failures: list[tuple[str, StateError]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    _opened: list[tuple[str, ExitStack]] = field(default_factory=list)

    @classmethod
    def of(cls, source: Source) -> Databases:
        """Open all databases of *source*; `close` them."""
        found = cls()
        try:
            found._open_all(source)
        except BaseException:
            found.close()
            raise
        return found

    def close(self) -> None:
        """End the transactions; one that another program wrote into is a failure."""
        while self._opened:
            path, stack = self._opened.pop()
            try:
                stack.close()
            except StateError as error:
                # A failure of one database, told at the end: what was read of it may be half of a
                # change.
                self.failures.append((path, error))

    def snapshots(self) -> Iterator[tuple[str, Snapshot]]:
        """Yield what was opened, by path."""
        if self.state is not None:
            yield STATE_DATABASE, self.state.snapshot
        yield from ((each.path, each.database.snapshot) for each in self.agents)

    def _open_all(self, source: Source) -> None:
        registered: tuple[tuple[str, str], ...] = ()
        state = self._opened_at(source, STATE_DATABASE, source.file(STATE_DATABASE), Part.STATE)
        if state is not None:
            self.state = StateDatabase(state)
            try:
                registered = tuple(self.state.agent_databases())
            except StateError as error:
                self.failures.append((STATE_DATABASE, error))
        is_users = source.root.parent == Path(os.path.realpath(effective_home()))
        for place in agent_places(source.root, registered):
            path = _name_of(source, place)
            if not place.is_inside and not is_users:
                # In a copy of somebody's state its path means another machine.
                self.notes.append((path, _OUTSIDE.format(agent=place.agent)))
                continue
            found = self._opened_at(source, path, place.path, Part.AGENT)
            if found is not None:
                rows = AgentDatabase(found), Transcripts(found)
                self.agents.append(AgentRows(place.agent, path, place.path, *rows))

    def _opened_at(self, source: Source, path: str, file: Path, role: Part) -> Snapshot | None:
        entry = source.entries.get(path)
        if entry is None and file.is_relative_to(source.root):
            return None  # not there, or behind a link, which is told as such
        try:
            if entry is not None and entry.is_link:
                raise _LINK
            # Of OpenClaw's locks none is taken: a reader needs none, and one that was held could
            # keep a gateway from starting (decision 028).
            stack = ExitStack()
            found = stack.enter_context(snapshot(file, role))
        except StateError as error:
            self.failures.append((path, error))
            return None
        # Kept open until the end: one transaction for each database, so all of it is of one moment.
        self._opened.append((path, stack))
        return found


def _name_of(source: Source, place: AgentPlace) -> str:
    """Return how the database at *place* is called: relative to the source, if it is in there."""
    file = Path(os.path.normpath(place.path))
    inside = file.is_relative_to(source.root)
    return file.relative_to(source.root).as_posix() if inside else str(file)


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
            with self._report_errors("sessions", place):
                sessions = each.database.sessions()
                for key, problem in sessions.unreadable.items():
                    self._report.fail("sessions", place, f"{key}: {problem}")
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
                with self._report_errors(kind, STATE_DATABASE):
                    add()

    def _credentials(self, databases: Databases) -> None:
        own: dict[str, dict[str, Any]] = {}
        places: dict[str, str] = {}
        for each in databases.agents:
            place = f"{each.path}#auth_profile_store"
            with self._report_errors("auth", place):
                if document := each.database.credentials():
                    own[each.agent] = merge_documents(document, own.get(each.agent, {}))
                    places.setdefault(each.agent, place)
        if databases.state is not None:
            place = f"{STATE_DATABASE}#authProfiles"
            with self._report_errors("auth", place):
                if shared := databases.state.credentials():
                    # All agents have them, as here those of the main agent.
                    own[MAIN_AGENT] = merge_documents(shared, own.get(MAIN_AGENT, {}))
                    places[MAIN_AGENT] = place
        for agent, document in own.items():
            if document["profiles"] or len(document) > len({"version", "profiles"}):
                self._add(Role.AUTH, places[agent], document, owner=agent)

    def _channels(self, state: StateDatabase) -> None:
        for (channel, account), entries in state.allow_lists().items():
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
            self._report.fail("devices", place, f"{name}: {problem}")
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
        # Only sessions are many enough for progress to be told by their size.
        size = len(dump_compact(document)) if role is Role.SESSIONS else 0
        entry = Entry(place, is_folder=False, is_link=False, size=size)
        self.found.append(Found(entry, role, owner, in_database=True))

    @contextmanager
    def _report_errors(self, kind: str, place: str) -> Iterator[None]:
        try:
            yield
        except StateError as error:
            self._report.fail(kind, place, reason_of(error))


def _safe(name: str) -> str:
    """Return *name* as OpenClaw writes it into the name of a file."""
    return _UNSAFE.sub("_", name.strip().lower())
