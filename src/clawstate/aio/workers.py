"""`Workers`: the worker threads of one state, in which its verbs run as a whole."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar, cast

from anyio import (
    CancelScope,
    CapacityLimiter,
    Event,
    from_thread,
    get_cancelled_exc_class,
    to_thread,
)

from clawstate.errors import ClosedError

R = TypeVar("R")

THREADS: Final = 8
"""How many calls of one state run at once; more wait for their turn."""

EMBEDDING_THREADS: Final = 4
"""How many more may embed a text: a slow model keeps no other verb waiting."""


class Workers:
    """
    Runs calls in worker threads, those that embed in some of their own.

    A call that has begun is waited for, also by a task that is cancelled: when the `await` is over,
    the call is. One that has not begun is given up with its task.
    """

    def __init__(self) -> None:
        self._threads, self._embedding = (
            CapacityLimiter(THREADS),
            CapacityLimiter(EMBEDDING_THREADS),
        )
        self._count = 0
        self.is_closed = False
        """Whether no other call begins."""
        self._idle: Event | None = None

    async def run(self, call: Callable[[], R], *, embeds: bool = False) -> R:
        """Return what *call* returns, or raise what it raises; `ClosedError` after `close`."""
        if self.is_closed:
            raise ClosedError("state")
        made = _Call(call)
        self._count += 1
        try:
            limiter = self._embedding if embeds else self._threads
            return cast("R", await to_thread.run_sync(made.run, limiter=limiter))
        except get_cancelled_exc_class():
            # asyncio can cancel a task past the shield that keeps it at its thread.
            await made.wait_out()
            raise
        finally:
            self._count -= 1
            if self._idle is not None and not self._count:
                self._idle.set()

    async def close(self, last: Callable[[], None]) -> None:
        """Wait for all calls, then make the *last* one; no other begins from now on."""
        self.is_closed = True
        with CancelScope(shield=True):  # a state is also left by a task that was cancelled
            if self._count:
                # One for all who close at once: only the one that is kept here is ever set.
                self._idle = self._idle or Event()
                await self._idle.wait()
            await to_thread.run_sync(last)


class _Call(Generic[R]):
    """A call that either begins, and then ends, or is given up before."""

    def __init__(self, call: Callable[[], R]) -> None:
        self._call = call
        self._claim = threading.Lock()  # whoever gets it decides; it is never given back
        self._ended = Event()
        self._is_over = self._is_awaited = False

    def run(self) -> R | None:
        """Make the call, in a worker thread."""
        if not self._claim.acquire(blocking=False):
            return None
        try:
            return self._call()
        finally:
            self._is_over = True
            if self._is_awaited:
                with suppress(RuntimeError):  # the loop is closed, and nobody waits
                    from_thread.run_sync(self._ended.set)

    async def wait_out(self) -> None:
        """Keep the call from beginning, or wait until it is over."""
        if self._claim.acquire(blocking=False):
            return
        self._is_awaited = True
        with CancelScope(shield=True):
            while not self._is_over:
                with suppress(get_cancelled_exc_class()):  # cancelled once more
                    await self._ended.wait()
