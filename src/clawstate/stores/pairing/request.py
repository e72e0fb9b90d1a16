"""`PairingRequest`: one device that wants in, as the specification's document has it."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final, TypeGuard

from clawstate.clock import from_ms, to_ms
from clawstate.errors import InvalidError, UnavailableError
from clawstate.records.contract import CollectionSpec, Json
from clawstate.records.layouts import ListLayout

REQUESTS: Final = CollectionSpec(
    "pairing",
    PurePosixPath("state/pairing.json"),
    ListLayout("requests", "code", version=1),
    order="createdAt",
    secret_keys=True,  # a code lets a device in
)
"""`{version: 1, requests: [{code, userId, deviceId, createdAt, accountId?}]}` (section 4)."""

_SCOPES = "scopes"

ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""A to Z and 2 to 9, less I and O: 32 characters, so that a code has 40 bits (decision 9)."""
CODE_LENGTH: Final = 8
_IGNORED = re.compile(r"[\s-]+")  # people write ABCD-2345
_LONGEST = 64  # characters of what is given as a code that are looked at
_SHOWN = 2  # characters of a code that an error may repeat
_CANDIDATES = 16
_PATIENCE = 600.0  # seconds in which somebody who wants a device in approves it


@dataclass(frozen=True, slots=True)
class PairingRequest:
    """
    A device that wants in; *created_at* in seconds since the epoch.

    *scopes* are what it asks for (`None`: the usual ones), which is a wish and no right. The code
    is not part of the repr.
    """

    code: str = field(repr=False)
    user_id: str
    device_id: str
    created_at: float
    account_id: str | None = None
    scopes: tuple[str, ...] | None = None
    name: str | None = None
    public_key: str | None = None
    collects: bool = False
    """Whether the device fetches its token by itself, with proof that it has the key."""
    source: str | None = None
    """The address that asked over a network; `None` on this machine's own command line."""

    def covers(self, other: PairingRequest) -> bool:
        """Tell whether *other* asks for nothing else; what it leaves out is as it was."""
        pairs = zip(_meaning(self), _meaning(other), strict=True)
        # The code is not among them: it is what a repeated request gets back.
        return all(theirs is None or mine == theirs for mine, theirs in pairs)


def is_live(request: PairingRequest, *, now: float, ttl: float) -> bool:
    """Tell whether *request* still waits; one from the future, after a clock was set, as well."""
    return abs(now - request.created_at) <= ttl


def give_way(
    live: dict[str, PairingRequest], source: str | None, *, limit: int, now: float
) -> None:
    """
    Take out of *live* the request that makes room for one from *source*, if one does.

    No address can keep all places for itself, nor several of them for longer than a person takes
    to decide. What was asked for on the machine itself stays.
    """
    if source is None:
        return
    by_age = sorted(live.items(), key=lambda each: each[1].created_at)
    mine = [code for code, each in by_age if each.source == source]
    patient = [
        code
        for code, each in by_age
        if each.source is not None and abs(now - each.created_at) >= _PATIENCE
    ]
    if len(mine) >= max(1, limit - 1):
        del live[mine[0]]
    elif len(live) >= limit and patient:
        del live[patient[0]]


def request_of(document: Json) -> PairingRequest | None:
    """Return the request in *document*, or `None` if there is none that can be used."""
    if not isinstance(document, Mapping):
        return None
    code, user, device = (document.get(name) for name in ("code", "userId", "deviceId"))
    created, scopes = document.get("createdAt"), document.get(_SCOPES)
    if not all(isinstance(each, str) and each for each in (code, user, device)):
        return None
    if not _is_moment(created) or not _are_scopes(scopes):
        return None
    return PairingRequest(
        str(code),
        str(user),
        str(device),
        from_ms(created),
        account_id=_text(document.get("accountId")),
        scopes=None if scopes is None else tuple(scopes),
        name=_text(document.get("name")),
        public_key=_text(document.get("publicKey")),
        collects=document.get("collects") is True,
        source=_text(document.get("source")),
    )


def document_of(request: PairingRequest) -> dict[str, Any]:
    """Return *request* as it is kept; what it does not say is left out."""
    document = {
        "code": request.code,
        "userId": request.user_id,
        "deviceId": request.device_id,
        "createdAt": to_ms(request.created_at),
        "accountId": request.account_id,
        _SCOPES: None if request.scopes is None else list(request.scopes),
        "name": request.name,
        "publicKey": request.public_key,
        "collects": request.collects or None,
        "source": request.source,
    }
    return {key: value for key, value in document.items() if value is not None}


def _meaning(request: PairingRequest) -> tuple[object, ...]:
    return (
        request.user_id,
        request.device_id,
        request.account_id,
        request.scopes,
        request.name,
        request.public_key,
        request.collects or None,
    )


def _is_moment(value: Json) -> TypeGuard[float]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < 2**53 and math.isfinite(value)


def _are_scopes(value: Json) -> bool:
    return value is None or (
        isinstance(value, list) and all(isinstance(each, str) for each in value)
    )


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def candidates() -> tuple[str, ...]:
    """Return new codes, from the operating system's randomness, of which the first free counts."""
    # Several at once, because the change that takes one is pure: it may be applied again.
    return tuple(
        "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH)) for _ in range(_CANDIDATES)
    )


def first_free(offered: Iterable[str], taken: Collection[str]) -> str:
    """Return the first of *offered* that is not *taken*; raises `UnavailableError` if none is."""
    for code in offered:
        if code not in taken:
            return code
    raise UnavailableError("pairing", "found no code that is free", "try again")


def normalise_code(code: str) -> str:
    """Return *code* as it is kept: without spaces and hyphens, in capitals."""
    if not isinstance(code, str):
        raise InvalidError("code", f"a code is text, not {type(code).__name__}", "give the code")
    # Cut first: a code comes from outside, and may be as long as somebody likes.
    return _IGNORED.sub("", code[:_LONGEST]).upper()


def matching(code: str, pending: Iterable[str]) -> str | None:
    """Return the one of *pending* that is *code*; takes as long whichever it is, or none."""
    given = code.encode("utf-8", "replace")
    found = None
    for each in pending:
        # No early return, which would tell by its time where in the list a code stands.
        if hmac.compare_digest(each.encode("utf-8", "replace"), given):
            found = each
    return found


def mark_of(code: str) -> str:
    """Return by what a used *code* is known again; the code cannot be used any more."""
    # A digest, since marks are kept for a month beside devices, and end up in cursors and logs.
    return hashlib.sha256(f"pairing code {code}".encode("utf-8", "replace")).hexdigest()[:32]


def shorten_code(code: str) -> str:
    """Return the start of *code*, for an error: the rest may be right but for a letter."""
    return f"{code[:_SHOWN]}…" if len(code) > _SHOWN else "…"
