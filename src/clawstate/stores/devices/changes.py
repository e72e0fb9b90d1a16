"""What is done to devices, as pure changes of their documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from clawstate.access.names import require_id
from clawstate.arguments import require_kind
from clawstate.clock import from_ms, to_ms
from clawstate.errors import ConflictError, InvalidError, NotFoundError
from clawstate.records.contract import Json
from clawstate.records.merging import MergeResult, merge_records
from clawstate.stores.devices.device import REMOVED, Device, DeviceToken, Grant, device_of

REQUESTS: Final = "requests"
"""The marks of the pairing requests by which a device was let in, so that none counts twice."""

APPROVED_BY: Final = "approvedBy"
"""The mark of the request that let the device in last: by it the device may fetch its token."""

COLLECTED: Final = "collectedAtMs"
"""When the device fetched its token last, by its own clock."""

_REMEMBERED = 8  # requests of one device
_MEMORY = 30 * 86_400.0  # seconds for which a removed device's requests are remembered


def issue(before: Json, grant: Grant, digest: str, *, now: float) -> dict[str, Any]:
    """Return the device of *grant* with a token of that *digest* in the place of all others."""
    old = {} if not isinstance(before, Mapping) else dict(before)
    # What a removal left keeps the marks of requests, but the device begins anew.
    was_device = bool(old) and REMOVED not in old
    given = {
        "deviceId": grant.device_id,
        "userId": grant.user_id,
        "accountId": grant.account_id,
        "name": grant.name,
        "publicKey": grant.public_key,
    }
    document = {
        **_without(old, REMOVED, "revokedAtMs", APPROVED_BY, COLLECTED),
        **{key: value for key, value in given.items() if value is not None},
        "scopes": list(grant.scopes),
        "approvedScopes": list(grant.scopes),
        # All others go: who pairs a device again may do so because it was lost.
        "tokens": {grant.role: token(digest, grant.scopes, now=now, expires_at=grant.expires_at)},
        "createdAtMs": old.get("createdAtMs", to_ms(now)) if was_device else to_ms(now),
        "approvedAtMs": to_ms(now),
    }
    if grant.request is not None:
        document[APPROVED_BY] = grant.request
    marks = _marks(old, *([] if grant.request is None else [grant.request]))
    return {**document, REQUESTS: marks} if marks else document


def require_collectable(before: Mapping[str, Json], request: str, *, signed_at_ms: int) -> None:
    """
    Raise unless the device may fetch the token that the mark *request* brought it.

    `NotFoundError` if another request, or none, let it in; `ConflictError` once its token was used,
    and for a proof that is not younger than the one before, which somebody may have overheard.
    """
    if before.get(APPROVED_BY) != request:
        raise NotFoundError("approval of device", str(before.get("deviceId")))
    tokens = before.get("tokens")
    used = isinstance(tokens, Mapping) and any(
        isinstance(each, Mapping) and each.get("lastUsedAtMs") for each in tokens.values()
    )
    last = before.get(COLLECTED)
    if used or (isinstance(last, int) and signed_at_ms <= last):
        hint = "the owner gives another one with 'clawstate devices rotate'"
        raise ConflictError("token of device", str(before.get("deviceId")), hint)


def collect(
    before: Mapping[str, Json], digest: str, role: str, *, signed_at_ms: int, now: float
) -> dict[str, Any]:
    """Return the device with the token that it fetches in the place of the one before."""
    scopes = tuple(before["tokens"][role]["scopes"])
    return {**rotate(before, role, digest, scopes, now=now), COLLECTED: signed_at_ms}


def rotate(
    before: Mapping[str, Json], role: str, digest: str, scopes: tuple[str, ...], *, now: float
) -> dict[str, Any]:
    """Return the device with another token in *role*."""
    old = before["tokens"][role]
    fresh = {
        # Members that others put there stay; only what this change is about is replaced.
        **_without(old, "revokedAtMs"),
        "hash": digest,
        "scopes": list(scopes),
        "rotatedAtMs": to_ms(now),
    }
    return {**before, "scopes": list(scopes), "tokens": {**before["tokens"], role: fresh}}


def revoke(before: Mapping[str, Json], role: str | None, *, now: float) -> dict[str, Any]:
    """Return the device without a good token in *role*, or in any; then it is revoked itself."""
    ended = {"revokedAtMs": to_ms(now)}
    tokens = {
        # A token that was revoked before keeps the moment at which that happened.
        each: {**value, **ended, **_revocation(value)} if role in {None, each} else value
        for each, value in before["tokens"].items()
    }
    document = {**before, "tokens": tokens}
    return {**document, **ended} if role is None else document


def mark_used(before: Json, held: DeviceToken, *, now: float) -> Json:
    """Return the device with its last use noted, if its token is still *held*."""
    device = device_of(before)
    current = None if device is None else device.tokens.get(held.role)
    # Rotated or removed since it was verified: a use of the old token says nothing of the new one.
    if current is None or current.hash != held.hash:
        return before
    tokens = before["tokens"]
    noted = {**tokens[held.role], "lastUsedAtMs": to_ms(now)}
    return {**before, "tokens": {**tokens, held.role: noted}}


def mark_refused(before: Json | None, device_id: str, request: str, *, now: float) -> Json:
    """Return the device, or what stands for none, with the mark of a *request* that is over."""
    if before is None:
        # A trace without a device: without it the refused code could be approved a moment later.
        return {"deviceId": device_id, REMOVED: to_ms(now), REQUESTS: [request]}
    if not isinstance(before, Mapping):
        return before  # whom nobody can let in
    # As long as the youngest mark is to be remembered, so are the others.
    moved = {REMOVED: to_ms(now)} if REMOVED in before else {}
    return {**before, **moved, REQUESTS: _marks(before, request)}


def tombstone(before: Json, device_id: str, *, now: float) -> dict[str, Any] | None:
    """Return what is left of a removed device: nothing that says whose it was."""
    marks = marks_of(before)
    if not marks:
        return None
    return {"deviceId": device_id, REMOVED: to_ms(now), REQUESTS: marks}


def is_forgotten(document: Json, *, now: float) -> bool:
    """Tell whether *document* is left of a device that was removed long ago."""
    if not isinstance(document, Mapping) or REMOVED not in document:
        return False
    at = document[REMOVED]
    # By the distance from now, as a clock may be set: a trace from the future must not stay for
    # ever.
    is_moment = isinstance(at, int) and not isinstance(at, bool)
    return not is_moment or abs(now - from_ms(at)) > _MEMORY


def require_unused(document: Json, request: str, device_id: str) -> None:
    """Raise `NotFoundError` if the mark *request* was used, or refused, for the device."""
    if request in marks_of(document):
        raise NotFoundError("pending pairing request of device", device_id, "it was used already")


def require_expected(document: Json | None, expect: Device | None) -> None:
    """Raise `ConflictError` unless *document* is the device that the caller saw, if it says so."""
    if expect is None:
        return
    require_kind("expect", expect, Device)
    if document is None or device_of(document) != expect:
        raise ConflictError("paired device", expect.device_id)


def marks_of(document: Json) -> list[str]:
    """Return the marks of the requests by which the device of *document* was let in."""
    found = document.get(REQUESTS) if isinstance(document, Mapping) else None
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _marks(before: Json, *more: str) -> list[str]:
    return [*marks_of(before), *more][-_REMEMBERED:]


def token(
    digest: str, scopes: tuple[str, ...], *, now: float, expires_at: float | None
) -> dict[str, Any]:
    """Return a new token as it is kept."""
    document = {"hash": digest, "scopes": list(scopes), "createdAtMs": to_ms(now)}
    return document if expires_at is None else {**document, "expiresAtMs": to_ms(expires_at)}


def _revocation(value: Mapping[str, Json]) -> dict[str, Json]:
    return {key: each for key, each in value.items() if key == "revokedAtMs"}


def _without(document: Mapping[str, Json], *names: str) -> dict[str, Json]:
    return {key: value for key, value in document.items() if key not in names}


def merge_devices(
    ours: Mapping[str, Json], theirs: Mapping[str, Json], *, replace: bool
) -> tuple[dict[str, Json], MergeResult]:
    """
    Return the documents *ours* with those of *theirs*, and what became of each.

    What is here stays, also the trace of a device that was removed, unless *replace*. A device is
    the same if its key and its tokens are: when they were used last does not count.
    """
    return merge_records(
        ours,
        theirs,
        refuse=_refuse,
        is_same=lambda _, old, new: _authority(old) == _authority(new),
        gives_way=lambda *_: replace,
    )


def _refuse(device_id: str, document: Json) -> None:
    require_id("device id", device_id)
    device = device_of(document)
    if device is None or device.device_id != device_id:
        raise InvalidError("device", "is malformed")


def _authority(document: Json) -> object:
    device = device_of(document)
    if device is None:
        return document
    tokens = {each.role: (each.hash, each.scopes) for each in device.tokens.values()}
    return device.public_key, tokens, device.approved_scopes
