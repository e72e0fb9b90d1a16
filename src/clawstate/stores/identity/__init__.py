"""The key pair by which this device is known to gateways, shared with OpenClaw."""

from __future__ import annotations

from clawstate.access.signing import verify
from clawstate.stores.identity.document import IDENTITY
from clawstate.stores.identity.store import DeviceIdentity, Identity

__all__ = ["IDENTITY", "DeviceIdentity", "Identity", "verify"]
