"""`AsyncMemory`: `Memory`, its verbs awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawstate.aio.part import Part
from clawstate.paging import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from clawstate.memory.records import Hit, MemoryRecord
    from clawstate.memory.search import Mode
    from clawstate.memory.service import Memory, Progress
    from clawstate.paging import Page

    _Part = Part[Memory]
else:
    _Part = Part


class AsyncMemory(_Part):
    """`Memory` in worker threads; each method is the one of that name."""

    async def add(
        self,
        text: str,
        *,
        source: str | None = None,
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        importance: float = 0.7,
        category: str = "other",
        ttl: float | None = None,
        namespace: str = "default",
        thread: str | None = None,
        position: int | None = None,
    ) -> str:
        """Remember *text* and return its id; it is on disk by then."""
        return await self._run(
            self._part().add,
            text,
            source=source,
            tags=tags,
            metadata=metadata,
            importance=importance,
            category=category,
            ttl=ttl,
            namespace=namespace,
            thread=thread,
            position=position,
        )

    async def add_many(
        self, records: Iterable[MemoryRecord | Mapping[str, Any]], progress: Progress | None = None
    ) -> list[str]:
        """Await `Memory.add_many`."""
        return await self._run(self._part().add_many, records, progress)

    async def get(self, record_id: str) -> MemoryRecord | None:
        """Return the record, or None when it is not kept or has expired."""
        return await self._run(self._part().get, record_id)

    async def get_many(self, record_ids: Sequence[str]) -> dict[str, MemoryRecord]:
        """Return those of the records that are kept and not expired, by id."""
        return await self._run(self._part().get_many, record_ids)

    async def require(self, record_id: str) -> MemoryRecord:
        """Return the record; raises `NotFoundError` when it is not kept or has expired."""
        return await self._run(self._part().require, record_id)

    async def update(
        self, record_id: str, *, expected_updated_at: float | None = None, **changes: Any
    ) -> MemoryRecord:
        """Change the fields named in *changes* (the names of `add`) and return the new record."""
        return await self._run(
            self._part().update, record_id, expected_updated_at=expected_updated_at, **changes
        )

    async def delete(self, record_id: str) -> bool:
        """Forget the record; return whether it was kept."""
        return await self._run(self._part().delete, record_id)

    async def delete_many(self, record_ids: Sequence[str]) -> int:
        """Forget the records, in one step; return how many were kept."""
        return await self._run(self._part().delete_many, record_ids)

    async def forget_source(self, source: str, *, namespace: str = "default") -> int:
        """Forget what was imported from *source*, and what else names it; return how many."""
        return await self._run(self._part().forget_source, source, namespace=namespace)

    async def records(
        self,
        *,
        where: Mapping[str, Any] | None = None,
        namespace: str | None = "default",
        tags: Iterable[str] | None = None,
        source: str | None = None,
        since: float | str | datetime | None = None,
        until: float | str | datetime | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> list[MemoryRecord]:
        """Await `Memory.records`."""
        return await self._run(
            self._part().records,
            where=where,
            namespace=namespace,
            tags=tags,
            source=source,
            since=since,
            until=until,
            after=after,
            limit=limit,
        )

    async def page(
        self,
        limit: int = PAGE,
        after: str | None = None,
        *,
        where: Mapping[str, Any] | None = None,
        namespace: str | None = "default",
        tags: Iterable[str] | None = None,
        source: str | None = None,
        since: float | str | datetime | None = None,
        until: float | str | datetime | None = None,
    ) -> Page[MemoryRecord]:
        """Await `Memory.page`."""
        return await self._run(
            self._part().page,
            limit,
            after,
            where=where,
            namespace=namespace,
            tags=tags,
            source=source,
            since=since,
            until=until,
        )

    async def search(
        self,
        query: str,
        *,
        k: int = 10,
        mode: Mode = "hybrid",
        namespace: str | None = "default",
        tags: Iterable[str] | None = None,
        source: str | None = None,
        where: Mapping[str, Any] | None = None,
        since: float | str | datetime | None = None,
        until: float | str | datetime | None = None,
        min_score: float = 0.0,
    ) -> list[Hit]:
        """Return the *k* records that answer *query* best, best first."""
        return await self._run(
            self._part().search,
            query,
            k=k,
            mode=mode,
            namespace=namespace,
            tags=tags,
            source=source,
            where=where,
            since=since,
            until=until,
            min_score=min_score,
        )

    async def optimize(
        self, *, progress: Progress | None = None, cancelled: Callable[[], bool] | None = None
    ) -> None:
        """Drop expired records, embed those that wait, and bring the indexes up to date."""
        return await self._run(self._part().optimize, progress=progress, cancelled=cancelled)

    async def rebuild(self) -> None:
        """Make every index anew from the records, as after damage."""
        return await self._run(self._part().rebuild)

    async def needs_optimizing(self) -> bool:
        """Tell whether `optimize` would make searches noticeably faster."""
        return await self._run(self._part().needs_optimizing)

    async def stats(self) -> dict[str, object]:
        """Return counts and sizes (bytes) by name."""
        return await self._run(self._part().stats)

    async def findings(self, *, deep: bool = False) -> list[str]:
        """Return what is wrong with the memory, a sentence each; *deep* reads all of it."""
        return await self._run(self._part().findings, deep=deep)

    async def now(self) -> float:
        """Return the present by this memory's clock, in seconds since the epoch."""
        return await self._run(self._part().now)
