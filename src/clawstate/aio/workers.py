"""The worker threads of one state, and `Part`, whose verbs are awaited and run there whole."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from functools import wraps
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, cast

from anyio import (
    CancelScope,
    CapacityLimiter,
    Event,
    from_thread,
    get_cancelled_exc_class,
    to_thread,
)

from clawstate.errors import ClosedError

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
S_co = TypeVar("S_co", covariant=True)  # verbs may be those of a class that the part derives from

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


class Part(Generic[S_co]):
    """A part that *part* opens when it is first asked for, and the threads that it works in."""

    def __init__(self, part: Callable[[], S_co], workers: Workers) -> None:
        self._part = part
        self._workers = workers

    def __repr__(self) -> str:
        return f"Async{self._part()!r}"


def verb(
    call: Callable[Concatenate[S_co, P], R], *, embeds: bool = False
) -> Callable[Concatenate[Part[S_co], P], Coroutine[Any, Any, R]]:
    """
    Return the method *call* of a part, to be awaited: what it takes, gives and says is the same.

    One that *embeds* texts has threads apart, since a model may be slow.
    """

    # A checker and an editor see the parameters of *call* through P, a reader at run time through
    # `wraps`: a verb that changes changes in one place.
    @wraps(call)
    async def call_in_thread(self: Part[S_co], /, *args: P.args, **kwargs: P.kwargs) -> R:
        def work() -> R:
            found: Callable[P, R] = getattr(self._part(), call.__name__)
            return found(*args, **kwargs)

        return await self._workers.run(work, embeds=embeds)

    return call_in_thread


def listing(
    call: Callable[Concatenate[S_co, P], Iterable[T]],
) -> Callable[Concatenate[Part[S_co], P], Coroutine[Any, Any, list[T]]]:
    """Return the method *call*, which gives one thing after another, so that it gives a list."""

    @wraps(call)
    async def call_in_thread(self: Part[S_co], /, *args: P.args, **kwargs: P.kwargs) -> list[T]:
        def work() -> list[T]:
            # Each step of an iterator may wait for a disk, so all of them are taken in the thread.
            found: Callable[P, Iterable[T]] = getattr(self._part(), call.__name__)
            return list(found(*args, **kwargs))

        return await self._workers.run(work)

    return call_in_thread
