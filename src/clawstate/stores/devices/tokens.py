"""Device tokens: 256 bits at random, of which only a digest is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from clawstate.stores.devices.device import DeviceToken

_BYTES = 32
_LONGEST = 1024  # characters of what is given as a token
_NOBODY = hashlib.sha256(secrets.token_bytes(_BYTES)).hexdigest()


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
    given = digest_of(str(token) if is_possible else "").encode()
    found = None
    hmac.compare_digest(_NOBODY.encode(), given)
    for each in tokens.values():
        if hmac.compare_digest(each.hash.encode("utf-8", "replace"), given) and is_possible:
            found = each
    return found
