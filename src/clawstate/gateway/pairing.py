"""The operations of the noun `pairing` for whoever lets devices in; asking is beside it."""

from __future__ import annotations

from typing import Any, NotRequired

from fastapi import Request
from typing_extensions import TypedDict

from clawstate.errors import InvalidError
from clawstate.gateway.access import source_of
from clawstate.gateway.bodies import PAGE_SIZE, After, Body, Limit
from clawstate.gateway.routing import Asking, Opened, Routes
from clawstate.wire import to_wire
from clawstate.wire.schemas import records as forms

routes = Routes("pairing")


class Choice(Body):
    """Which request is meant: by the code that the device shows, or by the device that asks."""

    code: str | None = None
    device_id: str | None = None
    user_id: str | None = None


class Approval(Choice):
    """Who is let in, and with which scopes: by default those asked for."""

    scopes: tuple[str, ...] | None = None


class Requests(TypedDict):
    """A page of requests, and the cursor of the next one."""

    requests: list[forms.PairingRequest]
    next: str | None


class Issued(TypedDict):
    """The token of a device that was let in, shown this once."""

    deviceId: str
    role: str
    scopes: list[str]
    token: str


class Approved(TypedDict):
    """A device that was let in: its token, shown this once, unless it fetches that by itself."""

    deviceId: str
    role: str
    scopes: list[str]
    token: NotRequired[str]
    collects: NotRequired[bool]


class RejectedRequest(TypedDict):
    """Who was turned away."""

    rejected: bool
    userId: str
    deviceId: str


@routes.read("/requests", Requests, scope="pairing")
def requests(state: Opened, *, limit: Limit = PAGE_SIZE, after: After = None) -> Any:
    """Return a page of the devices that ask to be let in, the newest first."""
    store = state.pairing
    page = store.page(limit, after)
    found = [to_wire(each, expires_at=store.expires_at(each)) for each in page]
    return {"requests": found, "next": page.after}


@routes.write("/approve", Approved, scope="pairing", status=201)
def approve(state: Opened, asking: Asking, request: Request, body: Approval) -> Any:
    """Let a device in, with no more rights than those of whoever approves; return its token."""
    _require_one(body)
    caller = asking.scopes
    if body.device_id is not None:
        issued = state.pairing.approve_request(
            body.device_id, user_id=body.user_id, scopes=body.scopes, caller_scopes=caller
        )
    else:
        issued = state.pairing.approve(
            str(body.code), scopes=body.scopes, caller_scopes=caller, source=source_of(request)
        )
    if issued.collects:
        return {**to_wire(issued), "collects": True}
    # The one moment at which the token is shown: no form of a value holds it.
    return {**to_wire(issued), "token": issued.token}


@routes.write("/reject", RejectedRequest, scope="pairing")
def reject(state: Opened, request: Request, body: Choice) -> Any:
    """Turn a device away."""
    _require_one(body)
    if body.device_id is not None:
        gone = state.pairing.reject_request(body.device_id, user_id=body.user_id)
    else:
        gone = state.pairing.reject(str(body.code), source=source_of(request))
    return {"rejected": True, "userId": gone.user_id, "deviceId": gone.device_id}


def _require_one(body: Choice) -> None:
    if (body.code is None) == (body.device_id is None):
        raise InvalidError("request", "names no request, or two", "give code or deviceId")
