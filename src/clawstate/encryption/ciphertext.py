"""An encrypted text: AES-256-GCM with its place as associated data, as a JSON object."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Any

from clawstate.errors import CorruptError, VersionError
from clawstate.interrupts import load_modules

MARK = "sealed"
FORMAT = 1
KEY_BYTES = 32

_MEMBERS = {MARK, "key", "nonce", "data"}
_NONCE_BYTES = 24
_DERIVING = 12  # bytes of the nonce that choose the key of the message; the others are GCM's own
_ID_BYTES = 6
_CHECK = 4  # characters
_LABEL = b"clawstate sealed 1 "
_DAMAGED = "the sealed value was changed, or moved here from another place"


def new_key() -> bytes:
    """Return a new random key."""
    return os.urandom(KEY_BYTES)


def key_id(key: bytes) -> str:
    """
    Return what names *key* without telling anything of it: 16 hexadecimal digits.

    The last four are a checksum, so that a damaged name is told from one of another key.
    """
    # A keyed digest: a plain one would let anybody test whether a key is this one.
    name = hmac.digest(key, _LABEL + b"id", "sha256")[:_ID_BYTES].hex()
    return name + _checksum(name)


def is_sealed(value: Any) -> bool:
    """Tell whether *value* is, or was, a sealed text; it need not be sound."""
    return isinstance(value, dict) and MARK in value


def seal_text(key: bytes, text: str, *, place: str) -> dict[str, Any]:
    """Return *text* as the JSON object that `open_text` opens with *key* at *place* only."""
    load_modules("cryptography.hazmat.primitives.ciphers.aead")
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - slow

    # JSON may hold halves of surrogate pairs, and what is sealed must come back as it was.
    plain, name = text.encode("utf-8", "surrogatepass"), key_id(key)
    nonce = _nonce(key, plain, place)
    cipher = AESGCM(_message_key(key, nonce))
    data = cipher.encrypt(nonce[_DERIVING:], plain, _associated_data(name, place))
    return {MARK: FORMAT, "key": name, "nonce": _to_base64(nonce), "data": _to_base64(data)}


def open_text(key: bytes, sealed: Mapping[str, Any], *, place: str) -> str:
    """Return what `seal_text` was given; raises `CorruptError` for anything else."""
    load_modules("cryptography.hazmat.primitives.ciphers.aead")
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - slow
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - slow

    name = key_name(sealed, place=place)
    nonce, data = _read(sealed["nonce"], place), _read(sealed["data"], place)
    if len(nonce) != _NONCE_BYTES or name != key_id(key):
        raise CorruptError(place, _DAMAGED)
    cipher = AESGCM(_message_key(key, nonce))
    try:
        plain = cipher.decrypt(nonce[_DERIVING:], data, _associated_data(name, place))
    except InvalidTag:
        plain = None
    if plain is None:  # outside of the handler: what is raised chains nothing
        raise CorruptError(place, _DAMAGED)
    return plain.decode("utf-8", "surrogatepass")


def key_name(sealed: Mapping[str, Any], *, place: str) -> str:
    """
    Return the name of the key that *sealed* was sealed with.

    Raises `CorruptError` for what no `seal_text` has made, `VersionError` for a later format.
    """
    found, name = sealed.get(MARK), sealed.get("key")
    # By type: true would be 1, as Python counts it.
    if type(found) is int and found > FORMAT:
        raise VersionError(place, found, FORMAT)
    if type(found) is not int or found != FORMAT or set(sealed) != _MEMBERS:
        raise CorruptError(place, _DAMAGED)
    if not isinstance(name, str) or _checksum(name[:-_CHECK]) != name[-_CHECK:]:
        raise CorruptError(place, _DAMAGED)
    return name


def _checksum(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:_CHECK]


def _nonce(key: bytes, plain: bytes, place: str) -> bytes:
    # Random, but mixed with what is sealed: should the random numbers of a machine repeat, as after
    # a snapshot of it was restored, equal nonces still mean equal texts.
    own = hmac.digest(key, _LABEL + b"nonce", "sha256")
    where = hashlib.sha256(place.encode("utf-8", "surrogatepass")).digest()
    return hmac.digest(own, os.urandom(32) + where + plain, "sha256")[:_NONCE_BYTES]


def _message_key(key: bytes, nonce: bytes) -> bytes:
    """Return the key of one message: 96 bits alone would be few for a nonce that is random."""
    return hmac.digest(key, _LABEL + b"message" + nonce[:_DERIVING], "sha256")


def _associated_data(name: str, place: str) -> bytes:
    # Authenticated, not kept: put into another agent, profile or field, the text does not open.
    return _LABEL + f"{name} {place}".encode("utf-8", "surrogatepass")


def _to_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _read(text: Any, place: str) -> bytes:
    raw = None
    if isinstance(text, str) and text.isascii():
        try:
            raw = base64.b64decode(text, validate=True)
        except binascii.Error:
            raw = None
    # The last character of base64 has spare bits: only the text that we would write is accepted.
    if raw is None or _to_base64(raw) != text:
        raise CorruptError(place, _DAMAGED)
    return raw
