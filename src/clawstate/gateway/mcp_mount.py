"""`McpMount`: the MCP server at `/mcp`, loaded with its first request (decision 058)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib import import_module
from typing import Any

from anyio import to_thread
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from clawstate.errors import MissingExtraError, StateError
from clawstate.gateway.access import (
    ForbiddenError,
    UnauthorizedError,
    require_caller,
    token_of,
)
from clawstate.gateway.answers import error_answer
from clawstate.gateway.oauth.places import challenge
from clawstate.gateway.routing import SCOPES
from clawstate.state import State

_OWNER = "owner"


class McpMount:
    """
    Asks for a token, and hands on to the MCP server over *state*.

    That takes a second to load, so it is there only once somebody speaks to it. It lives in a task
    of its own: what begins it has to end it.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._app: ASGIApp | None = None
        self._starting = asyncio.Lock()
        self._living: asyncio.Task[None] | None = None
        self._end = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            caller = await require_caller(HTTPConnection(scope), SCOPES["read"], clients=True)
            app = await self._start()
        except StateError as error:
            await error_answer(error, headers=_challenge_headers(scope, error))(
                scope, receive, send
            )
            return
        from clawstate.mcp.access import CALLER, MAY_WRITE  # noqa: PLC0415 - loaded by now

        told = {CALLER: caller.device_id or _OWNER, MAY_WRITE: caller.allows(SCOPES["write"])}
        await app({**scope, **told}, receive, send)

    async def close(self) -> None:
        """End the server."""
        self._end.set()
        if self._living is not None:
            with suppress(asyncio.CancelledError):
                await self._living

    async def _start(self) -> ASGIApp:
        async with self._starting:
            if self._app is None:
                app = await to_thread.run_sync(self._load)
                ready = asyncio.Event()
                self._living = asyncio.create_task(self._live(app, ready))
                await ready.wait()
                self._app = app
        return self._app

    def _load(self) -> Any:
        try:
            return import_module("clawstate.mcp.http").create_app(self._state)
        except ModuleNotFoundError as error:
            raise MissingExtraError("mcp", "the MCP server") from error

    async def _live(self, app: Any, ready: asyncio.Event) -> None:
        async with app.lifespan():
            ready.set()
            await self._end.wait()


def _challenge_headers(scope: Scope, error: StateError) -> dict[str, str]:
    """Return what leads a client that was refused to the authorization server."""
    connection = HTTPConnection(scope)
    if isinstance(error, ForbiddenError):
        return {"WWW-Authenticate": challenge(connection, error="insufficient_scope")}
    if not isinstance(error, UnauthorizedError):
        return {}
    # Without a token nothing was wrong with it: RFC 6750, section 3.
    kind = None if token_of(connection) is None else "invalid_token"
    return {"WWW-Authenticate": challenge(connection, error=kind)}
