"""`State`: one opened state directory, and the only place where its parts are wired together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from clawstate.clock import Clock, system_clock
from clawstate.config.service import Config
from clawstate.files.paths import StatePaths, as_directory, resolve_state_dir
from clawstate.files.place import Place
from clawstate.interrupts import load_modules
from clawstate.openclaw.owner import Owner
from clawstate.state.backends import BackendRegistry
from clawstate.state.context import Context, Locks, locked_cached_property
from clawstate.state.left_behind import Notice
from clawstate.state.setting_guards import guard_settings

if TYPE_CHECKING:
    from clawstate.caches.directory import DirectoryCache
    from clawstate.memory.contract import Embedder
    from clawstate.memory.service import Memory
    from clawstate.plugins.host import Plugins
    from clawstate.records.contract import Collection, CollectionSpec
    from clawstate.state.audit import Audit
    from clawstate.state.auth_of_agents import AuthOfAgents
    from clawstate.state.backup_notes import BackupNotes
    from clawstate.state.encryption import Encryption
    from clawstate.state.feed import Changes, Feed, Subscription
    from clawstate.state.health import Health
    from clawstate.state.matrix import MatrixAccounts
    from clawstate.state.openclaw_messages import Waiting
    from clawstate.state.openclaw_view import OpenClawView
    from clawstate.state.places import Places
    from clawstate.state.records import Records
    from clawstate.state.timeline import Timeline
    from clawstate.stores.dedupe import PersistentDedupe
    from clawstate.stores.device_auth import DeviceAuth
    from clawstate.stores.devices import Devices
    from clawstate.stores.identity import Identity
    from clawstate.stores.pairing import DeviceFlow, Pairing
    from clawstate.stores.sessions import Sessions
    from clawstate.stores.transcripts import Transcripts


class State:
    """
    Everything that an agent must not lose, in the directory `paths.root`.

    Opening reads and creates nothing; the first write makes what it needs. Close it after use.
    """

    def __init__(
        self,
        root: Path,
        *,
        store: str | None = None,
        tenant: str = "default",
        embedder: Embedder | None = None,
        clock: Clock = system_clock,
        lock_timeout: float | None = None,
    ) -> None:
        self.paths = StatePaths(root)
        place = Place(root)
        locks = Locks(lambda: self.config, lock_timeout)
        self.config = Config(self.paths, clock=clock, lock=locks, present=place.require)
        engines = BackendRegistry(self.paths, self.config, locks, store, tenant, place)
        self._context = Context(self.paths, self.config, clock, locks, engines)
        self._embedder = embedder
        self._notice = Notice(self._context)
        self.config.guard(guard_settings(self._context))

    @property
    def owner(self) -> Owner:
        """Whose the directory is: nobody's, or OpenClaw's of the file or SQLite era."""
        return self._context.owner

    @property
    def clock(self) -> Clock:
        """The clock of the state: seconds since the epoch."""
        return self._context.clock

    @property
    def engine(self) -> str:
        """The engine of the records, `file`, `sqlite` or an address; raises `ConfigError`."""
        return self._context.backends.choice

    @locked_cached_property
    def places(self) -> Places:
        """Where the parts lie that settings move elsewhere."""
        load_modules("clawstate.state.places")
        from clawstate.state.places import Places  # noqa: PLC0415

        return Places(self._context)

    @locked_cached_property
    def records(self) -> Records:
        """In which engine the records lie, what lies elsewhere, and moving them."""
        load_modules("clawstate.state.records")
        from clawstate.state.records import Records  # noqa: PLC0415

        return Records(self._context)

    @locked_cached_property
    def health(self) -> Health:
        """What is wrong with the parts, and how it is mended."""
        load_modules("clawstate.state.health")
        from clawstate.state.health import Health  # noqa: PLC0415

        return Health(self)

    @locked_cached_property
    def audit(self) -> Audit:
        """Whether memory and conversations are what was written, by a keyed chain."""
        load_modules("clawstate.state.audit")
        from clawstate.state.audit import Audit  # noqa: PLC0415

        return Audit(self._context)

    @locked_cached_property
    def backup_notes(self) -> BackupNotes:
        """Which backups were made and verified, and how often they are to be."""
        load_modules("clawstate.state.backup_notes")
        from clawstate.state.backup_notes import BackupNotes  # noqa: PLC0415

        return BackupNotes(self.paths)

    @locked_cached_property
    def timeline(self) -> Timeline:
        """What changed between two moments, in all parts whose past is kept."""
        load_modules("clawstate.state.timeline")
        from clawstate.state.timeline import Timeline  # noqa: PLC0415

        return Timeline(self)

    def agents(self) -> tuple[str, ...]:
        """Return the ids of all agents that may have credentials, `main` first."""
        load_modules("clawstate.state.agents")
        from clawstate.state.agents import agents_of  # noqa: PLC0415

        return agents_of(self._context)

    def sessions_of(self, agent_id: str | None) -> Sessions:
        """Return the sessions of one agent; of all with `None`."""
        from clawstate.state.sessions import open_sessions  # noqa: PLC0415

        return self.sessions if agent_id is None else open_sessions(self._context, agent_id)

    def transcripts_waiting(self, session_id: str | None = None) -> Iterator[Waiting]:
        """Give transcripts of OpenClaw with entries that are not here, of one session or all."""
        from clawstate.state.openclaw_messages import waiting  # noqa: PLC0415

        return waiting(self._context, self.transcripts, session_id)

    def changes(self, since: str | None = None) -> Changes:
        """
        Return what moved in the state after the cursor *since*, and a cursor of now.

        By any process, in any part. Without *since* it is only the cursor: an opaque text, good in
        another process and after a restart. For one that is too old `complete` is false: anything
        may have moved. Nothing that moved is left out; what did may be told twice. A collection of
        your own that lies in a file is told once it was asked for here. Raises what reading raises.
        """
        return self._feed.changes(since)

    def subscribe(
        self,
        callback: Callable[[Changes], object],
        *,
        since: str | None = None,
        interval: float = 0.1,
    ) -> Subscription:
        """
        Call *callback* with what moves in the state, by any process, until the answer is closed.

        It looks every *interval* seconds from a thread of its own, and begins at the cursor
        *since*, by default now. An error of *callback* goes to `threading.excepthook`, and the next
        change is told all the same. Closing the state ends it; a forked child has none.
        """
        return self._feed.subscribe(callback, since=since, interval=interval)

    @locked_cached_property
    def _feed(self) -> Feed:
        load_modules("clawstate.state.feed")
        from clawstate.state.feed import Feed  # noqa: PLC0415

        return Feed(self._context)

    def collection(self, spec: CollectionSpec) -> Collection:
        """Return the records of *spec* in the engine of the state, for parts of your own."""
        found = self._context.backends.records().collection(spec)
        self._context.specs[spec.kind] = spec
        return found

    @locked_cached_property
    def openclaw(self) -> OpenClawView:
        """What the OpenClaw of this directory keeps in its own databases, only to be looked at."""
        load_modules("clawstate.state.openclaw_view")
        from clawstate.state.openclaw_view import OpenClawView  # noqa: PLC0415

        return OpenClawView(self.owner)

    # Each part is imported when it is first asked for: most programs use one or two.

    @locked_cached_property
    def memory(self) -> Memory:
        """What is remembered (specification sections 6 and 7)."""
        load_modules("clawstate.state.memory")
        from clawstate.state.memory import open_memory  # noqa: PLC0415

        self._context.backends.require_open()
        return open_memory(self._context, self._embedder)

    @locked_cached_property
    def auth(self) -> AuthOfAgents:
        """The credentials of an agent, `main` if none is named: `auth(agent_id)`."""
        load_modules("clawstate.state.auth_of_agents")
        from clawstate.state.auth_of_agents import AuthOfAgents  # noqa: PLC0415

        self._notice.warn_once("credentials")
        return AuthOfAgents(self._context)

    @locked_cached_property
    def encryption(self) -> Encryption:
        """Whether the credentials are sealed, and with which key."""
        load_modules("clawstate.state.encryption")
        from clawstate.state.encryption import Encryption  # noqa: PLC0415

        return Encryption(self._context)

    @locked_cached_property
    def sessions(self) -> Sessions:
        """The sessions (specification section 3)."""
        load_modules("clawstate.state.sessions")
        from clawstate.state.sessions import open_sessions  # noqa: PLC0415

        self._notice.warn_once("sessions")
        return open_sessions(self._context)

    @locked_cached_property
    def transcripts(self) -> Transcripts:
        """The messages of the sessions, in the database of the memory."""
        load_modules("clawstate.state.transcripts")
        from clawstate.state.transcripts import open_transcripts  # noqa: PLC0415

        self._context.backends.require_open()
        return open_transcripts(self._context)

    @locked_cached_property
    def pairing(self) -> Pairing:
        """The pending pairing requests (specification section 4)."""
        load_modules("clawstate.state.pairing")
        from clawstate.state.pairing import open_pairing  # noqa: PLC0415

        self._notice.warn_once("pairing requests")
        return open_pairing(self._context, self.devices)

    @locked_cached_property
    def devices(self) -> Devices:
        """The paired devices."""
        load_modules("clawstate.state.pairing")
        from clawstate.state.pairing import open_devices  # noqa: PLC0415

        self._notice.warn_once("devices")
        return open_devices(self._context)

    @locked_cached_property
    def device_flow(self) -> DeviceFlow:
        """The device's side of pairing: asking, and fetching a token by proof of a key."""
        load_modules("clawstate.state.pairing")
        from clawstate.state.pairing import open_device_flow  # noqa: PLC0415

        return open_device_flow(self._context, self.pairing, self.devices)

    @locked_cached_property
    def device_auth(self) -> DeviceAuth:
        """The tokens that this device holds (specification section 5)."""
        load_modules("clawstate.state.pairing")
        from clawstate.state.pairing import open_device_auth  # noqa: PLC0415

        self._notice.warn_once("device tokens")
        return open_device_auth(self._context)

    @locked_cached_property
    def identity(self) -> Identity:
        """The key pair of this device."""
        load_modules("clawstate.state.pairing")
        from clawstate.state.pairing import open_identity  # noqa: PLC0415

        return open_identity(self._context)

    @locked_cached_property
    def matrix(self) -> MatrixAccounts:
        """The storage of a Matrix client: `matrix(homeserver=..., user_id=..., ...)`."""
        load_modules("clawstate.state.matrix")
        from clawstate.state.matrix import open_matrix  # noqa: PLC0415

        self._notice.warn_once("Matrix storage")
        return open_matrix(self._context)

    @locked_cached_property
    def dedupe(self) -> PersistentDedupe:
        """The marks of what was handled already (specification, "Persistent Dedupe")."""
        load_modules("clawstate.state.dedupe")
        from clawstate.state.dedupe import open_dedupe  # noqa: PLC0415

        opened = open_dedupe(self._context)
        self._notice.warn_once("dedupe marks")  # of those that opening did not bring here
        return opened

    @locked_cached_property
    def plugins(self) -> Plugins:
        """Which plugins there are and run, and the tools that they offer (decision 049)."""
        load_modules("clawstate.plugins.host")
        from clawstate.plugins.host import Plugins  # noqa: PLC0415

        return Plugins(self, self.config, self.paths.root, _json_form)

    @locked_cached_property
    def directories(self) -> DirectoryCache[Any]:
        """Lookups that depend on the configuration, bounded by `caches.directory`."""
        load_modules("clawstate.caches.directory")
        from clawstate.caches.directory import DirectoryCache  # noqa: PLC0415
        from clawstate.config.settings import DIRECTORY_ENTRIES, DIRECTORY_TTL  # noqa: PLC0415

        view = self.config.view()
        entries, ttl = DIRECTORY_ENTRIES.of(view), DIRECTORY_TTL.of(view)
        return DirectoryCache(entries if ttl else 0, ttl or None)

    def close(self) -> None:
        """Release files and threads; a later call raises `ClosedError`."""
        if "_feed" in self.__dict__:
            self._feed.close()
        if "plugins" in self.__dict__:
            self.plugins.close()
        if "memory" in self.__dict__:
            self.memory.close()
        if "transcripts" in self.__dict__:
            self.transcripts.close()
        self._context.backends.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"State({str(self.paths.root)!r})"


