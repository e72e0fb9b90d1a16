"""`create_app`: the server over HTTP, as an ASGI application for a gateway to mount."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from clawstate.mcp.access import CALLER
from clawstate.mcp.malformed import holds_half, refuse_malformed
from clawstate.mcp.server import create_server
from clawstate.state import State

BODY: Final = 4 << 20
"""How many bytes a request may have."""

_SESSIONS: Final = 1_000  # of clients of older protocols, which the server remembers
_IDLE: Final = 1800.0  # seconds after which one of them is forgotten


class McpApplication:
    """
    The server as an ASGI application that answers at every path: whoever mounts it chooses one.

    It serves within `lifespan`, which a server of ASGI also enters by itself. Who may ask is for
    the gateway to decide before; it tells the rest in the scope of a request (see `access`).
    """

    def __init__(self, server: Server[Any], *, hosts: Sequence[str] | None = None) -> None:
        """*hosts* are the values of `Host` that are served; None where a gateway looks at that."""
        security = None
        if hosts is not None:
            origins = [f"{scheme}://{each}" for each in hosts for scheme in ("http", "https")]
            security = TransportSecuritySettings(allowed_hosts=list(hosts), allowed_origins=origins)
        self._sessions = StreamableHTTPSessionManager(
            server,
            security_settings=security,
            max_request_body_size=BODY,
            max_sessions=_SESSIONS,
            session_idle_timeout=_IDLE,
        )

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Serve within the block; once."""
        async with self._sessions.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            body, again = await _read(scope, receive)
            if holds_half(body):
                # The SDK's readers of JSON refuse it before they know whose request it was.
                error = refuse_malformed(body).model_dump(by_alias=True)
                await JSONResponse(error, 400)(scope, receive, send)
                return
            await self._sessions.asgi_app(_identify(scope), again, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self.lifespan():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def _read(scope: Scope, receive: Receive) -> tuple[bytes, Receive]:
    """Return the body of a request as far as it may go, and what gives it once more."""
    if scope["method"] != "POST":
        return b"", receive
    taken: list[Message] = []
    size = 0
    while not taken or (taken[-1].get("more_body") and size <= BODY):
        taken.append(await receive())
        size += len(taken[-1].get("body", b""))
    body = b"".join(each.get("body", b"") for each in taken)
    taken.reverse()

    async def again() -> Message:
        return taken.pop() if taken else await receive()

    return body, again


def _identify(scope: Scope) -> Scope:
    """Return *scope* with its caller as the SDK knows one."""
    caller = scope.get(CALLER)
    if caller is None:
        return scope
    token = AccessToken(token="", client_id=str(caller), scopes=[])
    return {**scope, "user": AuthenticatedUser(token)}


def create_app(
    state: State,
    *,
    read_only: bool = False,
    agent: str | None = None,
    hosts: Sequence[str] | None = None,
) -> McpApplication:
    """
    Return the MCP server over *state* as an ASGI application with a `lifespan`.

    It does not ask for a token; `hosts` as in `McpApplication`, the rest as in `create_server`.
    """
    return McpApplication(create_server(state, read_only=read_only, agent=agent), hosts=hosts)
