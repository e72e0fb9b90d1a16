"""`Grant`: what is about to be given to a device, checked before anything is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from clawstate.access.names import (
    require_id,
    require_name,
    require_public_key,
    require_role,
)
from clawstate.access.scopes import (
    DEFAULT_SCOPES,
    OPERATOR,
    PAIRING,
    require_scopes,
    require_within,
)
from clawstate.arguments import require_seconds
from clawstate.errors import InvalidError
from clawstate.stores.devices.device import Device

_LONGEST_LIFETIME = 1e10  # seconds


@dataclass(frozen=True, slots=True)
class Grant:
    """Who is let in, with which scopes, in which role and until when (`None`: for good)."""

    device_id: str
    user_id: str
    account_id: str | None
    name: str | None
    public_key: str | None
    role: str
    scopes: tuple[str, ...]
    expires_at: float | None
    request: str | None

    def fits(self, device: Device) -> bool:
        """Tell whether it is for the user, and the key, that *device* has already."""
        # A device that named no key yet may name one; another key would be another device.
        same_key = device.public_key is None or self.public_key in {None, device.public_key}
        return device.user_id == self.user_id and same_key


def grant_of(
    *,
    device_id: str,
    user_id: str,
    account_id: str | None,
    name: str | None,
    public_key: str | None,
    role: str,
    scopes: Iterable[str] | None,
    until: float | None,
    request: str | None,
) -> Grant:
    """Return the grant; raises `InvalidError` for what cannot be kept or shown."""
    return Grant(
        require_id("device id", device_id),
        require_id("user id", user_id),
        None if account_id is None else require_id("account id", account_id),
        None if name is None else require_name(name),
        None if public_key is None else require_public_key(public_key, device_id),
        require_role(role),
        DEFAULT_SCOPES if scopes is None else require_scopes(scopes),
        until,
        request,
    )


def require_allowed(grant: Grant, caller_scopes: Iterable[str] | None) -> None:
    """Raise `InvalidError` unless the caller (`None`: the owner) may let in, and has as much."""
    # The owner of the state directory needs no scopes: whoever can write there can write them.
    if caller_scopes is not None:
        caller = require_scopes(caller_scopes)
        wanted = (PAIRING, *grant.scopes)
        require_within(wanted, caller, role=OPERATOR, whose="the caller's scopes")


def require_lifetime(seconds: float) -> float:
    """Return *seconds* if a token can last so long; raises `InvalidError`."""
    if not 0 < require_seconds("lifetime", seconds) < _LONGEST_LIFETIME:
        raise InvalidError("lifetime", "is no length of time", "give seconds above 0")
    return seconds
