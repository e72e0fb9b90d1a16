"""`MatrixKeys`: the key that opens the database of a device's keys, and whose they are."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from clawstate.clock import Clock, system_clock, to_iso
from clawstate.errors import ConflictError, CorruptError, NotFoundError
from clawstate.records.contract import ABSENT, Collection, Json
from clawstate.stores.matrix.documents import PICKLE_KEY

_BYTES = 32
_IDENTITY = "identityKey"


@dataclass(frozen=True, slots=True)
class PickleKey:
    """
    The key of a database of keys, those of *device_id* of *user_id*.

    *identity_key* is the Ed25519 key of the device, once there is one: by it others know the
    device, and a database that has another one is not the one that belongs to this key.
    """

    user_id: str
    device_id: str
    pickle_key: str = field(repr=False)
    identity_key: str | None = None


class MatrixKeys:
    """
    The key of one database (`crypto/nio-key.json`), made once and never replaced.

    A damaged file gives its last good state with a `CorruptWarning`, and is not written.
    """

    def __init__(self, records: Collection, *, clock: Clock = system_clock) -> None:
        self._records = records
        self._clock = clock

    def __repr__(self) -> str:
        return f"MatrixKeys({str(self._records.spec.path)!r})"

    def get(self) -> PickleKey | None:
        """Return the key, or `None` if there is none yet."""
        found = self._records.get(PICKLE_KEY)
        return None if found is None else _key(found.value)

    def require(self) -> PickleKey:
        """Return the key; raises `NotFoundError` without one."""
        found = self.get()
        if found is None:
            raise NotFoundError("key of", str(self._records.spec.path), "restore it from a backup")
        return found

    def make(self, homeserver: str, user_id: str, device_id: str) -> PickleKey:
        """Return the key for a device; whoever asks first, of all processes, makes it."""
        made = {
            "version": 1,
            "homeserver": homeserver,
            "userId": user_id,
            "deviceId": device_id,
            "pickleKey": base64.b64encode(secrets.token_bytes(_BYTES)).decode(),
            "createdAt": to_iso(self._clock()),
        }
        try:
            return _key(self._records.put(PICKLE_KEY, made, expect=ABSENT).value)
        except ConflictError:  # somebody was faster
            return self.require()

    def note_identity(self, identity_key: str) -> None:
        """
        Note by which Ed25519 key others know the device.

        Raises `CorruptError` if it is known by another one: that is never replaced.
        """

        def change(before: Json | None) -> Json:
            known = (before or {}).get(_IDENTITY)
            if before is None or known not in {None, identity_key}:
                problem = "belongs to another database of keys"
                raise CorruptError(str(self._records.spec.path), problem, "restore both together")
            return {**before, _IDENTITY: identity_key}

        self._records.update(PICKLE_KEY, change)


def _key(document: Mapping[str, Json]) -> PickleKey:
    identity = document.get(_IDENTITY)
    return PickleKey(
        document["userId"],
        document["deviceId"],
        document["pickleKey"],
        identity if isinstance(identity, str) else None,
    )
