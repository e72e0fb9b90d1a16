"""The operations of the noun `devices`: who is let in."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import Field
from typing_extensions import TypedDict

from clawstate.errors import NotFoundError
from clawstate.gateway.answers import require_match
from clawstate.gateway.bodies import PAGE_SIZE, After, Body, Limit
from clawstate.gateway.pairing import Issued
from clawstate.gateway.routing import Asking, IfMatch, Opened, Routes
from clawstate.stores.devices import Device
from clawstate.wire import to_wire
from clawstate.wire.schemas import records as forms

routes = Routes("devices")

Id = Annotated[str, Path(description="The id of a device.", max_length=4096)]
_KIND = "paired device"


class NewToken(Body):
    """The scopes of the new token: by default those of the old one, never more than approved."""

    scopes: tuple[str, ...] | None = None


class NewName(Body):
    """What people call the device."""

    name: Annotated[str, Field(min_length=1)]


class Devices(TypedDict):
    """A page of devices, and the cursor of the next one."""

    devices: list[forms.Device]
    next: str | None


class Revoked(TypedDict):
    """Which device is let in no more."""

    deviceId: str
    revoked: bool


@routes.read("", Devices)
def devices(
    state: Opened,
    *,
    limit: Limit = PAGE_SIZE,
    after: After = None,
    revoked: Annotated[bool, Query(description="Those that were revoked as well.")] = False,
) -> Any:
    """Return a page of the devices that are let in, the newest first, without their tokens."""
    page = state.devices.page(limit, after, revoked=revoked)
    return {"devices": page.items, "next": page.after}


@routes.read("/self", forms.Device)
def asking_device(state: Opened, asking: Asking) -> Any:
    """Return the device that asks; the owner's own token is none."""
    if asking.device_id is None:
        raise NotFoundError(_KIND, "self", "the owner's token belongs to no device")
    return _require(state, asking.device_id)


@routes.read("/paired/{device_id:path}", forms.Device)
def get(state: Opened, device_id: Id) -> Any:
    """Return one device, also one that was revoked."""
    return _require(state, device_id)


@routes.write("/paired/{device_id:path}", forms.Device, method="PATCH", scope="admin")
def rename(state: Opened, device_id: Id, body: NewName, *, if_match: IfMatch = None) -> Any:
    """Call a device something else."""
    expect = _match(state, device_id, if_match)
    return state.devices.rename(device_id, body.name, expect=expect)


@routes.write("/paired/{device_id:path}", Revoked, method="DELETE", scope="admin")
def remove(state: Opened, device_id: Id, *, if_match: IfMatch = None) -> Any:
    """Forget a device, which is let in no more."""
    if not state.devices.remove(device_id, expect=_match(state, device_id, if_match)):
        raise NotFoundError(_KIND, device_id)
    return {"deviceId": device_id, "revoked": True}


@routes.write("/rotate/{device_id:path}", Issued, scope="admin")
def rotate(state: Opened, asking: Asking, device_id: Id, body: NewToken) -> Any:
    """Give a device another token, shown this once; the old one is good no more."""
    issued = state.devices.rotate(device_id, scopes=body.scopes, caller_scopes=asking.scopes)
    return {**to_wire(issued), "token": issued.token}


@routes.write("/revoke/{device_id:path}", Revoked, scope="admin")
def revoke(state: Opened, device_id: Id) -> Any:
    """Let a device in no more; it may ask to be paired again."""
    _require(state, device_id)
    return {"deviceId": device_id, "revoked": state.devices.revoke(device_id)}


def _match(state: Opened, device_id: str, if_match: str | None) -> Device | None:
    """Return the device that `If-Match` is about, which the step that writes looks at again."""
    if if_match is None:
        return None
    found = _require(state, device_id)
    require_match(if_match, found, _KIND, device_id)
    return found


def _require(state: Opened, device_id: str) -> Device:
    found = state.devices.get(device_id)
    if found is None:
        raise NotFoundError(_KIND, device_id)
    return found
