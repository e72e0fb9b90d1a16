"""`AsyncState`: a state whose verbs run in worker threads, so that no event loop waits."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from anyio import sleep

from clawstate.aio.parts import (
    AsyncAuthProfiles,
    AsyncConfig,
    AsyncDedupe,
    AsyncDeviceAuth,
    AsyncDeviceFlow,
    AsyncDevices,
    AsyncIdentity,
    AsyncMemory,
    AsyncPairing,
    AsyncSessions,
    AsyncTranscripts,
)
from clawstate.aio.workers import Part, Workers, listing, verb
from clawstate.arguments import require_seconds
from clawstate.clock import Clock, system_clock
from clawstate.errors import ClosedError, UnavailableError
from clawstate.state import State, open_state

if TYPE_CHECKING:
    from clawstate.aio.matrix import AsyncMatrixAccounts
    from clawstate.aio.services import (
        AsyncAudit,
        AsyncBackupNotes,
        AsyncCollection,
        AsyncEncryption,
        AsyncHealth,
        AsyncOpenClawView,
        AsyncPlaces,
        AsyncPlugins,
        AsyncRecords,
        AsyncTimeline,
    )
    from clawstate.caches.directory import DirectoryCache
    from clawstate.memory.contract import Embedder
    from clawstate.openclaw.owner import Owner
    from clawstate.records.contract import CollectionSpec
    from clawstate.state.feed import Changes


class AsyncState(Part[State]):
    """
    A `State` in worker threads: what it promises, this promises when the call was awaited.

    It works under asyncio and trio. Each verb runs as a whole in one thread, so no lock is held
    across an `await`. A task that is cancelled waits until a call that has begun is over, and gives
    up one that has not: so what was to be written is there as a whole, or not at all.
    """

    def __init__(self, state: State) -> None:
        super().__init__(lambda: state, Workers())
        self.paths = state.paths
        self.memory = AsyncMemory(lambda: state.memory, self._workers)
        self.config = AsyncConfig(lambda: state.config, self._workers)
        self.sessions = AsyncSessions(lambda: state.sessions, self._workers)
        self.transcripts = AsyncTranscripts(lambda: state.transcripts, self._workers)
        self.pairing = AsyncPairing(lambda: state.pairing, self._workers)
        self.devices = AsyncDevices(lambda: state.devices, self._workers)
        self.device_flow = AsyncDeviceFlow(lambda: state.device_flow, self._workers)
        self.device_auth = AsyncDeviceAuth(lambda: state.device_auth, self._workers)
        self.identity = AsyncIdentity(lambda: state.identity, self._workers)
        self.dedupe = AsyncDedupe(lambda: state.dedupe, self._workers)

    agents = verb(State.agents)
    changes = verb(State.changes)
    transcripts_waiting = listing(State.transcripts_waiting)

    @property
    def owner(self) -> Owner:
        """Whose the directory is: nobody's, or OpenClaw's of the file or SQLite era."""
        return self._part().owner

    @property
    def clock(self) -> Clock:
        """The clock of the state: seconds since the epoch."""
        return self._part().clock

    @property
    def engine(self) -> str:
        """The engine of the records, `file`, `sqlite` or an address; raises `ConfigError`."""
        return self._part().engine

    @property
    def directories(self) -> DirectoryCache[Any]:
        """What programs remember of directories, in memory alone."""
        return self._part().directories

    @property
    def encryption(self) -> AsyncEncryption:
        """Whether the credentials are encrypted, and with which key."""
        from clawstate.aio.services import AsyncEncryption  # noqa: PLC0415 - few programs need them

        return AsyncEncryption(lambda: self._part().encryption, self._workers)

    @property
    def records(self) -> AsyncRecords:
        """In which engine the records lie, what lies elsewhere, and moving them."""
        from clawstate.aio.services import AsyncRecords  # noqa: PLC0415 - few programs need them

        return AsyncRecords(lambda: self._part().records, self._workers)

    @property
    def audit(self) -> AsyncAudit:
        """Whether memory and conversations are what was written, by a keyed chain."""
        from clawstate.aio.services import AsyncAudit  # noqa: PLC0415 - few programs need it

        return AsyncAudit(lambda: self._part().audit, self._workers)

    @property
    def timeline(self) -> AsyncTimeline:
        """What changed between two moments, in all parts whose past is kept."""
        from clawstate.aio.services import AsyncTimeline  # noqa: PLC0415 - few programs need it

        return AsyncTimeline(lambda: self._part().timeline, self._workers)

    @property
    def backup_notes(self) -> AsyncBackupNotes:
        """Which backups were made and verified, and how often they are to be."""
        from clawstate.aio.services import AsyncBackupNotes  # noqa: PLC0415 - few programs need it

        return AsyncBackupNotes(lambda: self._part().backup_notes, self._workers)

    @property
    def health(self) -> AsyncHealth:
        """What is wrong with the parts, and how it is mended."""
        from clawstate.aio.services import AsyncHealth  # noqa: PLC0415 - few programs need them

        return AsyncHealth(lambda: self._part().health, self._workers)

    @property
    def plugins(self) -> AsyncPlugins:
        """Which plugins there are and run, and the tools that they offer (decision 049)."""
        from clawstate.aio.services import AsyncPlugins  # noqa: PLC0415 - few programs need them

        return AsyncPlugins(lambda: self._part().plugins, self._workers)

    @property
    def matrix(self) -> AsyncMatrixAccounts:
        """The storage of a Matrix client: `matrix(homeserver=..., user_id=..., ...)`."""
        from clawstate.aio.matrix import AsyncMatrixAccounts  # noqa: PLC0415 - few programs need it

        return AsyncMatrixAccounts(lambda: self._part().matrix, self._workers)

    @property
    def places(self) -> AsyncPlaces:
        """Where the parts lie that settings move elsewhere."""
        from clawstate.aio.services import AsyncPlaces  # noqa: PLC0415 - few programs need them

        return AsyncPlaces(lambda: self._part().places, self._workers)

    @property
    def openclaw(self) -> AsyncOpenClawView:
        """What the OpenClaw of this directory keeps in its own databases, only to be looked at."""
        from clawstate.aio.services import AsyncOpenClawView  # noqa: PLC0415 - few programs need them

        return AsyncOpenClawView(lambda: self._part().openclaw, self._workers)

    def auth(self, agent_id: str = "main") -> AsyncAuthProfiles:
        """Return the credentials of one agent."""
        return AsyncAuthProfiles(lambda: self._part().auth(agent_id), self._workers)

    def sessions_of(self, agent_id: str | None) -> AsyncSessions:
        """Return the sessions of one agent; of all with `None`."""
        return AsyncSessions(lambda: self._part().sessions_of(agent_id), self._workers)

    def collection(self, spec: CollectionSpec) -> AsyncCollection:
        """Return the records of *spec* in the engine of the state, for parts of your own."""
        from clawstate.aio.services import AsyncCollection  # noqa: PLC0415 - as above

        return AsyncCollection(lambda: self._part().collection(spec), self._workers)

    async def subscribe(
        self, *, since: str | None = None, interval: float = 0.1
    ) -> AsyncGenerator[Changes, None]:
        """
        Yield what moves in the state, by any process, until the loop over it ends.

        It looks every *interval* seconds, and begins at the cursor *since*, by default when it is
        first asked for something. No thread waits meanwhile. Closing the state ends it.
        """
        require_seconds("interval", interval)
        cursor = (await self.changes()).cursor if since is None else since
        while not self._workers.is_closed:
            try:
                found = await self.changes(cursor)
            except ClosedError:
                return
            except UnavailableError:  # a later look may find the disk again
                await sleep(interval)
                continue
            cursor = found.cursor
            if found.items or not found.complete:
                yield found
            else:
                await sleep(interval)

    async def close(self) -> None:
        """Wait for what runs, then release files and threads; a later call raises `ClosedError`."""
        await self._workers.close(self._part().close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncState({str(self.paths.root)!r})"


def open_async(
    path: str | os.PathLike[str] | None = None,
    *,
    store: str | None = None,
    tenant: str = "default",
    embedder: Embedder | None = None,
    clock: Clock = system_clock,
    lock_timeout: float | None = None,
) -> AsyncState:
    """
    Open the state in the directory *path* as `clawstate.open` does, with verbs to be awaited.

    Opening reads and writes nothing, so it does not block. Use it in an `async with` block, or
    await its `close`.
    """
    opened = open_state(
        path,
        store=store,
        tenant=tenant,
        embedder=embedder,
        clock=clock,
        lock_timeout=lock_timeout,
    )
    return AsyncState(opened)
