"""The records of the parts about files: devices, in the shape of a paired device of OpenClaw."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import Any

from clawstate.records.contract import Collection, CollectionSpec
from clawstate.records.layouts import MapLayout

SECTION = "devices"
SHAPE = CollectionSpec(
    "devices", PurePosixPath("state/devices.json"), MapLayout(SECTION, version=1)
)
SMALL = 30
"""The devices that make a file of about 10 kB."""


def key(number: int) -> str:
    """Return the key of a device; keys sort as their numbers."""
    return f"device-{number:06}"


def device(number: int) -> dict[str, Any]:
    """Return the record of a device, about 330 bytes of pretty JSON."""
    secret = hashlib.sha256(str(number).encode()).hexdigest()
    return {
        "displayName": f"Phone of user {number}",
        "platform": "android",
        "role": "operator",
        "scopes": ["operator.read", "operator.write"],
        "token": secret,
        "createdAtMs": 1_772_180_000_000 + number,
        "lastSeenAtMs": 1_772_184_000_000 + number,
        "uses": 0,
    }


def fill(collection: Collection, size: int) -> None:
    """Put *size* devices into the empty *collection*."""
    records = {key(number): device(number) for number in range(size)}
    collection.change_all(lambda _: (records, None))


def used(value: Any) -> Any:
    """Return a device that was used once more; the change of an update."""
    return {**value, "uses": value["uses"] + 1}
