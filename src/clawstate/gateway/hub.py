"""`Hub`: one look at the state for all who listen to what moves in it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from clawstate.errors import LimitError, UnavailableError
from clawstate.gateway.answers import encode
from clawstate.gateway.web_socket import Write, frame_of
from clawstate.state import State
from clawstate.wire import to_wire

if TYPE_CHECKING:
    from clawstate.state.feed import Changes, Subscription

INTERVAL: Final = 0.05
"""Seconds between two looks while somebody listens."""

MOST_WAITING: Final = 256
"""Changes that wait for one listener; one that is slower is told to read all anew."""

MOST_LISTENERS: Final = 4096


class Listener:
    """
    One who listens: what it has not been sent yet, bounded.

    *is_welcome* tells, in a worker thread, whether its token is still good. *write* sends a frame
    at once, if the other side takes it.
    """

    def __init__(self, is_welcome: Callable[[], bool], write: Write | None = None) -> None:
        self.is_welcome = is_welcome
        self.is_over = False
        self._write = write
        self._is_sending = False
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._is_behind: tuple[str, bytes] | None = None
        self._cursor = ""
        self._something = asyncio.Event()

    def __len__(self) -> int:
        """Return how many messages wait for it."""
        return len(self._waiting)

    def tell(self, cursor: str, message: bytes, frame: bytes | None = None) -> None:
        """
        Let it have *message*; if too many wait, that it missed some instead of all of them.

        One that tells of no change has an empty *cursor*.
        """
        self._cursor = cursor or self._cursor
        is_first = not (self._waiting or self._is_behind or self._is_sending or self.is_over)
        if frame is not None and is_first and self._write is not None and self._write(frame):
            return
        if self._is_behind is None and len(self._waiting) < MOST_WAITING:
            self._waiting.append((cursor, message))
        else:
            self._waiting.clear()
            self._is_behind = self._cursor, message_of(self._cursor, [], complete=False)
        self._something.set()

    def end(self) -> None:
        """Send it nothing more."""
        self.is_over = True
        self._something.set()

    async def next(self) -> tuple[str, bytes] | None:
        """Return a cursor and what moved before it; `None` at the end."""
        # Until it is asked for the next one, the one before is on its way: none may overtake it.
        self._is_sending = False
        while not self.is_over:
            if self._waiting or self._is_behind is not None:
                self._is_sending = True
            if self._waiting:
                return self._waiting.popleft()
            if self._is_behind is not None:
                found, self._is_behind = self._is_behind, None
                return found
            self._something.clear()
            await self._something.wait()
        return None


class Hub:
    """
    Tells listeners what moves in *state*, by any process.

    While nobody listens it does not look. All of it but the look itself runs in the event loop.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._listeners: set[Listener] = set()
        self._subscription: Subscription | None = None
        self._starting = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rechecking: asyncio.Task[None] | None = None
        self.is_over = False
        self.told = 0
        """How many messages were sent to how many listeners, altogether."""

    def __len__(self) -> int:
        return len(self._listeners)

    async def join(self, listener: Listener, since: str | None) -> None:
        """Tell *listener* what moved since a cursor, and what moves from now on."""
        if self.is_over:
            raise UnavailableError("gateway", "is about to end", "connect again in a moment")
        if len(self._listeners) >= MOST_LISTENERS:
            raise LimitError("listeners", MOST_LISTENERS, "close some", retry_after=5)
        self._loop = asyncio.get_running_loop()
        async with self._starting:
            if self._subscription is None:
                self._subscription = await to_thread.run_sync(self._subscribe)
        # It listens before it catches up: what moves meanwhile is told twice, and not left out.
        self._listeners.add(listener)
        found = await to_thread.run_sync(self._state.changes, since)
        listener.tell(found.cursor, _message(found))

    async def leave(self, listener: Listener) -> None:
        """Tell *listener* no more."""
        self._listeners.discard(listener)
        async with self._starting:
            if not self._listeners and self._subscription is not None:
                over, self._subscription = self._subscription, None
                await to_thread.run_sync(over.close)

    def close(self) -> None:
        """Let all listeners go."""
        self.is_over = True
        for each in self._listeners:
            each.end()

    def announce(self, message: bytes) -> None:
        """Tell all listeners something that is no change of the state; safe for threads."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._tell_all, "", message, frame_of(message))

    def _subscribe(self) -> Subscription:
        return self._state.subscribe(self._hand_over, interval=INTERVAL)

    def _hand_over(self, found: Changes) -> None:
        """Give *found* to the event loop; called from the thread that looks."""
        loop, message = self._loop, _message(found)
        frame = frame_of(message)
        moved_devices = not found.complete or any(each.part == "devices" for each in found.items)
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._tell_all, found.cursor, message, frame)
            if moved_devices:
                loop.call_soon_threadsafe(self._recheck_soon)

    def _tell_all(self, cursor: str, message: bytes, frame: bytes) -> None:
        for each in self._listeners:
            each.tell(cursor, message, frame)
        self.told += len(self._listeners)

    def _recheck_soon(self) -> None:
        # Who was revoked shall hear nothing more, at once.
        if self._rechecking is None or self._rechecking.done():
            self._rechecking = asyncio.ensure_future(self._recheck())

    async def _recheck(self) -> None:
        present = list(self._listeners)

        def unwelcome() -> list[Listener]:
            return [each for each in present if not each.is_welcome()]

        for each in await to_thread.run_sync(unwelcome):
            each.end()


def message_of(cursor: str, items: list[object], *, complete: bool) -> bytes:
    """Return the message that tells of *items*, or that anything may have moved."""
    form = {"type": "changes", "cursor": cursor, "items": items, "complete": complete}
    return encode(form)


def _message(found: Changes) -> bytes:
    return message_of(found.cursor, to_wire(list(found.items)), complete=found.complete)
