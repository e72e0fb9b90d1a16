"""`AsyncState`: a state whose verbs run in worker threads, so that no event loop waits."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from clawstate.aio.auth import AsyncAuthProfiles
from clawstate.aio.config import AsyncConfig
from clawstate.aio.dedupe import AsyncDedupe
from clawstate.aio.device_auth import AsyncDeviceAuth
from clawstate.aio.devices import AsyncDevices
from clawstate.aio.identity import AsyncIdentity
from clawstate.aio.memory import AsyncMemory
from clawstate.aio.pairing import AsyncPairing
from clawstate.aio.sessions import AsyncSessions
from clawstate.aio.transcripts import AsyncTranscripts
from clawstate.arguments import require_seconds
from clawstate.clock import Clock, system_clock
from clawstate.errors import ClosedError, UnavailableError
from clawstate.state import State, open_state

if TYPE_CHECKING:
    from clawstate.files.paths import StatePaths
    from clawstate.memory.contract import Embedder
    from clawstate.state.feed import Changes

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 8
"""How many calls of one state run at once; more wait for their turn."""


class AsyncState:
    """
    A `State` in worker threads: what it promises, this promises when the call was awaited.

    Each verb runs as a whole in one thread, so no lock is held across an `await`. A task that is
    cancelled while it waits gives up the answer, not the call: what was begun is finished, and may
    be on disk. `close` waits for all of them.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="clawstate")
        self._closed = False
        self.paths: StatePaths = state.paths
        self.memory = AsyncMemory(lambda: state.memory, self._run)
        self.config = AsyncConfig(lambda: state.config, self._run)
        self.sessions = AsyncSessions(lambda: state.sessions, self._run)
        self.transcripts = AsyncTranscripts(lambda: state.transcripts, self._run)
        self.pairing = AsyncPairing(lambda: state.pairing, self._run)
        self.devices = AsyncDevices(lambda: state.devices, self._run)
        self.device_auth = AsyncDeviceAuth(lambda: state.device_auth, self._run)
        self.identity = AsyncIdentity(lambda: state.identity, self._run)
        self.dedupe = AsyncDedupe(lambda: state.dedupe, self._run)

    def auth(self, agent_id: str = "main") -> AsyncAuthProfiles:
        """Return the credentials of one agent."""
        return AsyncAuthProfiles(lambda: self._state.auth(agent_id), self._run)

    async def changes(self, since: str | None = None) -> Changes:
        """Return what moved in the state after the cursor *since*, and a cursor of now."""
        return await self._run(self._state.changes, since)

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
        while not self._closed:
            try:
                found = await self.changes(cursor)
            except ClosedError:
                return
            except UnavailableError:  # a later look may find the disk again
                await asyncio.sleep(interval)
                continue
            cursor = found.cursor
            if found.items or not found.complete:
                yield found
            else:
                await asyncio.sleep(interval)

    async def close(self) -> None:
        """Wait for what runs, then release files and threads; a later call raises `ClosedError`."""
        self._closed = True
        # Not in the threads that it waits for.
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self._state.close)

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

    async def _run(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self._closed:
            raise ClosedError("state")
        context = contextvars.copy_context()
        work = partial(context.run, partial(call, *args, **kwargs))
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


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
