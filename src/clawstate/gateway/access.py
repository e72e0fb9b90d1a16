"""Who asks: the owner with the gateway's own token, or a paired device with its scopes."""

from __future__ import annotations

import hmac
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from anyio import to_thread
from starlette.requests import HTTPConnection

from clawstate.access.scopes import OPERATOR, covers
from clawstate.errors import StateError
from clawstate.gateway.attempts import Attempts
from clawstate.interrupts import Mutex
from clawstate.state import State
from clawstate.stores.devices.client_tokens import CLIENT, REFRESH
from clawstate.stores.devices.device import digest_of

OWNER_SCOPES: Final = ("operator.admin",)
SUBPROTOCOL: Final = "clawstate.v1"
"""What a WebSocket speaks; its token stands beside it as `bearer.<token>`."""

_BEARER = re.compile(r"[Bb]earer +([!-~]{1,1024}) *")
_OFFER = "bearer."
_HINT = "see 'clawstate gateway open', or let the owner approve this device"
_MOST = 256  # devices whose tokens are known by their digest


class UnauthorizedError(StateError):
    """Who asks is not known."""

    code = "unauthorized"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.problem}; {_HINT}"


class ForbiddenError(StateError):
    """Who asks is known, and may not do this."""

    code = "forbidden"

    def __init__(self, scope: str) -> None:
        super().__init__(scope)
        self.scope = scope

    def __str__(self) -> str:
        return (
            f"this token does not allow {self.scope}; "
            f"pair again and ask for it: the owner approves with --scope {self.scope}"
        )


class AudienceError(ForbiddenError):
    """The token is good, but for something else (RFC 8707)."""

    def __str__(self) -> str:
        return "this token is for /mcp alone; pair a device to ask here: 'clawstate devices pair'"


@dataclass(frozen=True, slots=True)
class Caller:
    """
    Who asks: the device, `None` for the owner, and what it may do.

    A *client* was let in by the authorization server, to `/mcp` alone.
    """

    scopes: tuple[str, ...]
    role: str = OPERATOR
    device_id: str | None = None
    is_client: bool = False

    def allows(self, scope: str) -> bool:
        """Tell whether *scope* is among what it may do."""
        return covers(self.scopes, (scope,), role=self.role)


OWNER: Final = Caller(OWNER_SCOPES)
"""Whoever has the gateway's own token."""


class Access:
    """
    Knows callers by their tokens: the owner's own *token*, and those of the devices of *state*.

    Wrong tokens are counted by where they come from; who tried too many is told to wait. A token
    that is good is never refused for the tries of somebody else.
    """

    def __init__(self, state: State, token: str, attempts: Attempts) -> None:
        self._state = state
        self._owner = digest_of(token)
        self._attempts = attempts
        self._mutex = Mutex()
        self._devices: OrderedDict[str, str] = OrderedDict()

    def is_owner(self, token: str | None) -> bool:
        """Tell whether *token* is that of the owner; asks no disk."""
        return bool(token) and hmac.compare_digest(digest_of(str(token)), self._owner)

    def identify(self, token: str | None, source: str) -> Caller:
        """Return who has *token*; raises `UnauthorizedError`, `LimitError`."""
        if not token:
            raise UnauthorizedError("this needs a token, as 'Authorization: Bearer ...'")
        if self.is_owner(token):
            return OWNER
        digest = digest_of(token)
        with self._mutex:
            device_id = self._devices.get(digest)
        if device_id is None:
            device_id = self._holder(digest)
        device = None if device_id is None else self._state.devices.verify(device_id, token)
        # Looked up first: nobody guesses 256 bits, and a token that is good must not be refused
        # for the tries of another program at the same address.
        if device is None or device.role == REFRESH:
            self._attempts.count(source, "wrong tokens")
            raise UnauthorizedError("this token is not known, or good no more")
        if device.role == CLIENT:  # whose scopes are those of an operator
            return Caller(device.scopes, OPERATOR, device.device_id, is_client=True)
        return Caller(device.scopes, device.role, device.device_id)

    def _holder(self, digest: str) -> str | None:
        """Return the id of the device whose token has *digest*."""
        for device in self._state.devices.paired():
            if any(hmac.compare_digest(each.hash, digest) for each in device.tokens.values()):
                with self._mutex:
                    self._devices[digest] = device.device_id
                    while len(self._devices) > _MOST:
                        self._devices.popitem(last=False)
                return device.device_id
        return None


async def require_caller(
    connection: HTTPConnection, scope: str, *, clients: bool = False
) -> Caller:
    """
    Return who asks, who may do *scope*; raises `UnauthorizedError`, `ForbiddenError`.

    The *clients* of the authorization server may ask only where that is said.
    """
    access: Access = connection.app.state.access
    token, source = token_of(connection), source_of(connection)
    if access.is_owner(token):
        return OWNER
    # In a thread, since tokens of devices are looked up on disk.
    caller = await to_thread.run_sync(access.identify, token, source)
    if caller.is_client and not clients:
        raise AudienceError(scope)
    if not caller.allows(scope):
        raise ForbiddenError(scope)
    return caller


def token_of(connection: HTTPConnection) -> str | None:
    """Return the token that a request carries: a page cannot give a WebSocket any header."""
    found = _BEARER.fullmatch(connection.headers.get("authorization", ""))
    if found is not None:
        return found[1]
    if connection.scope["type"] == "websocket":
        offered = (each.strip() for each in connection.scope.get("subprotocols", ()))
        return next(
            (each.removeprefix(_OFFER) for each in offered if each.startswith(_OFFER)), None
        )
    return None


def source_of(connection: HTTPConnection) -> str:
    """Return from where a request comes."""
    return "" if connection.client is None else connection.client.host
