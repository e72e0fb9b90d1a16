"""`AsyncDedupe`: `PersistentDedupe`, its verbs awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawstate.aio.part import Part
from clawstate.paging import PAGE
from clawstate.stores.dedupe.namespaces import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from clawstate.paging import Page
    from clawstate.records.merging import MergeResult
    from clawstate.stores.dedupe.service import PersistentDedupe
    from clawstate.stores.dedupe.statistics import DedupeStatistics, NamespaceStatistics

    _Part = Part[PersistentDedupe]
else:
    _Part = Part


class AsyncDedupe(_Part):
    """`PersistentDedupe` in worker threads; each method is the one of that name."""

    async def check_and_record(
        self, key: str, namespace: str = DEFAULT, *, fail_open: bool | None = None
    ) -> bool:
        """Record *key* and return True if it is new, else False."""
        return await self._run(self._part().check_and_record, key, namespace, fail_open=fail_open)

    async def check_many(
        self, keys: Iterable[str], namespace: str = DEFAULT, *, fail_open: bool | None = None
    ) -> list[bool]:
        """Await `PersistentDedupe.check_many`."""
        return await self._run(self._part().check_many, keys, namespace, fail_open=fail_open)

    async def seen(self, key: str, namespace: str = DEFAULT) -> bool:
        """Tell whether *key* is marked, and record nothing; raises what reading raises."""
        return await self._run(self._part().seen, key, namespace)

    async def merge(
        self, marks: Mapping[str, Any], namespace: str = DEFAULT, *, dry_run: bool = False
    ) -> MergeResult:
        """Await `PersistentDedupe.merge`."""
        return await self._run(self._part().merge, marks, namespace, dry_run=dry_run)

    async def forget(self, key: str, namespace: str = DEFAULT) -> bool:
        """Remove the mark of *key*, which is new again; False if there was none."""
        return await self._run(self._part().forget, key, namespace)

    async def warm_up(self, namespace: str = DEFAULT) -> int:
        """Remember the newest marks of *namespace* in memory, and return how many."""
        return await self._run(self._part().warm_up, namespace)

    async def prune(self, namespace: str | None = None) -> int:
        """Remove expired marks, and the oldest of those too many, and return how many went."""
        return await self._run(self._part().prune, namespace)

    async def namespaces(self) -> tuple[str, ...]:
        """Return the namespaces that have, or had, marks, in order."""
        return await self._run(self._part().namespaces)

    async def page(self, limit: int = PAGE, after: str | None = None) -> Page[str]:
        """Return a page of what `namespaces` gives, in the order of the names of their files."""
        return await self._run(self._part().page, limit, after)

    async def clear_memory(self) -> None:
        """Forget what is remembered in memory; the marks on disk stay."""
        return await self._run(self._part().clear_memory)

    async def survey(self, namespace: str = DEFAULT) -> NamespaceStatistics:
        """Return the size of *namespace*, and what became of the calls; raises as `seen` does."""
        return await self._run(self._part().survey, namespace)

    async def statistics(self) -> DedupeStatistics:
        """Await `PersistentDedupe.statistics`."""
        return await self._run(self._part().statistics)
