"""`serve_http`: the server by itself on a port of this machine, behind a token."""

from __future__ import annotations

import hmac
import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from clawstate.errors import UnavailableError
from clawstate.mcp.http import create_app
from clawstate.state import State

HOST: Final = "127.0.0.1"
PATH: Final = "/mcp"
_GRACE: Final = 3  # seconds that open requests have at the end
_BEARER: Final = re.compile(rb"[Bb]earer +([!-~]{1,1024}) *")


def serve_http(
    state: State,
    *,
    port: int,
    token: str,
    ready: Callable[[str], object],
    read_only: bool = False,
    agent: str | None = None,
) -> None:
    """
    Serve *state* at *port* of the loopback until a signal comes, and tell *ready* the address.

    Who asks needs *token*. Raises `UnavailableError` where the port is taken.
    """
    listener = _listen(port)
    with listener:
        number = listener.getsockname()[1]
        hosts = [f"{each}:{number}" for each in (HOST, "localhost")]
        app = _Bearer(create_app(state, read_only=read_only, agent=agent, hosts=hosts), token)
        config = uvicorn.Config(
            app,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE,
        )
        server = _Server(config)
        ready(f"http://{HOST}:{number}{PATH}")  # whoever connects from here on is served
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """A server for which a signal is the wish to end, and no failure."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals, and raise none of them again at the end."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()


class _Bearer:
    """Lets requests with the token through."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or self._is_allowed(scope):
            await self._app(scope, receive, send)
            return
        problem = "this needs the token of the owner, as 'Authorization: Bearer ...'"
        body = json.dumps({"error": {"type": "unauthorized", "message": problem}}).encode()
        headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _is_allowed(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        found = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
        return found is not None and hmac.compare_digest(found[1], self._token)


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        problem = f"cannot be listened at ({error.strerror})"
        hint = "choose another one by --port, or 0 for any that is free"
        raise UnavailableError(f"port {port}", problem, hint) from error
