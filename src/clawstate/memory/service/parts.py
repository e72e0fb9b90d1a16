"""`MemoryParts`: what the verbs of a memory work on, of which there is one of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from clawstate.clock import Clock, system_clock
from clawstate.interrupts import load_modules
from clawstate.memory import writes
from clawstate.memory.contract import Embedder, Lend, MemoryEngine
from clawstate.memory.embedders import DEFAULT_CHOICE, EmbedderChoice
from clawstate.memory.file_conflicts import FILE_CONFLICTS, FileConflicts
from clawstate.memory.filling import Filling
from clawstate.memory.imports import Imports
from clawstate.memory.meanings import Meanings
from clawstate.memory.query_cache import QueryCache
from clawstate.memory.searches import Searches
from clawstate.memory.upkeep import lend_in_process

if TYPE_CHECKING:
    from clawstate.memory.capture.inbox import Inbox
    from clawstate.memory.duplicates.index import DuplicateIndex
    from clawstate.memory.map.background import BackgroundLayout
    from clawstate.memory.map.index import MapIndex
    from clawstate.memory.retention import RetentionPolicy
    from clawstate.records.contract import Collection

Progress = Callable[[int, int], None]
"""Is told how many are done, and how many there are."""


class MemoryParts:
    """An open engine, with the embedder, the cache and the clock that its searches use."""

    def __init__(
        self,
        engine: MemoryEngine,
        *,
        embedder: Embedder | None = None,
        clock: Clock = system_clock,
        cache: QueryCache | None = None,
        by_meaning: bool = True,
        lend: Lend | None = None,
        choice: EmbedderChoice = DEFAULT_CHOICE,
        inbox: Callable[[], Collection] | None = None,
        clear_inbox: Callable[[], bool] = lambda: True,
        set_aside: Callable[[], Path | None] = lambda: None,
        conflicts: Callable[[], Collection] | None = None,
        policy: Callable[[], RetentionPolicy | None] | None = None,
        places: Path | None = None,
    ) -> None:
        self._engine = engine
        found = FileConflicts(conflicts or _in_this_process(), clock)
        self.imports = Imports(engine.imports, lend or lend_in_process(), found)
        self._clock = clock
        self._cache = QueryCache() if cache is None else cache
        self._meanings = Meanings(
            engine, embedder, self._cache, by_meaning=by_meaning, choice=choice
        )
        self._inbox_records = inbox
        self._clear_inbox = clear_inbox
        self._set_aside = set_aside
        self._policy = policy
        self._places = places
        self._filling = Filling(
            lambda is_over: writes.embed_waiting(engine, self._meanings, is_over)
        )
        self._searches = Searches(engine, self._meanings, self.imports, self._cache, clock)

    @cached_property
    def _inbox(self) -> Inbox:
        """What waits for a person; without a state, in this process alone."""
        from clawstate.memory.capture.inbox import INBOX, Inbox  # noqa: PLC0415 - rarely needed

        if self._inbox_records is not None:
            collection = self._inbox_records()
            return Inbox(collection, clock=self._clock, clear=self._clear_inbox)
        from clawstate.records.inmemory import InMemoryBackend  # noqa: PLC0415 - rarely needed

        return Inbox(InMemoryBackend().collection(INBOX), clock=self._clock)

    @cached_property
    def _duplicates(self) -> DuplicateIndex:
        """Which records say nearly the same."""
        load_modules("clawstate.memory.duplicates.index")
        from clawstate.memory.duplicates.index import DuplicateIndex  # noqa: PLC0415 - loads numpy

        return DuplicateIndex(self._engine, self._clock)

    @cached_property
    def _map(self) -> MapIndex:
        """Where the records lie on the map."""
        load_modules("clawstate.memory.map.index")
        from clawstate.memory.map.index import MapIndex  # noqa: PLC0415 - loads numpy

        return MapIndex(self._engine, self._places, self._clock)

    @cached_property
    def _map_layout(self) -> BackgroundLayout:
        from clawstate.memory.map.background import BackgroundLayout  # noqa: PLC0415 - as above

        index = self._map
        return BackgroundLayout(
            lambda is_over: index.lay_out(is_over=is_over, progress=lambda _: None)
        )

    @property
    def _has_map(self) -> bool:
        """Whether a map is there, of which something has to be forgotten."""
        # No more than a look at a name, since every deletion asks.
        return "_map" in self.__dict__ or (self._places is not None and self._places.exists())

    def __repr__(self) -> str:
        place = getattr(self._engine, "path", None)
        return f"Memory({str(place)!r})" if place else f"Memory({self._engine!r})"

    def _fill_later(self, *, seldom: bool = False) -> None:
        """Have vectors made, where they are made after the records were kept."""
        if self._meanings.fills_later:
            self._filling.wake(seldom=seldom)

    def now(self) -> float:
        """Return the present by this memory's clock, in seconds since the epoch."""
        return self._clock()

    def close(self) -> None:
        """Close the engine; a batch of vectors that is under way is waited for shortly."""
        self._cache.clear()
        if "_map_layout" in self.__dict__:
            self._map_layout.close()
        self._filling.close(self._meanings.close)
        self._engine.close()


def _in_this_process() -> Callable[[], Collection]:
    """Return what gives a collection of conflicts that ends with this process."""

    @cache
    def collection() -> Collection:
        from clawstate.records.inmemory import InMemoryBackend  # noqa: PLC0415 - rarely needed

        return InMemoryBackend().collection(FILE_CONFLICTS)

    return collection
