"""`AsyncPairing`: `Pairing`, its verbs awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawstate.aio.part import Part
from clawstate.paging import PAGE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clawstate.paging import Page
    from clawstate.stores.pairing.contract import Issued
    from clawstate.stores.pairing.request import PairingRequest
    from clawstate.stores.pairing.store import Pairing

    _Part = Part[Pairing]
else:
    _Part = Part


class AsyncPairing(_Part):
    """`Pairing` in worker threads; each method is the one of that name."""

    async def request(
        self,
        *,
        user_id: str,
        device_id: str,
        account_id: str | None = None,
        scopes: Iterable[str] | None = None,
        name: str | None = None,
        public_key: str | None = None,
    ) -> PairingRequest:
        """Ask to pair a device, and return the request with the code to show."""
        return await self._run(
            self._part().request,
            user_id=user_id,
            device_id=device_id,
            account_id=account_id,
            scopes=scopes,
            name=name,
            public_key=public_key,
        )

    async def pending(self) -> tuple[PairingRequest, ...]:
        """Return the requests that wait, the oldest first."""
        return await self._run(self._part().pending)

    async def page(self, limit: int = PAGE, after: str | None = None) -> Page[PairingRequest]:
        """Return a page of what `pending` gives: the *limit* newest, or those behind *after*."""
        return await self._run(self._part().page, limit, after)

    async def expires_at(self, request: PairingRequest) -> float:
        """Return when *request* ends, in seconds since the epoch."""
        return await self._run(self._part().expires_at, request)

    async def approve(
        self,
        code: str,
        *,
        scopes: Iterable[str] | None = None,
        caller_scopes: Iterable[str] | None = None,
        source: str = "local",
    ) -> Issued:
        """Await `Pairing.approve`."""
        return await self._run(
            self._part().approve, code, scopes=scopes, caller_scopes=caller_scopes, source=source
        )

    async def approve_request(
        self,
        device_id: str,
        *,
        user_id: str | None = None,
        scopes: Iterable[str] | None = None,
        caller_scopes: Iterable[str] | None = None,
    ) -> Issued:
        """Let in the device *device_id* as `approve` does, without its code."""
        return await self._run(
            self._part().approve_request,
            device_id,
            user_id=user_id,
            scopes=scopes,
            caller_scopes=caller_scopes,
        )

    async def reject_request(self, device_id: str, *, user_id: str | None = None) -> PairingRequest:
        """Remove the request of *device_id* and return it, as `reject` does, without its code."""
        return await self._run(self._part().reject_request, device_id, user_id=user_id)

    async def reject(self, code: str, *, source: str = "local") -> PairingRequest:
        """Remove the request with *code* and return it; nobody can approve it any more."""
        return await self._run(self._part().reject, code, source=source)

    async def prune(self) -> int:
        """Remove the requests that are expired, used or malformed, and return how many."""
        return await self._run(self._part().prune)

    async def stale(self) -> int:
        """Return how many requests `prune` would remove."""
        return await self._run(self._part().stale)
