"""The documents of a state directory that hold records; a `*` stands for any one name."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from clawstate.interrupts import load_modules
from clawstate.memory.capture.inbox import INBOX
from clawstate.memory.file_conflicts import FILE_CONFLICTS
from clawstate.records.contract import CollectionSpec, FileForm
from clawstate.records.layouts import MapLayout
from clawstate.stores.auth.legacy import LEDGER
from clawstate.stores.auth.profile_store import LAYOUT as CREDENTIALS
from clawstate.stores.device_auth import HELD, OPENCLAW_HELD
from clawstate.stores.devices import DEVICES
from clawstate.stores.matrix.documents import DOCUMENTS as MATRIX
from clawstate.stores.pairing import ATTEMPTS, INVITATIONS, REQUESTS
from clawstate.stores.pairing.channels import CHANNEL_KIND, channel_spec

SESSIONS_KIND, ARCHIVE_KIND, PAST_KIND = "sessions", "session-archive", "session-past:"
NAMES_OF_MARKS: Final = CollectionSpec(
    "dedupe-namespaces", PurePosixPath("dedupe/.namespaces.json"), MapLayout()
)
"""The namespaces of marks whose names tell nothing of them."""

_DOCUMENTS = (
    HELD,
    OPENCLAW_HELD,
    DEVICES,
    ATTEMPTS,
    INVITATIONS,
    REQUESTS,
    LEDGER,
    INBOX,
    FILE_CONFLICTS,
    NAMES_OF_MARKS,
    CollectionSpec("auth:*", PurePosixPath("agents/*/agent/auth-profiles.json"), CREDENTIALS),
    CollectionSpec(
        SESSIONS_KIND,
        PurePosixPath("sessions/sessions.json"),
        MapLayout(),
        file=FileForm(newline=False),
    ),
    CollectionSpec(ARCHIVE_KIND, PurePosixPath("sessions/archive/sessions.json"), MapLayout()),
    CollectionSpec(
        SESSIONS_KIND,
        PurePosixPath("agents/*/sessions/sessions.json"),
        MapLayout(),
        file=FileForm(newline=False),
    ),
    CollectionSpec(
        f"{PAST_KIND}*", PurePosixPath("sessions/archive/past-*-sessions.json"), MapLayout()
    ),
    CollectionSpec("dedupe:*", PurePosixPath("dedupe/*.json"), MapLayout()),
    *MATRIX,
)


def specs() -> tuple[CollectionSpec, ...]:
    """Return every document that the stores of a state keep, and what its rows are called."""
    load_modules("clawstate.stores.identity")
    from clawstate.stores.identity import IDENTITY  # noqa: PLC0415 - it loads cryptography

    return (*_DOCUMENTS, IDENTITY)


def has_secret_keys(kind: str) -> bool:
    """Tell whether the keys of *kind* are secrets, as its spec says."""
    if kind.startswith(CHANNEL_KIND):
        found = channel_spec(kind.removeprefix(CHANNEL_KIND))
        return found is not None and found.secret_keys
    return any(each.secret_keys for each in _DOCUMENTS if each.kind == kind)


def own_kinds() -> tuple[str, ...]:
    """Return what the rows of these documents and of channels are called; a `*` is any name."""
    # What sessions were moves with them, and is told by nothing of its own.
    kinds = (each.kind for each in specs() if not each.kind.startswith(PAST_KIND))
    return (*dict.fromkeys(kinds), f"{CHANNEL_KIND}*")
