"""`AsyncDeviceAuth`: `DeviceAuth`, its verbs awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawstate.aio.part import Part

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clawstate.records.contract import Json
    from clawstate.records.merging import MergeResult
    from clawstate.stores.device_auth.document import HeldToken
    from clawstate.stores.device_auth.store import DeviceAuth

    _Part = Part[DeviceAuth]
else:
    _Part = Part


class AsyncDeviceAuth(_Part):
    """`DeviceAuth` in worker threads; each method is the one of that name."""

    @property
    def device_id(self) -> str | None:
        """The device whose tokens are used; `None` if there is neither a key pair nor a token."""
        return self._part().device_id

    async def tokens(self) -> dict[str, HeldToken]:
        """Return the tokens by their names; each is a text whose repr hides it."""
        return await self._run(self._part().tokens)

    async def get(self, name: str) -> HeldToken | None:
        """Return the token *name*, or `None`."""
        return await self._run(self._part().get, name)

    async def set(self, name: str, token: str, scopes: Iterable[str] = ()) -> None:
        """Keep *token* as *name*; with *scopes* in the form that OpenClaw reads."""
        return await self._run(self._part().set, name, token, scopes)

    async def merge(
        self, document: Json, *, replace: bool = False, dry_run: bool = False
    ) -> MergeResult:
        """Take over the tokens of *document*, in either form; tell which came in."""
        return await self._run(self._part().merge, document, replace=replace, dry_run=dry_run)

    async def remove(self, name: str) -> bool:
        """Forget the token *name*; False if there was none. Raises `ConflictError` as `set`."""
        return await self._run(self._part().remove, name)

    async def foreign(self) -> str | None:
        """Return the other device whose tokens lie here, or `None`."""
        return await self._run(self._part().foreign)

    async def discard_foreign(self) -> tuple[str, ...]:
        """Forget the tokens of another device, and return their names."""
        return await self._run(self._part().discard_foreign)
