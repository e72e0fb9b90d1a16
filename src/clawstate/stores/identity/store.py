"""`Identity`: who this device is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from clawstate.access import signing
from clawstate.clock import Clock, from_ms, system_clock, to_ms
from clawstate.errors import ConflictError, CorruptError, InvalidError
from clawstate.health import FIX, Finding
from clawstate.interrupts import Mutex
from clawstate.records.contract import ABSENT, DELETE, Collection, Json, Mark, Revision, Versioned
from clawstate.stores.identity.document import (
    KEY,
    IdentityLayout,
    document_of,
    id_of,
    raw_public_key,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """
    What others may know of this device.

    *public_key* is the raw Ed25519 key in base64url, *device_id* its SHA-256 in hex, *created_at*
    in seconds since the epoch.
    """

    device_id: str
    public_key: str
    created_at: float | None = None


class ReadableKeys(Protocol):
    """Where another program keeps the key pair of this device."""

    def get(self, key: str, /) -> Versioned | None:
        """Return the key pair, as in its file, under `KEY`."""


class Identity:
    """
    The key pair of this device, made when it is first needed. Safe for threads and processes.

    The file is OpenClaw's (`identity/device.json`); it is read again whenever it changed. One that
    cannot be read is never overwritten: a new key pair would lock this device out everywhere.
    Where OpenClaw keeps the key pair elsewhere, that one is used from *shared*, which is only read.
    """

    def __init__(
        self,
        keys: Collection,
        *,
        shared: ReadableKeys | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._keys = keys
        self._shared = shared
        self._clock = clock
        self._mutex = Mutex()
        self._signer: tuple[Revision, Ed25519PrivateKey] | None = None

    def __repr__(self) -> str:
        return f"Identity({str(self._keys.spec.path)!r})"

    def load_or_create(self) -> DeviceIdentity:
        """
        Return who this device is; whoever asks first, of all processes, makes the key pair.

        Raises `CorruptError` for a file that holds no key pair.
        """
        return _identity(self._record())

    def get(self) -> DeviceIdentity | None:
        """Return who this device is, or `None` if it has no key pair yet; nothing is made."""
        found = self._find()
        return None if found is None else _identity(found)

    def merge(self, document: Json, *, dry_run: bool = False) -> bool:
        """
        Take the key pair of *document*, in the form of its file, if there is none yet.

        False if there is one, which stays; a *dry_run* writes nothing. Raises `InvalidError` for
        what holds no key pair, or two halves that do not belong together.
        """
        record = IdentityLayout().decode({} if document is None else document)[KEY]
        private = signing.load_private(record["privateKeyPem"])
        raw = raw_public_key(record["publicKeyPem"])
        if signing.raw_of(private) != raw:
            raise InvalidError("key pair", "has halves that do not belong together")
        if self._find() is not None:
            return False
        if not dry_run:
            try:
                self._keys.put(KEY, {**record, "deviceId": id_of(raw)}, expect=ABSENT)
            except ConflictError:  # somebody was faster
                return False
        return True

    @property
    def device_id(self) -> str:
        """The id by which gateways know this device: the SHA-256 of its public key, in hex."""
        return self.load_or_create().device_id

    @property
    def public_key(self) -> str:
        """The public key, in base64url."""
        return self.load_or_create().public_key

    def sign(self, message: bytes | str) -> str:
        """
        Return the signature of *message* in base64url; text is signed as UTF-8.

        Raises `CorruptError` if the private key does not belong to the public one.
        """
        return signing.to_base64url(self._private().sign(signing.as_bytes(message)))

    @staticmethod
    def verify(public_key: str, message: bytes | str, signature: str) -> bool:
        """Tell whether *signature* of *message* is by the owner of *public_key*, both base64url."""
        return signing.verify(public_key, message, signature)

    def mismatch(self) -> tuple[str, str] | None:
        """Return the id in the file and the one that its key has, if they differ."""
        found = self._keys.get(KEY)  # what is shared is not ours to correct
        if found is None or found.value["deviceId"] == _identity(found).device_id:
            return None
        return found.value["deviceId"], _identity(found).device_id

    def correct_id(self) -> bool:
        """Write the id that the key has where another stands; False if it is right."""
        if self.mismatch() is None:
            return False

        def change(before: Json | None) -> Json | Mark:
            if before is None:
                return DELETE
            return {**before, "deviceId": id_of(raw_public_key(before["publicKeyPem"]))}

        self._keys.update(KEY, change)
        return True

    def check(self) -> Iterator[Finding]:
        """Give an id that is not the key's; raises `CorruptError` as `sign`. No key is made."""
        if self._keys.get(KEY) is None:
            return

        def correct() -> str:
            self.correct_id()
            return "corrected"

        if (ids := self.mismatch()) is not None:
            path, remedy = str(self._keys.spec.path), f"{FIX} to write the id that the key has"
            message = f"its id {ids[0][:12]}… is not that of its key, {ids[1][:12]}…"
            yield Finding("device-id", "warning", path, message, remedy, repair=correct)
        self._private()  # raises for keys that do not belong together

    def _find(self) -> Versioned | None:
        found = self._keys.get(KEY)
        # Ours first: tokens that it was given belong to it, whoever comes later.
        return self._shared.get(KEY) if found is None and self._shared is not None else found

    def _record(self) -> Versioned:
        found = self._find()
        if found is None:
            public, private = signing.new_pair()
            made = document_of(public, private, created_at_ms=to_ms(self._clock()))
            try:
                # Never replaces: of two processes that begin at once, the later takes the key of
                # the earlier, for tokens may have been issued to that.
                return self._keys.put(KEY, made, expect=ABSENT)
            except ConflictError:
                found = self._keys.get(KEY)  # somebody was faster
        if found is None:
            raise ConflictError("identity", str(self._keys.spec.path))
        return found

    def _private(self) -> Ed25519PrivateKey:
        found = self._record()
        with self._mutex:
            known = self._signer
        # Loading a key takes longer than signing; the revision tells whether the file changed.
        if known is not None and known[0] == found.revision:
            return known[1]
        place = str(self._keys.spec.path)
        try:
            private = signing.load_private(found.value["privateKeyPem"])
        except InvalidError as error:
            raise CorruptError(place, error.problem) from error
        if signing.raw_of(private) != raw_public_key(found.value["publicKeyPem"]):
            raise CorruptError(place, "the private key does not belong to the public one")
        with self._mutex:
            self._signer = found.revision, private
        return private


def _identity(found: Versioned) -> DeviceIdentity:
    value: Mapping[str, Json] = found.value
    raw = raw_public_key(value["publicKeyPem"])
    created: Json = value.get("createdAtMs")
    is_moment = type(created) is int and abs(created) < 2**53
    moment = from_ms(created) if is_moment else None
    # The id is computed from the key, whatever the file says: gateways compute it as well.
    return DeviceIdentity(id_of(raw), signing.to_base64url(raw), moment)
