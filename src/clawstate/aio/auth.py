"""`AsyncAuthProfiles`: `AuthProfiles`, its verbs awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawstate.aio.part import Part
from clawstate.paging import PAGE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Literal

    from clawstate.health import Finding
    from clawstate.paging import Page
    from clawstate.records.contract import Json
    from clawstate.records.merging import MergeResult
    from clawstate.stores.auth.availability import Standing
    from clawstate.stores.auth.credentials import Credential, Problem, Profile
    from clawstate.stores.auth.legacy import Imported
    from clawstate.stores.auth.profiles import AuthProfiles
    from clawstate.stores.auth.refresh import Exchange
    from clawstate.stores.auth.usage import Usage

    _Part = Part[AuthProfiles]
else:
    _Part = Part


class AsyncAuthProfiles(_Part):
    """`AuthProfiles` in worker threads; each method is the one of that name."""

    async def get(self, profile_id: str) -> Credential | None:
        """Return a credential, or `None` if there is none that can be understood."""
        return await self._run(self._part().get, profile_id)

    async def require(self, profile_id: str) -> Credential:
        """Return a credential; raises `NotFoundError`, or `InvalidError` for a broken one."""
        return await self._run(self._part().require, profile_id)

    async def profiles(self) -> tuple[Profile, ...]:
        """Return all profiles that can be understood, by id."""
        return await self._run(self._part().profiles)

    async def page(self, limit: int = PAGE, after: str | None = None) -> Page[Profile]:
        """Return a page of what `profiles` gives: the first *limit*, or those behind *after*."""
        return await self._run(self._part().page, limit, after)

    async def upsert(
        self, profile_id: str, credential: Mapping[str, Any] | Credential
    ) -> Credential:
        """Keep *credential*, a value or its JSON object, under *profile_id*, and return it."""
        return await self._run(self._part().upsert, profile_id, credential)

    async def keep(
        self, profile_id: str, credential: Mapping[str, Any] | Credential
    ) -> dict[str, Json]:
        """Do what `upsert` does, and return the record as it is kept, secrets included."""
        return await self._run(self._part().keep, profile_id, credential)

    async def remove(self, profile_id: str) -> bool:
        """Remove a profile with its usage; False if it was not there."""
        return await self._run(self._part().remove, profile_id)

    async def reload(self) -> None:
        """Drop what is held in memory: everything is read and resolved again when asked for."""
        return await self._run(self._part().reload)

    async def secret(self, profile_id: str) -> str:
        """Return what a request is made with: the key, the token or the access token."""
        return await self._run(self._part().secret, profile_id)

    async def order(self, provider: str, *, preferred: str | None = None) -> tuple[str, ...]:
        """Return the ids of the usable profiles of *provider*, the one to try first in front."""
        return await self._run(self._part().order, provider, preferred=preferred)

    async def stored_order(self, provider: str) -> tuple[str, ...] | None:
        """Return the order that was set for *provider*, or `None`."""
        return await self._run(self._part().stored_order, provider)

    async def set_order(self, provider: str, ids: Sequence[str] | None) -> None:
        """Await `AuthProfiles.set_order`."""
        return await self._run(self._part().set_order, provider, ids)

    async def usage(self, profile_id: str) -> Usage:
        """Return how a profile fared; windows that are over are still in it."""
        return await self._run(self._part().usage, profile_id)

    async def rests_until(self, profile_id: str) -> float | None:
        """Await `AuthProfiles.rests_until`."""
        return await self._run(self._part().rests_until, profile_id)

    async def standing(self, profile: Profile) -> Standing:
        """Return whether *profile*, one of `profiles`, can be used now, and why not."""
        return await self._run(self._part().standing, profile)

    async def mark_used(self, profile_id: str) -> Usage:
        """Note a success now, which ends all windows and counts. Raises `NotFoundError`."""
        return await self._run(self._part().mark_used, profile_id)

    async def mark_failure(self, profile_id: str, reason: str) -> Usage:
        """Await `AuthProfiles.mark_failure`."""
        return await self._run(self._part().mark_failure, profile_id, reason)

    async def mark_good(self, profile_id: str) -> None:
        """Note that this profile is the one of its provider that worked last."""
        return await self._run(self._part().mark_good, profile_id)

    async def last_good(self, provider: str) -> str | None:
        """Return the profile of *provider* that worked last."""
        return await self._run(self._part().last_good, provider)

    async def refresh(
        self, profile_id: str, refresher: Exchange, *, force: bool = False
    ) -> Credential:
        """Await `AuthProfiles.refresh`."""
        return await self._run(self._part().refresh, profile_id, refresher, force=force)

    async def merge(
        self, document: Mapping[str, Json], *, replace: bool = False, dry_run: bool = False
    ) -> MergeResult:
        """Await `AuthProfiles.merge`."""
        return await self._run(self._part().merge, document, replace=replace, dry_run=dry_run)

    async def import_legacy(self) -> Imported:
        """Take over the profiles in files of older releases, which stay as they are."""
        return await self._run(self._part().import_legacy)

    async def document(self, view: Literal["own", "merged"] = "own") -> dict[str, Json]:
        """Await `AuthProfiles.document`."""
        return await self._run(self._part().document, view)

    async def problems(self) -> tuple[Problem, ...]:
        """Return the own entries that are kept and not used, and why."""
        return await self._run(self._part().problems)

    async def check(self) -> tuple[Finding, ...]:
        """Return what is not as it should be about the own profiles; nothing is changed."""
        return await self._run(self._part().check)
