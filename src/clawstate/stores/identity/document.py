"""How the key pair lies in its file: as OpenClaw has it, byte for byte."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from clawstate.errors import InvalidError, VersionError
from clawstate.records.contract import CollectionSpec, Json

KEY: Final = "device"
"""The key of the one record that the document is."""

_VERSION = 1
_SPKI = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: an Ed25519 key follows
_RAW = 32  # bytes of it
_PEM = re.compile(
    r"\s*-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]{1,400})-----END PUBLIC KEY-----\s*"
)
_TEXTS = ("deviceId", "publicKeyPem", "privateKeyPem")


class IdentityLayout:
    """The document is one record; one that holds no key pair is damaged."""

    def decode(self, document: Json) -> dict[str, Json]:
        """Return the document as the record `device`."""
        if document is None:
            return {}
        if not isinstance(document, dict):
            raise InvalidError("document", "is not an object")
        # Checked before anything else: a later version may have moved all other members.
        version = document.get("version")
        if isinstance(version, int) and version > _VERSION:
            raise VersionError("document", min(version, 2**53), _VERSION)
        if version != _VERSION or isinstance(version, bool):
            raise InvalidError("document", "has no version")
        if not all(isinstance(document.get(name), str) for name in _TEXTS):
            raise InvalidError("document", "holds no key pair")
        raw_public_key(document["publicKeyPem"])
        return {KEY: document}

    def encode(self, document: Json, records: Mapping[str, Json]) -> Json:
        """Return the record `device`; raises `InvalidError` without one."""
        if records.keys() != {KEY}:
            raise InvalidError("identity", "is one record", f"keep it as {KEY!r}")
        self.decode(records[KEY])
        # Members that OpenClaw added stay, in their order.
        return {**(document or {}), **records[KEY]}


IDENTITY: Final = CollectionSpec(
    "identity", PurePosixPath("identity/device.json"), IdentityLayout()
)
"""`{version: 1, deviceId, publicKeyPem, privateKeyPem, createdAtMs}`."""


def document_of(public_pem: str, private_pem: str, *, created_at_ms: int) -> dict[str, Any]:
    """Return the document of a new key pair."""
    return {
        "version": _VERSION,
        "deviceId": id_of(raw_public_key(public_pem)),
        "publicKeyPem": public_pem,
        "privateKeyPem": private_pem,
        "createdAtMs": created_at_ms,
    }


def raw_public_key(pem: str) -> bytes:
    """Return the 32 bytes of the Ed25519 key in *pem* (SPKI); raises `InvalidError`."""
    match = _PEM.fullmatch(pem)
    try:
        der = base64.b64decode("".join(match[1].split()), validate=True) if match else b""
    except binascii.Error:
        der = b""
    if not der.startswith(_SPKI) or len(der) != len(_SPKI) + _RAW:
        raise InvalidError("document", "holds no Ed25519 public key")
    return der[len(_SPKI) :]


def id_of(raw: bytes) -> str:
    """Return the device id that stands for the public key *raw*: its SHA-256 in hex."""
    return hashlib.sha256(raw).hexdigest()
