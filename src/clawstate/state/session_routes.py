"""`RoutedSessions`: the sessions of all agents, each agent with an index of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from clawstate.errors import InvalidError
from clawstate.files.paths import normalise_agent_id, require_agent_id
from clawstate.health import Finding
from clawstate.interrupts import Mutex
from clawstate.records.adoption import Adopted
from clawstate.stores.sessions.archive import Archived
from clawstate.stores.sessions.changes import StoreChange
from clawstate.stores.sessions.entry import Document, SessionEntry
from clawstate.stores.sessions.merging import EntryChange
from clawstate.stores.sessions.selection import Pruned
from clawstate.stores.sessions.service import Sessions

A = TypeVar("A")

_PARTS = 3  # of a key that names its agent


class RoutedSessions(Sessions):
    """
    The sessions of several agents as one.

    What a key names decides which index it is in: `agent:<id>:...` that of the agent, any other
    that of the *default* one. *opened* gives the sessions of an agent, and *agents* all that may
    have some. Limits of a pruning hold for each index.
    """

    def __init__(
        self,
        opened: Callable[[str], Sessions],
        *,
        agents: Callable[[], Iterable[str]],
        default: Callable[[], str],
    ) -> None:
        self._opened = opened
        self._agents = agents
        self._default = default
        self._known: dict[str, Sessions] = {}
        self._mutex = Mutex()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(agents={sorted(self._known)!r})"

    def resolve(self, key: str) -> SessionEntry:
        """Return the session of *key*, a new one if need be."""
        return self._writable(key).resolve(key)

    def get(self, key: str) -> SessionEntry | None:
        """Return the session of *key*, or `None`."""
        return self._of(key).get(key)

    def require(self, key: str) -> SessionEntry:
        """Return the session of *key*; raises `NotFoundError`."""
        return self._of(key).require(key)

    def entries(self, active_within: float | None = None) -> tuple[SessionEntry, ...]:
        """Return the sessions of all agents, the one updated last first."""
        found = [entry for each in self._every() for entry in each.entries(active_within)]
        return tuple(sorted(found, key=lambda each: (-each.updated_at, each.session_key)))

    def update(self, key: str, change: EntryChange | Mapping[str, Any]) -> SessionEntry:
        """Change the entry of *key*; raises `NotFoundError` when there is none."""
        return self._writable(key).update(key, change)

    def change_all(self, change: StoreChange[A]) -> A:
        """
        Replace all entries at once, if they lie in one index.

        Raises `InvalidError` where several agents have sessions: no single step changes several
        files.
        """
        found = [each for each in self._every() if each.entries()]
        if len(found) > 1:
            problem = "keeps the sessions of each agent in a file of its own"
            hint = "change one session at a time, or those of one agent"
            raise InvalidError("session.store", problem, hint)
        return (found[0] if found else self._sessions(self._default())).change_all(change)

    def update_store(self, mutator: Callable[[dict[str, Document]], A]) -> A:
        """Let *mutator* alter all entries in place; raises what `change_all` does."""
        return self.change_all(lambda entries: (entries, mutator(entries)))

    def adopt(
        self, entries: Mapping[str, Any], *, replace: bool = False, dry_run: bool = False
    ) -> Adopted:
        """Take over *entries*, each into the index of its agent; one step for each index."""
        parts: dict[str, dict[str, Any]] = {}
        for key, entry in entries.items():
            parts.setdefault(self._agent(key), {})[key] = entry
        answers = [
            self._sessions(agent).adopt(part, replace=replace, dry_run=dry_run)
            for agent, part in parts.items()
        ]
        names = ("new", "changed", "same", "kept")
        joined = {name: tuple(k for each in answers for k in getattr(each, name)) for name in names}
        refused = {key: why for each in answers for key, why in each.refused.items()}
        return Adopted(**joined, refused=refused)

    def reset(self, key: str) -> SessionEntry:
        """Begin the session of *key* anew; raises `NotFoundError`."""
        return self._writable(key).reset(key)

    def delete(self, key: str) -> bool:
        """Take the session of *key* out of its index; False if there is none."""
        return self._writable(key).delete(key)

    def restore(self, name: str) -> SessionEntry:
        """Bring back an archived session by its key, or by the name of its archive."""
        for each in self._every():
            if any(name == found.archive for found in each.archived()):
                return each.restore(name)
        return self._of(name).restore(name)

    def archived(self) -> tuple[Archived, ...]:
        """Return what can be restored, the newest first."""
        found = [archived for each in self._every() for archived in each.archived()]
        return tuple(sorted(found, key=lambda each: (-each.at, each.session_key)))

    def prune(
        self,
        *,
        older_than: float | None = None,
        max_entries: int | None = None,
        max_disk_bytes: int | None = None,
        dry_run: bool = False,
        enforce: bool = False,
        spare: Collection[str] = (),
    ) -> Pruned:
        """Prune each index by itself, and tell what went from all of them."""
        told = [
            each.prune(
                older_than=older_than,
                max_entries=max_entries,
                max_disk_bytes=max_disk_bytes,
                dry_run=dry_run,
                enforce=enforce,
                spare=spare,
            )
            for each in self._every()
        ]
        return _joined(told)

    def named(self) -> frozenset[str]:
        """Return the ids of all sessions that are here, or can be restored."""
        return frozenset(found for each in self._every() for found in each.named())

    def ended(self) -> frozenset[str]:
        """Return the ids of sessions that are gone for good, but for their messages."""
        found = frozenset(found for each in self._every() for found in each.ended())
        return found - self.named() if found else found

    def collect(self) -> frozenset[str]:
        """Let go of all that `ended` gives, and return it."""
        return frozenset(found for each in self._every() for found in each.collect())

    def check(self) -> tuple[Finding, ...]:
        """Return what is not as it should be; nothing is changed."""
        return tuple(found for each in self._every() for found in each.check())

    def repair(self) -> tuple[Finding, ...]:
        """Mend what loses nothing, and return what was mended."""
        return tuple(found for each in self._every() for found in each.repair())

    def _of(self, key: str) -> Sessions:
        return self._sessions(self._agent(key))

    def _writable(self, key: str) -> Sessions:
        """Return where *key* lies; raises `InvalidError` where its agent may be another one."""
        if (named := _agent_in(key)) is not None:
            require_agent_id(named)
        return self._of(key)

    def _agent(self, key: str) -> str:
        named = _agent_in(key)
        return self._default() if named is None else normalise_agent_id(named)

    def _every(self) -> Iterator[Sessions]:
        for agent in sorted({*self._agents(), self._default()}):
            yield self._sessions(agent)

    def _sessions(self, agent: str) -> Sessions:
        with self._mutex:
            if agent not in self._known:
                self._known[agent] = self._opened(agent)
            return self._known[agent]


def _agent_in(key: str) -> str | None:
    parts = [each for each in key.strip().lower().split(":") if each]
    return parts[1] if len(parts) >= _PARTS and parts[0] == "agent" else None


def _joined(told: list[Pruned]) -> Pruned:
    def entries(name: str) -> tuple[SessionEntry, ...]:
        return tuple(entry for each in told for entry in getattr(each, name))

    return Pruned(
        dry_run=any(each.dry_run for each in told),
        by_age=entries("by_age"),
        by_count=entries("by_count"),
        by_size=entries("by_size"),
        kept=sum(each.kept for each in told),
        expired=sum(each.expired for each in told),
        bytes_before=sum(each.bytes_before for each in told),
        bytes_after=sum(each.bytes_after for each in told),
    )
