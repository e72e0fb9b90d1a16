"""`Databases`: those in which OpenClaw keeps its state since 2026.7, opened for one import."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from clawstate.errors import StateError, UnavailableError
from clawstate.files.paths import effective_home
from clawstate.importers.openclaw.source import Source
from clawstate.openclaw.agent_database import AgentDatabase
from clawstate.openclaw.owner import STATE_DATABASE
from clawstate.openclaw.places import AgentPlace, agent_places
from clawstate.openclaw.schema import Role
from clawstate.openclaw.snapshot import Snapshot, snapshot
from clawstate.openclaw.state_database import StateDatabase
from clawstate.openclaw.transcripts import Transcripts

_LINK = UnavailableError("", "is a link, which is not followed", "put a copy there")
_OUTSIDE = "is the database of {agent!r}, and outside of the source: it is left"


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
                self.failures.append((path, error))

    def snapshots(self) -> Iterator[tuple[str, Snapshot]]:
        """Yield what was opened, by path."""
        if self.state is not None:
            yield STATE_DATABASE, self.state.snapshot
        yield from ((each.path, each.database.snapshot) for each in self.agents)

    def _open_all(self, source: Source) -> None:
        registered: tuple[tuple[str, str], ...] = ()
        state = self._opened_at(source, STATE_DATABASE, source.file(STATE_DATABASE), Role.STATE)
        if state is not None:
            self.state = StateDatabase(state)
            try:
                registered = tuple(self.state.agent_databases())
            except StateError as error:
                self.failures.append((STATE_DATABASE, error))
        is_users = source.root.parent == Path(os.path.realpath(effective_home()))
        for place in agent_places(source.root, registered):
            path = _shown(source, place)
            if not place.is_inside and not is_users:
                # In a copy of somebody's state its path means another machine.
                self.notes.append((path, _OUTSIDE.format(agent=place.agent)))
                continue
            found = self._opened_at(source, path, place.path, Role.AGENT)
            if found is not None:
                rows = AgentDatabase(found), Transcripts(found)
                self.agents.append(AgentRows(place.agent, path, place.path, *rows))

    def _opened_at(self, source: Source, path: str, file: Path, role: Role) -> Snapshot | None:
        entry = source.entries.get(path)
        if entry is None and file.is_relative_to(source.root):
            return None  # not there, or behind a link, which is told as such
        try:
            if entry is not None and entry.is_link:
                raise _LINK
            stack = ExitStack()
            found = stack.enter_context(snapshot(file, role))
        except StateError as error:
            self.failures.append((path, error))
            return None
        self._opened.append((path, stack))
        return found


def _shown(source: Source, place: AgentPlace) -> str:
    """Return how the database at *place* is called: relative to the source, if it is in there."""
    file = Path(os.path.normpath(place.path))
    inside = file.is_relative_to(source.root)
    return file.relative_to(source.root).as_posix() if inside else str(file)
