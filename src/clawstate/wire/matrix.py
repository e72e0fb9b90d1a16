"""The JSON form of what a Matrix client keeps; no token is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clawstate.stores.matrix.credentials import MatrixCredential
from clawstate.stores.matrix.logins import MatrixStoragePaths
from clawstate.wire.members import Members, times


def write_paths(paths: MatrixStoragePaths) -> dict[str, Any]:
    """Return where a storage lies."""
    return {
        "storagePath": str(paths.storage_path),
        "cryptoPath": str(paths.crypto_path),
        "metaPath": str(paths.meta_path),
        "rootDir": str(paths.root),
        "accountKey": paths.account_key,
        "pairKey": paths.pair_key,
        "tokenHash": paths.token_hash,
    }


def read_paths(document: Any) -> MatrixStoragePaths:
    """Return the places of *document*."""
    told = Members(document, "paths")
    return MatrixStoragePaths(
        Path(told.text("rootDir")),
        told.text("accountKey"),
        told.text("pairKey"),
        told.text("tokenHash"),
    )


# Without the token: a form is shown, logged and sent on.
def write_credential(credential: MatrixCredential) -> dict[str, Any]:
    """Return who is logged in where."""
    return {
        "homeserver": credential.homeserver,
        "userId": credential.user_id,
        "deviceId": credential.device_id,
        **times(createdAt=credential.created_at, lastUsedAt=credential.last_used_at),
    }
