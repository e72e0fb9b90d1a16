"""What a device and its user may be called."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import unicodedata

from clawstate.access.curve import is_strong_key
from clawstate.errors import InvalidError

_LONGEST_ID = 256  # characters
_LONGEST_NAME = 80
_LONGEST_ROLE = 64
_KEY = re.compile(r"[A-Za-z0-9_-]{43}")
_JOINER = "\u200d"  # joins the parts of an emoji


def require_id(name: str, value: object) -> str:
    """Return *value* if it can be the id *name*; raises `InvalidError` that does not repeat it."""
    return _plain(name, value, _LONGEST_ID, allowed="")


def require_name(value: object) -> str:
    """Return *value* if it can be the name of a device; raises `InvalidError`."""
    return _plain("name", value, _LONGEST_NAME, allowed=_JOINER)


def require_role(value: object) -> str:
    """Return *value* if it can be a role; raises `InvalidError`."""
    return _plain("role", value, _LONGEST_ROLE, allowed="")


def require_public_key(value: object, device_id: str) -> str:
    """Return *value*, an Ed25519 key in base64url, if *device_id* is its SHA-256 in hex."""
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise InvalidError("public key", "is not 32 bytes in base64url", "give the raw key")
    try:
        # 43 characters hold 32 bytes, and are written without the one sign of padding that is
        # missing.
        raw = base64.urlsafe_b64decode(value + "=")
    except binascii.Error as error:
        raise InvalidError("public key", "is not base64url", "give the raw key") from error
    if not is_strong_key(raw):
        problem = "is no Ed25519 key that proves anything"
        raise InvalidError("public key", problem, "make a new pair of keys")
    if hashlib.sha256(raw).hexdigest() != device_id:
        problem = "is not the one that the device id stands for"
        raise InvalidError("public key", problem, "the id is the SHA-256 of the key, in hex")
    return value


def _plain(name: str, value: object, longest: int, *, allowed: str) -> str:
    if not isinstance(value, str):
        raise InvalidError(name, f"is text, not {type(value).__name__}", "give a text")
    if not value or value != value.strip():
        raise InvalidError(name, "is empty, or has spaces around it", "give it without them")
    if len(value) > longest:
        raise InvalidError(name, f"has more than {longest:,} characters", "give a shorter one")
    # Somebody will read it and say yes or no: a mark of direction could make it look like another.
    if any(_is_hidden(each) and each not in allowed for each in value):
        problem = "holds characters that do not show"
        raise InvalidError(name, problem, "leave out controls and marks of direction")
    return value


def _is_hidden(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] == "C" or category in {"Zl", "Zp"}
