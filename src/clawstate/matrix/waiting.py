"""`WaitingEvents`: messages whose key has not come yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from nio import MegolmEvent

from clawstate.clock import Clock, from_ms, to_ms

if TYPE_CHECKING:
    from clawstate.stores.matrix import BotStorage

_PREFIX: Final = "clawstate.waiting."
_MOST = 1_000
_LONGEST = 30 * 86_400.0  # seconds, after which no key comes any more


class WaitingEvents:
    """
    Messages that could not be decrypted, kept until their key comes.

    A server sends a hundred messages to a device at once, and the key of a message in a room may be
    behind them. The position has moved on when it comes: only what is kept here can still be read.
    """

    def __init__(self, storage: BotStorage, *, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._known = {
            key.removeprefix(_PREFIX): value
            for key, value in storage.values(_PREFIX).items()
            if isinstance(value, dict)
        }
        self._is_first = True
        self._sessions: set[str] = set()

    def note_key(self, session_id: str) -> None:
        """Note that the key of a session has come."""
        self._sessions.add(session_id)

    def keep(self, event: MegolmEvent) -> None:
        """Keep *event*, durably."""
        if event.event_id in self._known:
            return
        for each in list(self._known)[: max(0, len(self._known) + 1 - _MOST)]:
            self.forget(each)
        value = {"room": event.room_id, "event": event.source, "sinceMs": to_ms(self._clock())}
        self._storage.store_value(_PREFIX + event.event_id, value)
        self._known[event.event_id] = value

    def readable(self, decrypt: Callable[[MegolmEvent], Any]) -> Iterator[tuple[str, str, Any]]:
        """Give the room, the id and what *decrypt* makes of those whose key may have come."""
        sessions, is_first = self._sessions, self._is_first
        self._sessions, self._is_first = set(), False
        if not sessions and not is_first:
            return
        for event_id, value in list(self._known.items()):
            found = MegolmEvent.from_dict(value.get("event"))
            is_old = from_ms(value.get("sinceMs", 0)) < self._clock() - _LONGEST
            if is_old or not isinstance(found, MegolmEvent):
                self.forget(event_id)
            elif is_first or found.session_id in sessions:
                found.room_id = value.get("room")
                opened = decrypt(found)
                if opened is not None:
                    yield found.room_id, event_id, opened

    def forget(self, event_id: str) -> None:
        """Keep the event *event_id* no longer."""
        if self._known.pop(event_id, None) is not None:
            self._storage.delete_value(_PREFIX + event_id)
