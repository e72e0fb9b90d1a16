"""`MemoryParts`: what the verbs of a memory work on, of which there is one of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from typing import TYPE_CHECKING

from clawstate.clock import Clock, system_clock
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
        conflicts: Callable[[], Collection] | None = None,
        policy: Callable[[], RetentionPolicy | None] | None = None,
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
        self._policy = policy
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
        self._filling.close(self._meanings.close)
        self._engine.close()


def _in_this_process() -> Callable[[], Collection]:
    """Return what gives a collection of conflicts that ends with this process."""

    @cache
    def collection() -> Collection:
        from clawstate.records.inmemory import InMemoryBackend  # noqa: PLC0415 - rarely needed

        return InMemoryBackend().collection(FILE_CONFLICTS)

    return collection
