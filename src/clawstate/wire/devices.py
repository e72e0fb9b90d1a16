"""The JSON form of devices: paired ones, those that want in, and this one; no token is in it."""

from __future__ import annotations

from typing import Any

from clawstate.clock import to_ms
from clawstate.stores.device_auth.document import StoredToken
from clawstate.stores.devices.device import Device, DeviceToken, IssuedToken
from clawstate.stores.identity.store import DeviceIdentity
from clawstate.stores.pairing.device_flow import Invitation, Proof
from clawstate.stores.pairing.request import PairingRequest, document_of, request_of
from clawstate.wire.members import Members, times


def write_device(device: Device) -> dict[str, Any]:
    """Return *device*; what it does not have is left out."""
    document = {
        "deviceId": device.device_id,
        "userId": device.user_id,
        "accountId": device.account_id,
        "name": device.name,
        "publicKey": device.public_key,
        "role": device.role,
        "scopes": list(device.scopes),
        "approvedScopes": list(device.approved_scopes),
        **times(
            createdAt=device.created_at,
            approvedAt=device.approved_at,
            lastUsedAt=device.last_used_at,
            revokedAt=device.revoked_at,
        ),
        "tokens": [write_device_token(each) for each in device.tokens.values()],
    }
    return _without_nulls(document)


def read_device(document: Any) -> Device:
    """Return the device of *document*; the digests of its tokens are not in the form, and empty."""
    told = Members(document, "device")
    tokens = [read_device_token(each) for each in told.items("tokens")]
    return Device(
        told.text("deviceId"),
        told.text("userId"),
        told.texts("scopes"),
        told.texts("approvedScopes"),
        told.moment("createdAt"),
        told.moment("approvedAt"),
        account_id=told.maybe_text("accountId"),
        name=told.maybe_text("name"),
        public_key=told.maybe_text("publicKey"),
        revoked_at=told.maybe_moment("revokedAt"),
        role=told.text("role"),
        tokens={each.role: each for each in tokens},
    )


def write_device_token(token: DeviceToken) -> dict[str, Any]:
    """Return what is known of *token* but its digest."""
    document = {
        "role": token.role,
        "scopes": list(token.scopes),
        **times(
            createdAt=token.created_at,
            rotatedAt=token.rotated_at,
            revokedAt=token.revoked_at,
            lastUsedAt=token.last_used_at,
            expiresAt=token.expires_at,
        ),
    }
    return _without_nulls(document)


# Without a digest: a document that was sent must never make a token good.
def read_device_token(document: Any) -> DeviceToken:
    """Return the token of *document*, with an empty digest."""
    told = Members(document, "token")
    return DeviceToken(
        told.text("role"),
        "",
        told.texts("scopes"),
        told.moment("createdAt"),
        told.maybe_moment("rotatedAt"),
        told.maybe_moment("revokedAt"),
        told.maybe_moment("lastUsedAt"),
        told.maybe_moment("expiresAt"),
    )


def write_issued_token(issued: IssuedToken) -> dict[str, Any]:
    """Return whose token was issued; the face that hands the token out adds it."""
    # Not even this form has the token: a value that is logged or sent on keeps it.
    return {"deviceId": issued.device_id, "role": issued.role, "scopes": list(issued.scopes)}


def write_held_token(held: StoredToken) -> dict[str, Any]:
    """Return what is known of a token that this device holds."""
    return {
        "role": held.role,
        "scopes": list(held.scopes),
        **times(updatedAt=held.updated_at),
    }


def write_identity(identity: DeviceIdentity) -> dict[str, Any]:
    """Return what others may know of this device."""
    return {
        "deviceId": identity.device_id,
        "publicKey": identity.public_key,
        **times(createdAt=identity.created_at),
    }


def read_identity(document: Any) -> DeviceIdentity:
    """Return the identity of *document*."""
    told = Members(document, "identity")
    created = told.maybe_moment("createdAt")
    return DeviceIdentity(told.text("deviceId"), told.text("publicKey"), created)


def write_pairing_request(
    request: PairingRequest, *, expires_at: float | None = None
) -> dict[str, Any]:
    """Return *request* as it is kept, and until when it waits."""
    kept = document_of(request)
    if expires_at is None:
        return {**kept, **times(createdAt=request.created_at)}
    # Beside `expiresAtMs`, for those who read the name without unit before.
    kept["expiresAt"] = to_ms(expires_at)
    return {**kept, **times(createdAt=request.created_at, expiresAt=expires_at)}


def read_pairing_request(document: Any) -> PairingRequest | None:
    """Return the request of *document*."""
    Members(document, "request")
    return request_of(document)


def write_invitation(invitation: Invitation) -> dict[str, Any]:
    """Return what *invitation* allows; the face that hands its secret out adds it."""
    return {"scopes": list(invitation.scopes), **times(expiresAt=invitation.expires_at)}


def write_proof(proof: Proof) -> dict[str, Any]:
    """Return *proof*, which holds no secret: it is good once, and for two minutes."""
    return {
        "deviceId": proof.device_id,
        "publicKey": proof.public_key,
        "signedAtMs": proof.signed_at_ms,
        "signature": proof.signature,
    }


def read_proof(document: Any) -> Proof:
    """Return the proof of *document*."""
    told = Members(document, "proof")
    return Proof(
        told.text("deviceId"),
        told.text("publicKey"),
        told.integer("signedAtMs"),
        told.text("signature"),
    )


def _without_nulls(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if value is not None}
