"""Signing in: a link that was printed on the host lets its first reader in as a device."""

from __future__ import annotations

import secrets
import shlex
from pathlib import Path
from typing import Annotated, Any

from fastapi import Request
from pydantic import Field
from typing_extensions import TypedDict

from clawstate.files.paths import resolve_state_dir
from clawstate.gateway.access import OWNER_SCOPES, UnauthorizedError, source_of
from clawstate.gateway.attempts import Attempts
from clawstate.gateway.bodies import Body
from clawstate.gateway.device_names import free_name
from clawstate.gateway.routing import Asking, Opened, Routes
from clawstate.gateway.tickets import LIFETIME, Tickets

routes = Routes("sign-in")

_DEVICE_LIFETIME = 90 * 86_400.0  # seconds; then its owner opens a link once more


class Ticket(Body):
    """What stands behind `#token=` in the link, and what the device calls itself."""

    ticket: Annotated[str, Field(max_length=200)]
    name: Annotated[str | None, Field(max_length=100)] = None


class NewTicket(TypedDict):
    """A ticket for one link, good for so many seconds."""

    ticket: str
    expiresIn: int


class SignedIn(TypedDict):
    """The token of a device that was let in, shown this once."""

    deviceId: str
    token: str
    scopes: list[str]


class SignedOut(TypedDict):
    """Whether the token was of a device, and is good no more."""

    signedOut: bool


class WhoAsks(TypedDict):
    """
    Whose token it is, and what it allows; the owner's own is of no device.

    *command* is what commands for this state begin with.
    """

    deviceId: str | None
    name: str | None
    role: str
    scopes: list[str]
    command: str


@routes.read("", WhoAsks)
def who_asks(state: Opened, asking: Asking) -> Any:
    """Return who asks, and what that token allows."""
    device = None if asking.device_id is None else state.devices.get(asking.device_id)
    return {
        "deviceId": asking.device_id,
        "name": None if device is None else device.name,
        "role": asking.role,
        "scopes": list(asking.scopes),
        "command": _command(state.paths.root),
    }


@routes.write("", SignedOut, scope="read", method="DELETE")
def sign_out(state: Opened, asking: Asking) -> Any:
    """Make the token that asks good no more; the owner's own stays."""
    if asking.device_id is None:
        return {"signedOut": False}
    return {"signedOut": state.devices.revoke(asking.device_id)}


@routes.write("/tickets", NewTicket, scope="admin", status=201)
def issue_ticket(request: Request) -> Any:
    """Make a ticket that lets one device in as the owner's, within ten minutes."""
    tickets: Tickets = request.app.state.tickets
    return {"ticket": tickets.issue(), "expiresIn": int(LIFETIME)}


@routes.write("", SignedIn, scope="open", status=201)
def sign_in(request: Request, state: Opened, body: Ticket) -> Any:
    """Give a ticket for the token of a device."""
    tickets: Tickets = request.app.state.tickets
    attempts: Attempts = request.app.state.attempts
    if not tickets.redeem(body.ticket):
        attempts.count(source_of(request), "wrong tickets")
        raise UnauthorizedError("this link was used, or is too old")
    issued = state.devices.issue(
        device_id=f"browser-{secrets.token_hex(8)}",
        user_id="owner",
        name=free_name(body.name or "browser", state),
        scopes=OWNER_SCOPES,
        lifetime=_DEVICE_LIFETIME,
    )
    return {"deviceId": issued.device_id, "token": issued.token, "scopes": list(issued.scopes)}


def _command(root: Path) -> str:
    """Return how `clawstate` is called for the state in *root*."""
    if root == resolve_state_dir():
        return "clawstate"
    return f"clawstate --state-dir {shlex.quote(str(root))}"
