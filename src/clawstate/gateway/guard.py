"""`Guard`: what is refused before any operation sees it, and the headers of every answer."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from anyio import current_time, move_on_after
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clawstate.gateway.address import Address
from clawstate.gateway.answers import refusal

LARGEST_BODY: Final = 24 << 20
"""Bytes of a request at most."""

BODY_TIME: Final = 60.0
"""Seconds that the body of a request may take."""

TOO_LARGE: Final = f"a request has at most {LARGEST_BODY:,} bytes; send it in parts"

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_OF_MODULES: Final = {
    name: HEADERS[name] for name in ("Cross-Origin-Resource-Policy", "X-Content-Type-Options")
}
"""Of scripts and styles, which are no page that could do anything: the rest is half their size."""


_MODULES: Final = ("text/javascript", "text/css")
_PATIENCE = 5.0  # seconds for the rest of a request that is too large


class Guard:
    """
    Refuses requests for another name (DNS rebinding), of other pages, and malformed ones.

    A page of another site can send requests to this machine from the browser of its owner; the name
    in `Host` and the `Origin` tell them apart from ours.
    """

    def __init__(self, app: ASGIApp, *, address: Address) -> None:
        self._app = app
        self._names = frozenset(each.lower() for each in address.names)
        self._origins = frozenset(address.origins)
        self._is_wide = address.is_wide

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        problem = self._problem(headers)
        if problem is not None:
            await _refuse(scope, receive, send, *problem)
            return

        if scope["type"] != "http":  # what comes in has no end, and no length
            await self._app(scope, receive, send)
            return
        body = _Body(receive)

        async def send_with_headers(message: Message) -> None:
            if body.problem is not None:  # whatever the operation made of the part that it got
                return
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                is_module = answered.get("content-type", "").startswith(_MODULES)
                for name, value in (_OF_MODULES if is_module else HEADERS).items():
                    answered.setdefault(name, value)
            await send(message)

        await self._app(scope, body.receive, send_with_headers)
        if body.problem is not None:
            await _refuse(scope, receive, send, *body.problem)

    def _problem(self, headers: Headers) -> tuple[str, str] | None:
        host = headers.get("host", "")
        if not self._is_known(_name(host)):
            known = ", ".join(sorted(self._names))
            hint = "name https://... of a proxy in gateway.controlUi.allowedOrigins"
            return "misdirected", f"this gateway answers to {known}, and no other name; {hint}"
        origin = headers.get("origin")
        if origin is not None and not self._is_ours(origin, host):
            hint = "name it in gateway.controlUi.allowedOrigins if it is yours"
            return "forbidden", f"pages of another origin may not ask; {hint}"
        length = headers.get("content-length", "0")
        # ASCII alone: `isdigit` takes the digits of every script.
        if not (length.isascii() and length.isdigit()):
            return "malformed", "Content-Length is no number"
        if len(length) > len(str(LARGEST_BODY)) or int(length) > LARGEST_BODY:
            return "too_large", TOO_LARGE
        return None

    def _is_known(self, name: str) -> bool:
        if name in self._names:
            return True
        # Pages reach another machine by a name that is made to mean it, never by an address.
        with suppress(ValueError):
            return self._is_wide and bool(ip_address(name))
        return False

    def _is_ours(self, origin: str, host: str) -> bool:
        if origin in self._origins:
            return True
        scheme, _, place = origin.partition("://")
        return scheme in {"http", "https"} and place == host


class _Body:
    """Counts what comes in, and how long it takes: a request need not say how long it is."""

    def __init__(self, receive: Receive) -> None:
        self.problem: tuple[str, str] | None = None
        self._receive = receive
        self._left = LARGEST_BODY
        self._until: float | None = None
        self._is_whole = False

    async def receive(self) -> Message:
        """Return the next part, or that the client is gone once it was too much or too slow."""
        if self._is_whole:  # now it waits for the end of the connection, which may take long
            return await self._receive()
        if self._until is None:
            self._until = current_time() + BODY_TIME
        message: Message = {"type": "http.disconnect"}
        with move_on_after(self._until - current_time()) as waiting:
            message = await self._receive()
        if waiting.cancelled_caught:
            self.problem = "slow", f"the body did not come within {BODY_TIME:.0f} s; send it again"
        elif message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._is_whole = not message.get("more_body")
            if self._left < 0:
                self.problem = "too_large", TOO_LARGE
        return message if self.problem is None else {"type": "http.disconnect"}


async def _refuse(scope: Scope, receive: Receive, send: Send, kind: str, message: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": message[:120]})
        return
    if kind == "too_large":
        with move_on_after(_PATIENCE):
            await _discard(receive)
    answer = refusal(kind, message, headers={**HEADERS, "Connection": "close"})
    await answer(scope, receive, send)


async def _discard(receive: Receive) -> None:
    """Take in the rest of a request: who is cut off while sending does not read why."""
    left = 4 * LARGEST_BODY
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return


def _name(host: str) -> str:
    """Return the name in a `Host` header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
