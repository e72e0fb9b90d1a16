"""`WebSocketConnection`: a WebSocket that takes frames that were made once for all listeners."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from starlette.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request

WRITE: Final = "clawstate.write_frame"
"""The extension of the scope that writes a whole frame."""

Write = Callable[[bytes], bool]


class WebSocketConnection(WebSocketsSansIOProtocol):
    """
    A connection that writes a frame as it is, when nothing stands before it.

    A thousand tasks that each wake up to encode one event take longer than all the writing.
    """

    def handle_connect(self, event: Request) -> None:
        """Begin, and offer the application to write frames."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            cast("dict[str, Any]", self.scope)["extensions"][WRITE] = self.write_frame

    def write_frame(self, frame: bytes) -> bool:
        """Write *frame*, or return False if the other side does not take any just now."""
        is_open = self.handshake_complete and not self.close_sent and not self.disconnected
        if not is_open or not self.writable.is_set() or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True


def frame_of(message: bytes) -> bytes:
    """Return the frame of a text: from a server it is the same for everybody."""
    return Frame(Opcode.TEXT, message).serialize(mask=False)


def writer_of(scope: Scope) -> Write | None:
    """Return what writes frames to the WebSocket of *scope*, if its server can."""
    found: Write | None = (scope.get("extensions") or {}).get(WRITE)
    return found
