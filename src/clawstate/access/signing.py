"""Ed25519 signatures (RFC 8032), in base64url without padding as they travel."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from clawstate.arguments import require_text
from clawstate.errors import InvalidError
from clawstate.interrupts import load_modules

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*={0,2}")
_RAW, _SIGNATURE = 32, 64  # bytes

# cryptography takes 60 ms to load, and most programs never sign.
_SIGNING = (
    "cryptography.hazmat.primitives.serialization",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
)


def new_pair() -> tuple[str, str]:
    """Return a new key pair in PEM: the public key (SPKI) and the private one (PKCS8)."""
    load_modules(*_SIGNING)
    from cryptography.hazmat.primitives import serialization as forms  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415

    private = ed25519.Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(
        forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo
    )
    secret = private.private_bytes(
        forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption()
    )
    return public.decode(), secret.decode()


def load_private(pem: str) -> Ed25519PrivateKey:
    """Return the private key in *pem*; raises `InvalidError` that says nothing of it."""
    load_modules(*_SIGNING)
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization as forms  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415

    try:
        key = forms.load_pem_private_key(pem.encode(), password=None)
    # The cause is dropped on purpose: its message may quote what it could not parse.
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise InvalidError("identity", "holds no Ed25519 private key")
    return key


def raw_of(private: Ed25519PrivateKey) -> bytes:
    """Return the 32 bytes of the public key that belongs to *private*."""
    return private.public_key().public_bytes_raw()


def verify(public_key: str, message: bytes | str, signature: str) -> bool:
    """Tell whether *signature* of *message* is by the owner of *public_key*, both base64url."""
    load_modules(*_SIGNING)
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415

    raw, signed = from_base64url(public_key), from_base64url(signature)
    if raw is None or signed is None or len(raw) != _RAW or len(signed) != _SIGNATURE:
        return False
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(raw).verify(signed, as_bytes(message))
    except (InvalidSignature, ValueError):
        return False
    return True


def as_bytes(message: bytes | str) -> bytes:
    """Return *message* as it is signed: text as UTF-8. Raises `InvalidError`."""
    if isinstance(message, bytes | bytearray | memoryview):
        return bytes(message)
    require_text("message", message)
    try:
        return message.encode()
    except UnicodeEncodeError as error:
        raise InvalidError("message", "is no text that UTF-8 can hold", "give bytes") from error


def to_base64url(raw: bytes) -> str:
    """Return *raw* in base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes | None:
    """Return the bytes of *text*, or `None` if it is not base64url."""
    # Python's decoder passes over characters that are none, so two texts would be one signature.
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        return None
    plain = text.rstrip("=")
    try:
        return base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    except binascii.Error:
        return None
