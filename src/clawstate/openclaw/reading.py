"""What a directory of OpenClaw's SQLite era holds now, read live."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from clawstate.errors import CorruptError, NotFoundError, StateError, UnavailableError
from clawstate.openclaw.agent_database import AgentDatabase
from clawstate.openclaw.owner import AgentPlace, agent_places, state_database
from clawstate.openclaw.schema import Role, Schema
from clawstate.openclaw.snapshot import merge_documents, snapshot
from clawstate.openclaw.state_database import StateDatabase

T = TypeVar("T")

MAIN = "main"
"""The agent whose credentials all others have as well."""

_TRIES = 3


@dataclass(frozen=True, slots=True)
class Documents:
    """Documents *by_agent*, and the *problems* of databases that could not be read."""

    by_agent: Mapping[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    problems: tuple[StateError, ...] = ()


@dataclass(frozen=True, slots=True)
class Schemas:
    """What the databases say of themselves, by path, and the *problems* of the others."""

    by_path: Mapping[Path, Schema]
    problems: tuple[StateError, ...] = ()


def read_credentials(root: Path) -> Documents:
    """
    Return the credentials of OpenClaw in *root* by agent, each in the form of `auth-profiles.json`.

    Those that all agents share stand under `main`, with its own laid over them. Secrets are in
    them as OpenClaw keeps them. A database that cannot be read is a problem, and hides no other.
    """
    reader = _Reader(root)
    shared = reader.of_state(lambda found: found.credentials())
    by_agent: dict[str, dict[str, Any]] = {}
    for place in reader.places:
        if own := reader.of_agent(place, lambda found: found.credentials()):
            # Of several databases of an agent the first is the one that was seen last: what was
            # read before is laid over what comes now.
            by_agent[place.agent] = merge_documents(own, by_agent.get(place.agent, {}))
    if shared:
        by_agent[MAIN] = merge_documents(shared, by_agent.get(MAIN, {}))
    return Documents(by_agent, tuple(reader.problems))


def read_sessions(root: Path) -> Documents:
    """
    Return the sessions of OpenClaw in *root* by agent, each in the form of `sessions.json`.

    A database or entry that cannot be read is a problem, and hides no other.
    """
    reader = _Reader(root)
    by_agent: dict[str, dict[str, Any]] = {}
    for place in reader.places:
        found = reader.of_agent(place, lambda database: database.sessions())
        if found is None:
            continue
        known = by_agent.setdefault(place.agent, {})
        known.update({key: entry for key, entry in found.entries.items() if key not in known})
        for key, problem in found.unreadable.items():
            reader.problems.append(CorruptError(f"{place.path}: session {key}", problem))
    return Documents(by_agent, tuple(reader.problems))


def read_schemas(root: Path) -> Schemas:
    """Return what the databases of OpenClaw in *root* say of themselves."""
    reader = _Reader(root)
    found: dict[Path, Schema] = {}
    state = reader.of_state(lambda database: database.snapshot.schema)
    if state is not None:
        found[state_database(root)] = state
    for place in reader.places:
        schema = reader.of_agent(place, lambda database: database.snapshot.schema)
        if schema is not None:
            found[place.path] = schema
    return Schemas(found, tuple(reader.problems))


def read_identity(root: Path) -> dict[str, Any] | None:
    """
    Return who this device is to OpenClaw in *root*, in the form of `identity/device.json`.

    Raises what reading its database raises: an identity that cannot be read is not one that is
    missing.
    """
    try:
        with snapshot(state_database(root), Role.STATE) as found:
            return StateDatabase(found).identity()
    except NotFoundError:
        return None


class _Reader:
    """Reads one database after the other; what cannot be read is among the *problems*."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.problems: list[StateError] = []
        registered = self.of_state(lambda found: tuple(found.agent_databases())) or ()
        self.places = agent_places(root, registered)

    def of_state(self, read: Callable[[StateDatabase], T]) -> T | None:
        """Return what *read* makes of the database of the state; `None` without one."""
        path = state_database(self._root)
        return self._read(path, Role.STATE, lambda found: read(StateDatabase(found)))

    def of_agent(self, place: AgentPlace, read: Callable[[AgentDatabase], T]) -> T | None:
        """Return what *read* makes of the database of an agent; `None` if it cannot be read."""
        return self._read(place.path, Role.AGENT, lambda found: read(AgentDatabase(found)))

    def _read(self, path: Path, role: Role, read: Callable[[Any], T]) -> T | None:
        for attempt in range(_TRIES):
            try:
                with snapshot(path, role) as found:
                    answer = read(found)
            except NotFoundError:
                return None
            except UnavailableError as error:
                # OpenClaw may have begun to write just now.
                if attempt < _TRIES - 1:
                    continue
                self._note(error)
            except StateError as error:
                self._note(error)
            else:
                return answer
            break
        return None

    def _note(self, error: StateError) -> None:
        if str(error) not in map(str, self.problems):
            self.problems.append(error)
