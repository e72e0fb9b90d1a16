"""`Connection`: HTTP/1.1 on one socket, for clients that take their time on purpose."""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_TIME: Final = 10.0
"""Seconds in which the head of a request has to be there."""


class Connection(H11Protocol):
    """
    A connection that is closed when the head of a request does not come to its end in time.

    A client that sends a byte now and then would hold it for ever otherwise (slow loris).
    """

    _alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._set_alarm()

    def data_received(self, data: bytes) -> None:
        """Take in *data*, and see whether a whole head is among it."""
        super().data_received(data)
        self._set_alarm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop_alarm()
        super().connection_lost(exc)

    def _set_alarm(self) -> None:
        # A cycle is a request whose head was read; between two there is the server's own timer.
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_alarm()
        elif self._alarm is None:
            self._alarm = self.loop.call_later(HEAD_TIME, self._give_up)

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _give_up(self) -> None:
        self._alarm = None
        # A WebSocket has taken the socket over, or a request is being answered.
        is_ours = self.transport.get_protocol() is self
        if is_ours and (self.cycle is None or self.cycle.response_complete):
            self.transport.abort()
