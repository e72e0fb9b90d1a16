"""`AsyncIdentity`: `Identity`, its verbs awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawstate.aio.part import Part

if TYPE_CHECKING:
    from clawstate.records.contract import Json
    from clawstate.stores.identity.store import DeviceIdentity, Identity

    _Part = Part[Identity]
else:
    _Part = Part


class AsyncIdentity(_Part):
    """`Identity` in worker threads; each method is the one of that name."""

    async def load_or_create(self) -> DeviceIdentity:
        """Return who this device is; whoever asks first, of all processes, makes the key pair."""
        return await self._run(self._part().load_or_create)

    async def known(self) -> DeviceIdentity | None:
        """Return who this device is, or `None` if it has no key pair yet; nothing is made."""
        return await self._run(self._part().known)

    async def merge(self, document: Json, *, dry_run: bool = False) -> bool:
        """Be the device of *document*, a key pair as it lies in its file, if this is none yet."""
        return await self._run(self._part().merge, document, dry_run=dry_run)

    @property
    def device_id(self) -> str:
        """The id by which gateways know this device: the SHA-256 of its public key, in hex."""
        return self._part().device_id

    @property
    def public_key(self) -> str:
        """The public key, in base64url."""
        return self._part().public_key

    async def sign(self, message: bytes | str) -> str:
        """Return the signature of *message* in base64url; text is signed as UTF-8."""
        return await self._run(self._part().sign, message)

    async def mismatch(self) -> tuple[str, str] | None:
        """Return the id in the file and the one that its key has, if they differ."""
        return await self._run(self._part().mismatch)

    async def correct_id(self) -> bool:
        """Write the id that the key has where another stands; False if it is right."""
        return await self._run(self._part().correct_id)
