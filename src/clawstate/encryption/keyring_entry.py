"""The key that the keyring of the operating system keeps (extra `keyring`)."""

from __future__ import annotations

import base64
import binascii
import importlib
from typing import Any

from clawstate.encryption.ciphertext import KEY_BYTES
from clawstate.errors import MissingExtraError, UnavailableError

SERVICE = "clawstate"


def make_entry(user: str, key: bytes) -> bytes:
    """
    Keep *key* as the entry *user*, and return it; a key that is there is returned instead.

    Raises `MissingExtraError`, and `UnavailableError` for a keyring that does not keep it.
    """
    if _call("get_password", SERVICE, user) is None:
        _call("set_password", SERVICE, user, base64.b64encode(key).decode())
    # Read back: some keyrings keep nothing, and say nothing; and another process may have been
    # first.
    return read_entry(user)


def read_entry(user: str) -> bytes:
    """Return the key in the entry *user*; raises `MissingExtraError`, `UnavailableError`."""
    text = _call("get_password", SERVICE, user)
    key = b""
    try:
        key = base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        problem = f"has no key {SERVICE}/{user}"
        raise UnavailableError("keyring", problem, "log in as the user who made it, or restore it")
    return key


def _call(verb: str, *arguments: str) -> Any:
    try:
        keyring = importlib.import_module("keyring")
    except ImportError as error:
        raise MissingExtraError("keyring", "keyring") from error
    try:
        return getattr(keyring, verb)(*arguments)
    except Exception as error:  # noqa: BLE001 - each backend has errors of its own
        problem = f"failed with {type(error).__name__}"
    # Outside of the handler: a backend's error may quote what it read.
    raise UnavailableError("keyring", problem, "unlock it, or encrypt with --key file")
