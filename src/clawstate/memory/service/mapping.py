"""`MapVerbs`: all that is remembered as a map."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clawstate.arguments import require_callables
from clawstate.memory.filters import Moment, filter_from
from clawstate.memory.service.parts import MemoryParts, Progress

if TYPE_CHECKING:
    from clawstate.memory.map.values import MemoryMap


class MapVerbs(MemoryParts):
    """Draws the map of a memory (decision 064)."""

    def map(
        self,
        *,
        namespace: str | None = "default",
        tags: Iterable[str] | None = None,
        source: str | None = None,
        where: Mapping[str, Any] | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        wait: bool = True,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> MemoryMap:
        """
        Return the records that meet the demands as points of a plane, those alike near each other.

        Where they lie is worked out over the whole memory, whatever is demanded, and kept: the
        same memory has the same map, and new records are placed among those that are there. The
        first map of 100,000 records, and one of a memory that grew by a quarter, takes half a
        minute; without *wait* that is done by a thread, and a first view comes back at once.
        *progress* is told per cent. Raises `InvalidError`.
        """
        require_callables(progress=progress, cancelled=cancelled)
        chosen = filter_from(
            namespace=namespace, tags=tags, source=source, where=where, since=since, until=until
        )
        index = self._map
        if index.needs_layout():
            if wait:
                index.lay_out(
                    is_over=cancelled or (lambda: False),
                    progress=lambda share: progress and progress(round(100 * share), 100),
                )
            else:
                self._map_layout.start()
        found = index.map(chosen)
        is_running = self._map_layout.is_running
        return replace(found, done=index.done if is_running else 1.0)

    def stop_map(self) -> bool:
        """End the layout that `map` began without waiting; tell whether there was one."""
        return self._map_layout.stop()
