"""Which index a session key is in: the only one, or that of the agent that the key names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeAlias

from clawstate.arguments import require_text
from clawstate.files.paths import normalise_agent_id, require_agent_id
from clawstate.interrupts import Mutex
from clawstate.stores.sessions.indexed import IndexedSessions

Entries: TypeAlias = Mapping[str, Any]

_PARTS = 3  # of a key that names its agent


class Routes(Protocol):
    """Finds the index of a key."""

    def of(self, key: str) -> IndexedSessions:
        """Return the index that *key* is looked for in."""

    def writable(self, key: str) -> IndexedSessions:
        """Return the index in which *key* lies; raises `InvalidError` where that is unclear."""

    def default(self) -> IndexedSessions:
        """Return the index of keys that name no agent."""

    def every(self) -> Iterator[IndexedSessions]:
        """Give all indexes."""

    def split(self, entries: Entries) -> Iterable[tuple[IndexedSessions, Entries]]:
        """Give *entries* by the index that they belong into."""


class OneIndex:
    """All keys are in *index*."""

    def __init__(self, index: IndexedSessions) -> None:
        self._index = index

    def __repr__(self) -> str:
        return repr(self._index)

    def of(self, _key: str) -> IndexedSessions:
        """Return the index."""
        return self._index

    writable = of

    def default(self) -> IndexedSessions:
        """Return the index."""
        return self._index

    def every(self) -> Iterator[IndexedSessions]:
        """Give the index."""
        yield self._index

    def split(self, entries: Entries) -> Iterable[tuple[IndexedSessions, Entries]]:
        """Give *entries* as they are."""
        return [(self._index, entries)]


class AgentRoutes:
    """
    Keys `agent:<id>:...` are in the index of that agent, others in that of the *default* one.

    *opened* gives the index of an agent, and *agents* all that may have one.
    """

    def __init__(
        self,
        opened: Callable[[str], IndexedSessions],
        *,
        agents: Callable[[], Iterable[str]],
        default: Callable[[], str],
    ) -> None:
        self._opened = opened
        self._agents = agents
        self._default = default
        self._known: dict[str, IndexedSessions] = {}
        self._mutex = Mutex()

    def __repr__(self) -> str:
        return f"agents={sorted(self._known)!r}"

    def of(self, key: str) -> IndexedSessions:
        """Return the index of the agent that *key* names."""
        return self.index(self._agent(key))

    def writable(self, key: str) -> IndexedSessions:
        """Return where *key* lies; raises `InvalidError` where its agent may be another one."""
        if (named := _agent_in(key)) is not None:
            # Many ids map to one directory (decision 13): reading follows that, writing must not.
            require_agent_id(named)
        return self.of(key)

    def default(self) -> IndexedSessions:
        """Return the index of the default agent."""
        return self.index(self._default())

    def every(self) -> Iterator[IndexedSessions]:
        """Give the indexes of all agents."""
        # Asked anew each time: another process may have made an agent's index since.
        for agent in sorted({*self._agents(), self._default()}):
            yield self.index(agent)

    def split(self, entries: Entries) -> Iterable[tuple[IndexedSessions, Entries]]:
        """Give *entries* by the agents that their keys name."""
        parts: dict[str, dict[str, Any]] = {}
        for key, entry in entries.items():
            parts.setdefault(self._agent(key), {})[key] = entry
        return [(self.index(agent), part) for agent, part in parts.items()]

    def index(self, agent: str) -> IndexedSessions:
        """Return the index of *agent*."""
        # One object for each agent, as it holds what it has read of the index.
        with self._mutex:
            if agent not in self._known:
                self._known[agent] = self._opened(agent)
            return self._known[agent]

    def _agent(self, key: str) -> str:
        named = _agent_in(key)
        return self._default() if named is None else normalise_agent_id(named)


def _agent_in(key: str) -> str | None:
    # Empty parts do not count, as OpenClaw reads keys.
    parts = [each for each in require_text("key", key).strip().lower().split(":") if each]
    return parts[1] if len(parts) >= _PARTS and parts[0] == "agent" else None