def open_state(
    path: str | os.PathLike[str] | None = None,
    *,
    store: str | None = None,
    tenant: str = "default",
    embedder: Embedder | None = None,
    clock: Clock = system_clock,
    lock_timeout: float | None = None,
) -> State:
    """
    Open the state in the directory *path*: by default `$OPENCLAW_STATE_DIR`, else `~/.openclaw`.

    *store* is the engine of the records, `file`, `sqlite` or an address `postgresql://...`; by
    default `$CLAWSTATE_STORE` names it, else the configuration (`state.store`). *tenant* keeps
    several states apart in one database. *embedder* turns text into vectors (default: the local
    model). *lock_timeout* is how long a write waits for other writers, in seconds.
    """
    root = resolve_state_dir() if path is None else as_directory(path, "path")
    return State(
        root,
        store=store or os.environ.get("CLAWSTATE_STORE") or None,
        tenant=tenant,
        embedder=embedder,
        clock=clock,
        lock_timeout=lock_timeout,
    )


def _json_form(value: Any) -> Any:
    # By name: the forms know the values of all parts, and so lie above.
    return import_module("clawstate.wire").to_wire(value)


def part_names() -> tuple[str, ...]:
    """Return the parts that `State.changes` tells of; a `*` is any name."""
    load_modules("clawstate.state.catalogue")
    from clawstate.state.catalogue import own_kinds  # noqa: PLC0415 - it knows all stores

    return ("config", "transcripts", "memory", *own_kinds())
