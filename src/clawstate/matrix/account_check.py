"""Whether a database of keys is the one that belongs to a device, before anybody uses it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from nio.crypto import OlmAccount

from clawstate.errors import ConflictError, CorruptError
from clawstate.files.atomic import make_private_dir, write_atomic
from clawstate.stores.matrix import PickleKey
from clawstate.stores.matrix.key_database import (
    ANEW,
    RESTORE,
    reading,
    require_present,
    table_names,
)


def require_usable(path: Path, key: PickleKey) -> None:
    """
    Make sure that the database at *path* can be used with *key*; make an empty one if none was.

    Raises `CorruptError` for one that is gone, damaged, of another device, or does not open with
    *key*; `VersionError` for a newer one, `ConflictError` for the keys of other devices alone,
    `UnavailableError`. Nothing of a database that was there is changed.
    """
    make_private_dir(path.parent)
    size = require_present(path, key)
    if size is None:
        # Private from its birth; matrix-nio would make it with the mode that the umask leaves.
        write_atomic(path, b"")
        return
    identity = identity_of(path, key)
    if identity is None and key.identity_key is not None:
        problem = f"has no keys of the device {key.device_id}, which were in it"
        raise CorruptError(str(path), problem, f"{RESTORE}, {ANEW}")
    if identity is not None and key.identity_key not in {None, identity}:
        problem = f"has other keys of the device {key.device_id} than it had"
        raise CorruptError(str(path), problem, RESTORE)


def identity_of(path: Path, key: PickleKey) -> str | None:
    """Return the Ed25519 key of the device in the database at *path*, or `None` without one."""
    with reading(path) as connection:
        account = _account(connection, path, key)
    return None if account is None else _open(account, path, key)


def _account(connection: sqlite3.Connection, path: Path, key: PickleKey) -> bytes | str | None:
    if "accounts" not in table_names(connection):
        return None
    rows = connection.execute("SELECT user_id, device_id, account FROM accounts").fetchall()
    for user, device, account in rows:
        if (user, device) == (key.user_id, key.device_id):
            found: bytes | str = account
            return found
    if rows:
        hint = f"they are of {rows[0][1]} of {rows[0][0]}; log in as that device, {ANEW}"
        raise ConflictError("keys in", str(path), hint)
    return None


def _open(account: bytes | str, path: Path, key: PickleKey) -> str:
    raw = account.encode() if isinstance(account, str) else bytes(account)
    try:
        opened = OlmAccount.from_pickle(raw, key.pickle_key)
    except Exception:  # noqa: BLE001 - vodozemac's errors have no common class
        # The cause is dropped: it tells of ciphertext, and nobody knows what of the key.
        problem = "does not open with the key in nio-key.json"
        raise CorruptError(str(path), problem, RESTORE) from None
    return str(opened.identity_keys["ed25519"])
