"""`AsyncDevices`: `Devices`, its verbs awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawstate.access.scopes import OPERATOR
from clawstate.aio.part import Part
from clawstate.paging import PAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clawstate.paging import Page
    from clawstate.records.contract import Json
    from clawstate.records.merging import MergeResult
    from clawstate.stores.devices.device import Device, IssuedToken
    from clawstate.stores.devices.store import Devices

    _Part = Part[Devices]
else:
    _Part = Part


class AsyncDevices(_Part):
    """`Devices` in worker threads; each method is the one of that name."""

    async def paired(self, *, revoked: bool = False) -> tuple[Device, ...]:
        """Return the devices that are let in, the oldest first; with *revoked* those as well."""
        return await self._run(self._part().paired, revoked=revoked)

    async def page(
        self, limit: int = PAGE, after: str | None = None, *, revoked: bool = False
    ) -> Page[Device]:
        """Return a page of what `paired` gives: the *limit* newest, or those behind *after*."""
        return await self._run(self._part().page, limit, after, revoked=revoked)

    async def get(self, device_id: str) -> Device | None:
        """Return the device *device_id*, also a revoked one."""
        return await self._run(self._part().get, device_id)

    async def issue(
        self,
        *,
        device_id: str,
        user_id: str,
        account_id: str | None = None,
        name: str | None = None,
        public_key: str | None = None,
        scopes: Iterable[str] | None = None,
        caller_scopes: Iterable[str] | None = None,
        role: str = OPERATOR,
        lifetime: float | None = None,
        request: str | None = None,
    ) -> IssuedToken:
        """Let a device in and return its token, which is never shown again."""
        return await self._run(
            self._part().issue,
            device_id=device_id,
            user_id=user_id,
            account_id=account_id,
            name=name,
            public_key=public_key,
            scopes=scopes,
            caller_scopes=caller_scopes,
            role=role,
            lifetime=lifetime,
            request=request,
        )

    async def verify(
        self, device_id: str, token: str, scopes: Iterable[str] = (), *, role: str | None = None
    ) -> Device | None:
        """Return the device *device_id* if *token* is good for all of *scopes*, else `None`."""
        return await self._run(self._part().verify, device_id, token, scopes, role=role)

    async def rotate(
        self,
        device_id: str,
        *,
        scopes: Iterable[str] | None = None,
        caller_scopes: Iterable[str] | None = None,
        role: str = OPERATOR,
    ) -> IssuedToken:
        """Give a device another token in the place of that of *role*, and return it, once."""
        return await self._run(
            self._part().rotate, device_id, scopes=scopes, caller_scopes=caller_scopes, role=role
        )

    async def merge(
        self, documents: Mapping[str, Json], *, replace: bool = False, dry_run: bool = False
    ) -> MergeResult:
        """Await `Devices.merge`."""
        return await self._run(self._part().merge, documents, replace=replace, dry_run=dry_run)

    async def revoke(self, device_id: str, *, role: str | None = None) -> bool:
        """Let a device in no more, or not in *role*; False if it was not."""
        return await self._run(self._part().revoke, device_id, role=role)

    async def rename(self, device_id: str, name: str) -> Device:
        """Call a device *name*, and return it; raises `NotFoundError`, `InvalidError`."""
        return await self._run(self._part().rename, device_id, name)

    async def remove(self, device_id: str) -> bool:
        """Forget a device, which is let in no more; False if there was none."""
        return await self._run(self._part().remove, device_id)

    async def refuse(self, request: str, device_id: str) -> None:
        """Await `Devices.refuse`."""
        return await self._run(self._part().refuse, request, device_id)

    async def was_used(self, request: str, device_id: str | None = None) -> bool:
        """Tell whether the mark *request* let in, or was refused to, that device or any."""
        return await self._run(self._part().was_used, request, device_id)

    async def malformed(self) -> tuple[str, ...]:
        """Return the ids of devices whose records cannot be used; they are not let in."""
        return await self._run(self._part().malformed)
