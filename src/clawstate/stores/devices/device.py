"""`Device`: what is kept of one paired device, its document, and the `Grant` that lets it in."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from clawstate.access.names import require_id, require_name, require_public_key, require_role
from clawstate.access.scopes import (
    DEFAULT_SCOPES,
    OPERATOR,
    PAIRING,
    allowed_scopes,
    require_operator_scopes,
    require_scopes,
    require_within,
)
from clawstate.arguments import require_seconds
from clawstate.clock import from_ms
from clawstate.errors import InvalidError
from clawstate.records.contract import CollectionSpec, Json
from clawstate.records.layouts import MapLayout

DEVICES: Final = CollectionSpec(
    "devices",
    PurePosixPath("state/devices.json"),
    MapLayout("devices", version=1),
    order="createdAtMs",
)
"""`{version: 1, devices: {<deviceId>: {...}}}`; tokens are kept as their SHA-256 only."""

_LONGEST_LIFETIME = 1e10  # seconds
REMOVED: Final = "removedAtMs"
"""Marks what is left of a removed device: which request it was let in by, for some time."""


_BYTES = 32
_LONGEST = 1024  # characters of what is given as a token
_NOBODY = hashlib.sha256(secrets.token_bytes(_BYTES)).hexdigest()


@dataclass(frozen=True, slots=True)
class DeviceToken:
    """What is known of the token in one *role*; moments in seconds since the epoch."""

    role: str
    hash: str = field(repr=False)
    scopes: tuple[str, ...]
    created_at: float
    rotated_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None
    expires_at: float | None = None

    def is_good(self, now: float) -> bool:
        """Tell whether it may be used *now*."""
        is_over = self.expires_at is not None and self.expires_at <= now
        return self.revoked_at is None and not is_over


@dataclass(frozen=True, slots=True)
class Device:
    """
    A paired device; moments in seconds since the epoch.

    *scopes* are what its token allows, which is never more than *approved_scopes*.
    """

    device_id: str
    user_id: str
    scopes: tuple[str, ...]
    approved_scopes: tuple[str, ...]
    created_at: float
    approved_at: float
    account_id: str | None = None
    name: str | None = None
    public_key: str | None = None
    revoked_at: float | None = None
    role: str = OPERATOR
    tokens: Mapping[str, DeviceToken] = field(default_factory=dict)

    @property
    def last_used_at(self) -> float | None:
        """When a token of it was last verified, to within a minute."""
        found = [each.last_used_at for each in self.tokens.values() if each.last_used_at]
        return max(found, default=None)

    @property
    def excess(self) -> tuple[str, ...]:
        """The scopes of its tokens that nobody approved; they do not count."""
        beyond = {
            scope
            for token in self.tokens.values()
            for scope in token.scopes
            if not allowed_scopes(self.approved_scopes, (scope,), role=token.role)
        }
        return tuple(sorted(beyond))


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token as it was issued: the only moment at which it can be read."""

    device_id: str
    user_id: str
    role: str
    token: str = field(repr=False)
    scopes: tuple[str, ...]
    expires_at: float | None = None
    collects: bool = False
    """Whether the device fetches a token of its own, which takes the place of this one."""


def device_of(document: Json) -> Device | None:
    """Return the device in *document*, or `None` if it is malformed, or what a removal left."""
    if not isinstance(document, Mapping) or REMOVED in document:
        return None
    approved, tokens = _scopes(document.get("approvedScopes")), _tokens(document.get("tokens"))
    texts = [document.get(name) for name in ("deviceId", "userId")]
    moments = [_moment(document.get(name)) for name in ("createdAtMs", "approvedAtMs")]
    revoked = _moment(document.get("revokedAtMs"))
    if not all(isinstance(each, str) and each for each in texts) or None in moments:
        return None
    # What says that it was revoked, in whatever way, was revoked.
    if tokens is None or approved is None or (revoked is None and document.get("revokedAtMs")):
        return None
    first = tokens.get(OPERATOR) or next(iter(tokens.values()), None)
    # Never more than what was approved, whatever the file says: it may have been edited by hand.
    role = OPERATOR if first is None else first.role
    return Device(
        str(texts[0]),
        str(texts[1]),
        () if first is None else allowed_scopes(approved, first.scopes, role=role),
        approved,
        moments[0] or 0.0,
        moments[1] or 0.0,
        account_id=_text(document.get("accountId")),
        name=_text(document.get("name")),
        public_key=_text(document.get("publicKey")),
        revoked_at=revoked,
        role=role,
        tokens=tokens,
    )


def _tokens(value: Json) -> dict[str, DeviceToken] | None:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return None
    found = {role: _token(role, each) for role, each in value.items()}
    # One that cannot be read makes the device unusable: it may be the one that was revoked.
    whole = {role: each for role, each in found.items() if each is not None}
    return whole if len(whole) == len(found) else None


def _token(role: str, value: Json) -> DeviceToken | None:
    if not isinstance(value, Mapping) or not role:
        return None
    digest, scopes = value.get("hash"), _scopes(value.get("scopes"))
    moments = {
        name: _moment(value.get(f"{name}Ms"))
        for name in ("createdAt", "rotatedAt", "revokedAt", "lastUsedAt", "expiresAt")
    }
    # An end or a revocation that cannot be read must not turn a token into one without end.
    unclear = any(
        moments[name] is None and value.get(f"{name}Ms") is not None
        for name in ("revokedAt", "expiresAt")
    )
    created = moments["createdAt"]
    if not isinstance(digest, str) or scopes is None or created is None or unclear:
        return None
    return DeviceToken(
        role,
        digest,
        scopes,
        created,
        moments["rotatedAt"],
        moments["revokedAt"],
        moments["lastUsedAt"],
        moments["expiresAt"],
    )


def _scopes(value: Json) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        return None
    return tuple(value)


def _moment(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Beyond 2^53 a number of JSON is no exact whole number for OpenClaw.
    if not is_number or abs(value) >= 2**53 or not math.isfinite(value):
        return None
    return from_ms(value)


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def new_token() -> str:
    """Return a new token: 32 random bytes in base64url, 43 characters."""
    return secrets.token_urlsafe(_BYTES)


def digest_of(token: str) -> str:
    """
    Return the SHA-256 of *token* in hex.

    A slow hash would protect nothing: a token is no password, nobody can guess one.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def matching(token: object, tokens: Mapping[str, DeviceToken]) -> DeviceToken | None:
    """Return the one of *tokens* that *token* is; takes as long for none."""
    is_possible = isinstance(token, str) and 0 < len(token) <= _LONGEST
    # Digests are compared and not tokens: they have one length, and a prefix of a digest that is
    # right says nothing about the token.
    given = digest_of(str(token) if is_possible else "").encode()
    found = None
    # One comparison always, so that a device without tokens takes as long as one that has some.
    hmac.compare_digest(_NOBODY.encode(), given)
    for each in tokens.values():
        if hmac.compare_digest(each.hash.encode("utf-8", "replace"), given) and is_possible:
            found = each
    return found


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
    known = require_operator_scopes if role == OPERATOR else require_scopes
    return Grant(
        require_id("device id", device_id),
        require_id("user id", user_id),
        None if account_id is None else require_id("account id", account_id),
        None if name is None else require_name(name),
        None if public_key is None else require_public_key(public_key, device_id),
        require_role(role),
        DEFAULT_SCOPES if scopes is None else known(scopes),
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
