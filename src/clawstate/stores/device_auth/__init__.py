"""The tokens that this device holds, by which others let it in (specification section 5)."""

from __future__ import annotations

from clawstate.stores.device_auth.document import HELD, OPENCLAW_HELD, StoredToken
from clawstate.stores.device_auth.store import DeviceAuth, DeviceOwner

__all__ = ["HELD", "OPENCLAW_HELD", "DeviceAuth", "DeviceOwner", "StoredToken"]
