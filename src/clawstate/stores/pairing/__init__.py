"""Devices that ask to be let in, until somebody approves or rejects them (decision 13)."""

from __future__ import annotations

from clawstate.stores.pairing.attempts import ATTEMPTS, Attempts
from clawstate.stores.pairing.contract import Approvals, Issued, PairingSettings
from clawstate.stores.pairing.device_flow import (
    INVITATIONS,
    AccessDeniedError,
    AuthorizationPendingError,
    DeviceFlow,
    ExpiredTokenError,
    Invitation,
    Proof,
    proof_text,
)
from clawstate.stores.pairing.request import ALPHABET, CODE_LENGTH, REQUESTS, PairingRequest
from clawstate.stores.pairing.store import Pairing

__all__ = [
    "ALPHABET",
    "ATTEMPTS",
    "CODE_LENGTH",
    "INVITATIONS",
    "REQUESTS",
    "AccessDeniedError",
    "Approvals",
    "Attempts",
    "AuthorizationPendingError",
    "DeviceFlow",
    "ExpiredTokenError",
    "Invitation",
    "Issued",
    "Pairing",
    "PairingRequest",
    "PairingSettings",
    "Proof",
    "proof_text",
]
