"""`AsyncSessions`: `Sessions`, its verbs awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from clawstate.aio.part import Part
from clawstate.paging import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

    from clawstate.health import Finding
    from clawstate.paging import Page
    from clawstate.records.merging import MergeResult
    from clawstate.stores.sessions.archive import Archived
    from clawstate.stores.sessions.changes import StoreChange
    from clawstate.stores.sessions.entry import Document, SessionEntry
    from clawstate.stores.sessions.merging import EntryChange
    from clawstate.stores.sessions.selection import Pruned
    from clawstate.stores.sessions.service import Sessions

    _Part = Part[Sessions]
else:
    _Part = Part

A = TypeVar("A")


class AsyncSessions(_Part):
    """`Sessions` in worker threads; each method is the one of that name."""

    async def resolve(self, key: str) -> SessionEntry:
        """Return the session of *key*; a new one is on disk before it is returned."""
        return await self._run(self._part().resolve, key)

    async def get(self, key: str) -> SessionEntry | None:
        """Return the session of *key* with all that is kept about it, or `None`."""
        return await self._run(self._part().get, key)

    async def require(self, key: str) -> SessionEntry:
        """Return the session of *key*; raises `NotFoundError`."""
        return await self._run(self._part().require, key)

    async def entries(self, active_within: float | None = None) -> tuple[SessionEntry, ...]:
        """Return the sessions, the one updated last first, as the index has them."""
        return await self._run(self._part().entries, active_within)

    async def page(
        self, limit: int = PAGE, after: str | None = None, *, active_within: float | None = None
    ) -> Page[SessionEntry]:
        """Return a page of what `entries` gives; see `Sessions.page`."""
        return await self._run(self._part().page, limit, after, active_within=active_within)

    async def update(self, key: str, change: EntryChange | Mapping[str, Any]) -> SessionEntry:
        """Change the entry of *key* and return it; raises `NotFoundError` when there is none."""
        return await self._run(self._part().update, key, change)

    async def change_all(self, change: StoreChange[A]) -> A:
        """Replace all entries at once by what *change* makes of them, and return its answer."""
        return await self._run(self._part().change_all, change)

    async def update_store(self, mutator: Callable[[dict[str, Document]], A]) -> A:
        """Let *mutator* alter all entries in place, in one step, and return what it returns."""
        return await self._run(self._part().update_store, mutator)

    async def merge(
        self, entries: Mapping[str, Any], *, replace: bool = False, dry_run: bool = False
    ) -> MergeResult:
        """Await `Sessions.merge`."""
        return await self._run(self._part().merge, entries, replace=replace, dry_run=dry_run)

    async def reset(self, key: str) -> SessionEntry:
        """Begin the session of *key* anew, with another session id, and return it."""
        return await self._run(self._part().reset, key)

    async def delete(self, key: str) -> bool:
        """Await `Sessions.delete`."""
        return await self._run(self._part().delete, key)

    async def restore(self, name: str) -> SessionEntry:
        """Bring an archived session back, and return it."""
        return await self._run(self._part().restore, name)

    async def archived(self) -> tuple[Archived, ...]:
        """Return what can be restored, the newest first."""
        return await self._run(self._part().archived)

    async def archive_page(self, limit: int = PAGE, after: str | None = None) -> Page[Archived]:
        """Return a page of what `archived` gives, as `page` does of the sessions."""
        return await self._run(self._part().archive_page, limit, after)

    async def prune(
        self,
        *,
        older_than: float | None = None,
        max_entries: int | None = None,
        max_disk_bytes: int | None = None,
        dry_run: bool = False,
        enforce: bool = False,
        spare: Collection[str] = (),
    ) -> Pruned:
        """Await `Sessions.prune`."""
        return await self._run(
            self._part().prune,
            older_than=older_than,
            max_entries=max_entries,
            max_disk_bytes=max_disk_bytes,
            dry_run=dry_run,
            enforce=enforce,
            spare=spare,
        )

    async def named(self) -> frozenset[str]:
        """Return the ids of all sessions that are here, or can be restored."""
        return await self._run(self._part().named)

    async def ended(self) -> frozenset[str]:
        """Return the ids of sessions that are gone for good, but for their messages."""
        return await self._run(self._part().ended)

    async def collect(self) -> frozenset[str]:
        """Let go of all that `ended` gives, and return it; each pruning does that by itself."""
        return await self._run(self._part().collect)

    async def check(self) -> tuple[Finding, ...]:
        """Return what is not as it should be; nothing is changed."""
        return await self._run(self._part().check)

    async def repair(self) -> tuple[Finding, ...]:
        """Mend what loses nothing, and return what was mended."""
        return await self._run(self._part().repair)
