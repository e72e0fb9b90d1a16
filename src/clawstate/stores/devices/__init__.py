"""The paired devices, and the tokens by which they are known (decision 13)."""

from __future__ import annotations

from clawstate.access.scopes import DEFAULT_SCOPES, OPERATOR, covers
from clawstate.stores.devices.device import DEVICES, Device, DeviceToken, IssuedToken
from clawstate.stores.devices.store import Devices

__all__ = [
    "DEFAULT_SCOPES",
    "DEVICES",
    "OPERATOR",
    "Device",
    "DeviceToken",
    "Devices",
    "IssuedToken",
    "covers",
]
