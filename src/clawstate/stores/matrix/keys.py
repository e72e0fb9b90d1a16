"""`MatrixKeys`: the key that opens the database of a device's keys, and whose they are."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from clawstate.clock import Clock, system_clock, to_iso
from clawstate.errors import CorruptError, NotFoundError
from clawstate.records.contract import Collection, Json
from clawstate.stores.matrix.documents import (
    META_KEY,
    PICKLE_KEY,
    PICKLE_SECRET,
    secret_place,
)

if TYPE_CHECKING:
    from clawstate.encryption.sealer import FieldSealer

GONE: Final = (
    "restore it from a backup, or run the bot where they are; or remove the credential"
    " (`state.matrix.credentials().remove()`) and log in as a new device"
)
"""What can be done about keys that are not there."""

_BYTES = 32
_IDENTITY = "identityKey"
_KEYS = "nioKeys"  # of which device there were keys, in the document of the login


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """
    Whose keys a database of keys has: those of *device_id* of *user_id*.

    *identity_key* is the Ed25519 key of the device, once there is one: by it others know the
    device, and a database that has another one is not the one that belongs here.
    """

    user_id: str
    device_id: str
    identity_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PickleKey(KeyOwner):
    """The key that opens a database of keys, and whose keys these are."""

    pickle_key: str = field(repr=False)


class MatrixKeys:
    """
    The key of one database (`crypto/nio-key.json`), made once and never replaced.

    A damaged file gives its last good state with a `CorruptWarning`, and is not written. What
    *sealer* gives encrypts the key; whose keys they are can be read without it. Of which device
    there were keys is noted in the document of the login as well, *notes*, which stays when the
    keys are gone, and which all machines over one database share.
    """

    def __init__(
        self,
        records: Collection,
        *,
        clock: Clock = system_clock,
        sealer: Callable[[], FieldSealer | None] = lambda: None,
        notes: Collection | None = None,
    ) -> None:
        self._records = records
        self._clock = clock
        self._sealer = sealer
        self._notes = notes
        self._place = secret_place(records.spec, PICKLE_SECRET)

    def __repr__(self) -> str:
        return f"MatrixKeys({str(self._records.spec.path)!r})"

    def owner(self) -> KeyOwner | None:
        """Return whose keys they are, or `None` if there is no key yet; nothing is decrypted."""
        found = self._records.get(PICKLE_KEY)
        return None if found is None else _owner(found.value)

    def get(self) -> PickleKey | None:
        """
        Return the key, or `None` if there is none yet.

        Raises `UnavailableError`, `CorruptError` where it is encrypted and does not open.
        """
        found = self._records.get(PICKLE_KEY)
        return None if found is None else self._key(found.value)

    def require(self) -> PickleKey:
        """Return the key; raises `NotFoundError` without one."""
        found = self.get()
        if found is None:
            raise NotFoundError("key of", str(self._records.spec.path), "restore it from a backup")
        return found

    def make(self, homeserver: str, user_id: str, device_id: str) -> PickleKey:
        """
        Return the key for a device; whoever asks first, of all processes, makes it.

        Raises `CorruptError` where there were keys of this device before: others know it by them.
        """
        is_lost = self.noted_device() == device_id
        if is_lost and self.owner() is None:  # before a lock makes the directory
            raise self._loss_of(device_id)
        text = base64.b64encode(secrets.token_bytes(_BYTES)).decode()
        made = {
            "version": 1,
            "homeserver": homeserver,
            "userId": user_id,
            "deviceId": device_id,
            PICKLE_SECRET.name: text,
            "createdAt": to_iso(self._clock()),
        }
        if (sealer := self._sealer()) is not None:
            sealer.seal("", place=self._place)  # before the lock: a person may have to be asked

        def change(before: Json | None) -> Json:
            if before is not None:  # somebody was faster
                return before
            if is_lost:
                raise self._loss_of(device_id)
            # Asked again under the lock: who turns encryption on or off comes before or after.
            return PICKLE_SECRET.write(made, text, place=self._place, sealer=self._sealer())

        found = self._records.update(PICKLE_KEY, change)
        return self.require() if found is None else self._key(found.value)

    def note_identity(self, identity_key: str) -> None:
        """
        Note by which Ed25519 key others know the device.

        Raises `CorruptError` if it is known by another one: that is never replaced.
        """
        noted: dict[str, Json] = {}

        def change(before: Json | None) -> Json:
            known = (before or {}).get(_IDENTITY)
            if before is None or known not in {None, identity_key}:
                problem = "belongs to another database of keys"
                raise CorruptError(str(self._records.spec.path), problem, "restore both together")
            noted.update({"deviceId": before["deviceId"], _IDENTITY: identity_key})
            return {**before, _IDENTITY: identity_key}

        self._records.update(PICKLE_KEY, change)
        if self._notes is not None:
            self._notes.update(META_KEY, lambda old: {**(old or {}), _KEYS: noted})

    def noted_device(self) -> str | None:
        """Return the device of which there were keys here, or on another machine, if any."""
        found = None if self._notes is None else self._notes.get(META_KEY)
        noted = None if found is None else found.value.get(_KEYS)
        device = noted.get("deviceId") if isinstance(noted, dict) else None
        return device if isinstance(device, str) else None

    def _loss_of(self, device_id: str) -> CorruptError:
        where = str(self._records.spec.path.parent)
        return CorruptError(where, f"has lost the keys of the device {device_id}", GONE)

    def _key(self, document: Mapping[str, Json]) -> PickleKey:
        owner = _owner(document)
        return PickleKey(
            owner.user_id,
            owner.device_id,
            owner.identity_key,
            pickle_key=PICKLE_SECRET.read(document, place=self._place, sealer=self._sealer()),
        )


def _owner(document: Mapping[str, Json]) -> KeyOwner:
    identity = document.get(_IDENTITY)
    known = identity if isinstance(identity, str) else None
    return KeyOwner(document["userId"], document["deviceId"], known)
