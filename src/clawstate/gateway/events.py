"""What moves in the state as it does: over a WebSocket, or as Server-Sent Events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Annotated, Final

from fastapi import Header, Query, Request
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from clawstate.errors import StateError
from clawstate.gateway.access import (
    SUBPROTOCOL,
    Access,
    Caller,
    require_caller,
    source_of,
    token_of,
)
from clawstate.gateway.answers import error_answer
from clawstate.gateway.hub import Hub, Listener
from clawstate.gateway.routing import SCOPES, Routes
from clawstate.gateway.web_socket import writer_of

routes = Routes("events")

_READ: Final = SCOPES["read"]
_QUIET: Final = 15.0  # seconds after which a comment shows that the line is alive
_GOING_AWAY, _POLICY = 1001, 1008
_LONGEST_CURSOR = 1 << 20

Cursor = Annotated[
    str | None,
    Query(max_length=_LONGEST_CURSOR, description="Begin with what moved after this cursor."),
]
LastEvent = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="The same, as browsers send it by themselves."),
]


@routes.stream("", "text/event-stream")
async def events(
    request: Request, *, since: Cursor = None, last_event_id: LastEvent = None
) -> Response:
    """
    Send what moves in the state, by any process, as Server-Sent Events.

    Each event `changes` has the cursor as its id, and data as `/changes` has them. With *complete*
    false anything may have moved: read again what you show. An event `job` tells how far a job is.
    """
    hub: Hub = request.app.state.hub
    listener = Listener(_welcome(request))
    await hub.join(listener, last_event_id or since)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _events(hub, listener), headers=headers, media_type="text/event-stream"
    )


async def _events(hub: Hub, listener: Listener) -> AsyncIterator[bytes]:
    try:
        while True:
            try:
                async with asyncio.timeout(_QUIET):
                    found = await listener.next()
            except TimeoutError:
                yield b": quiet\n\n"
                continue
            if found is None:
                return
            cursor, message = found
            if cursor:
                yield b"id: %s\nevent: changes\ndata: %s\n\n" % (cursor.encode(), message)
            else:  # no change, so nothing to go on behind
                yield b"event: job\ndata: %s\n\n" % message
    finally:
        await asyncio.shield(hub.leave(listener))


async def follow(socket: WebSocket) -> None:
    """Send what moves as messages of a WebSocket, `{"type": "changes", ...}`."""
    hub: Hub = socket.app.state.hub
    try:
        await require_caller(socket, _READ)
        listener = Listener(_welcome(socket), writer_of(socket.scope))
        await hub.join(listener, socket.query_params.get("since"))
    except StateError as error:
        await socket.send_denial_response(error_answer(error))
        return
    offered = socket.scope.get("subprotocols", ())
    try:
        await socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        # One that only sends never notices that the other side is gone.
        tasks = [
            asyncio.create_task(_send_all(socket, listener)),
            asyncio.create_task(_receive_all(socket)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if listener.is_over:
            with suppress(RuntimeError, WebSocketDisconnect):
                await socket.close(_GOING_AWAY if hub.is_over else _POLICY)
    finally:
        await asyncio.shield(hub.leave(listener))


async def _send_all(socket: WebSocket, listener: Listener) -> None:
    while (found := await listener.next()) is not None:
        await socket.send_text(found[1].decode())


async def _receive_all(socket: WebSocket) -> None:
    """Take in what the client says, which is of no meaning yet, until it is gone."""
    while True:
        if (await socket.receive())["type"] == "websocket.disconnect":
            return


def _welcome(connection: Request | WebSocket) -> Callable[[], bool]:
    """Return what tells whether who asked may still read."""
    access: Access = connection.app.state.access
    token, source = token_of(connection), source_of(connection)

    def is_welcome() -> bool:
        try:
            caller: Caller = access.identify(token, source)
        except StateError:
            return False
        return caller.allows(_READ)

    return is_welcome
