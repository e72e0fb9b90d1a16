"""The documents of a state directory that hold records; a `*` stands for any one name."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from clawstate.interrupts import load_modules
from clawstate.records.contract import Shape
from clawstate.records.layouts import MapLayout
from clawstate.stores.auth.legacy import LEDGER
from clawstate.stores.auth.profile_store import LAYOUT as CREDENTIALS
from clawstate.stores.device_auth import HELD, OPENCLAW_HELD
from clawstate.stores.devices import DEVICES
from clawstate.stores.pairing import ATTEMPTS, REQUESTS
from clawstate.stores.pairing.channels import CHANNEL_KIND

SESSIONS_KIND, ARCHIVE_KIND = "sessions", "session-archive"
NAMES_OF_MARKS: Final = Shape(
    "dedupe-namespaces", PurePosixPath("dedupe/.namespaces.json"), MapLayout()
)
"""The namespaces of marks whose names tell nothing of them."""

_DOCUMENTS = (
    Shape("auth:*", PurePosixPath("agents/*/agent/auth-profiles.json"), CREDENTIALS),
    Shape(SESSIONS_KIND, PurePosixPath("sessions/sessions.json"), MapLayout(), newline=False),
    Shape(ARCHIVE_KIND, PurePosixPath("sessions/archive/sessions.json"), MapLayout()),
    Shape(
        SESSIONS_KIND, PurePosixPath("agents/*/sessions/sessions.json"), MapLayout(), newline=False
    ),
    Shape("dedupe:*", PurePosixPath("dedupe/*.json"), MapLayout()),
)


def shapes() -> tuple[Shape, ...]:
    """Return every document that the stores of a state keep, and what its rows are called."""
    load_modules("clawstate.stores.identity")
    from clawstate.stores.identity import IDENTITY  # noqa: PLC0415 - it loads cryptography

    named = (HELD, OPENCLAW_HELD, DEVICES, IDENTITY, ATTEMPTS, REQUESTS, LEDGER, NAMES_OF_MARKS)
    return (*named, *_DOCUMENTS)


def own_kinds() -> tuple[str, ...]:
    """Return what the rows of these documents and of channels are called; a `*` is any name."""
    kinds = (each.kind for each in shapes())
    return (*dict.fromkeys(kinds), f"{CHANNEL_KIND}*")
