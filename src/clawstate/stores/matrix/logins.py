"""Which storage a login continues: its own, or after a new token the one that it had before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawstate.clock import from_iso
from clawstate.errors import InvalidError
from clawstate.records.contract import Json
from clawstate.stores.matrix.names import DEFAULT_ACCOUNT, MatrixLogin


@dataclass(frozen=True, slots=True)
class MatrixStoragePaths:
    """
    Where the storage of a login lies: in *root*.

    *storage_path* is the file of `BotStorage`, *crypto_path* the directory of the keys, *meta_path*
    says whose the storage is. *token_hash* is the name of *root*, which after a new login can be
    that of an earlier token.
    """

    root: Path
    account_key: str
    pair_key: str
    token_hash: str

    @property
    def storage_path(self) -> Path:
        """The file of the sync token and the values."""
        return self.root / "bot-storage.json"

    @property
    def crypto_path(self) -> Path:
        """The directory of the keys."""
        return self.root / "crypto"

    @property
    def meta_path(self) -> Path:
        """The file that says whose the storage is."""
        return self.root / "storage-meta.json"


@dataclass(frozen=True, slots=True)
class Found:
    """A storage of this user that is there: its *name*, whose it says it is, and its keys."""

    name: str
    login: Mapping[str, Any] | None
    has_keys: bool = False
    """Whether keys of ours lie in it."""
    device_id: str | None = None
    """The device whose keys these are."""


def choose(login: MatrixLogin, storages: Iterable[Found]) -> str:
    """
    Return the name of the storage that *login* continues, of *storages* or a new one.

    A token that was used before has its own. After a new login it is the newest of the same server
    and user, those with keys first: without its keys a device cannot read what was sent to it.
    """
    ours = [each for each in storages if _is_of(login, each)]
    if not ours:
        return login.token_hash
    return max(ours, key=lambda each: _rank(login, each)).name


def document_of(login: MatrixLogin, *, now: str) -> dict[str, Json]:
    """Return what tells whose a storage is, as OpenClaw writes it at each start."""
    found = {
        "homeserver": login.homeserver,
        "userId": login.user_id,
        "accountId": login.account_id or DEFAULT_ACCOUNT,
        "accessTokenHash": login.token_hash,
        "createdAt": now,
    }
    return found if login.device_id is None else {**found, "deviceId": login.device_id}


def _is_of(login: MatrixLogin, storage: Found) -> bool:
    if storage.name == login.token_hash:
        return True
    # Keys of another device are of no use to this one, and two devices would share a position.
    if login.device_id and storage.device_id and login.device_id != storage.device_id:
        return False
    told = storage.login or {}
    return login.is_same_user(told.get("homeserver"), told.get("userId"))


def _rank(login: MatrixLogin, storage: Found) -> tuple[Any, ...]:
    told = storage.login or {}
    is_linked = told.get("accessTokenHash") == login.token_hash
    is_own = storage.name == login.token_hash
    is_device = login.device_id is not None and storage.device_id == login.device_id
    # An OpenClaw may have begun an empty storage of its own for the token since it was linked.
    return (
        is_device,
        is_linked and storage.has_keys,
        is_own,
        is_linked,
        storage.has_keys,
        _creation(told),
        storage.name,
    )


def _creation(told: Mapping[str, Any]) -> float:
    with suppress(InvalidError):
        created = told.get("createdAt")
        return from_iso(created) if isinstance(created, str) else 0.0
    return 0.0
