"""`UpkeepVerbs`: the indexes, the vectors and the file of a memory are kept in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from clawstate.arguments import require_callables, require_seconds
from clawstate.health import Finding, repair_all
from clawstate.memory import writes
from clawstate.memory.contract import Embedder
from clawstate.memory.forgetting import Compaction
from clawstate.memory.service.parts import MemoryParts, Progress
from clawstate.memory.upkeep import check_engine

if TYPE_CHECKING:
    from clawstate.memory.replacement import Reembedding


class UpkeepVerbs(MemoryParts):
    """Optimizes, compacts, embeds anew, examines and mends."""

    def optimize(
        self, *, progress: Progress | None = None, cancelled: Callable[[], bool] | None = None
    ) -> None:
        """
        Drop expired records, embed those that wait, and bring the indexes up to date.

        Searches go on meanwhile. None of it has to be done: what is written is indexed at once.
        """
        require_callables(progress=progress, cancelled=cancelled)
        self._engine.purge()
        writes.embed_waiting(self._engine, self._meanings, cancelled)
        self._engine.optimize(progress=progress, cancelled=cancelled)

    def compact(
        self,
        *,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
        patience: float = 5.0,
        keep_updates: bool = False,
    ) -> Compaction:
        """
        Clear the bytes of all that was forgotten or changed, and give back the space.

        What stood in a record before an update goes as well, and is in its history no more, unless
        *keep_updates*; records that others took the place of stay. Searches go on; after *patience*
        (seconds) of others who write all the time or go on reading it gives up, which the result
        tells, and the next call does the rest.
        """
        require_callables(progress=progress, cancelled=cancelled)
        require_seconds("patience", patience)
        self._cache.clear()  # it holds records as well
        if self._has_map:
            self._map.forget_missing()
        if not keep_updates:
            self._engine.versions.forget_updates()
        done = self._engine.compact(patience=patience, progress=progress, cancelled=cancelled)
        if done.complete and self._inbox_records is not None and not self._inbox.clear():
            return replace(
                done, complete=False, waits_for="the inbox, which others read or which is damaged"
            )
        if done.complete and (aside := self._set_aside()) is not None:
            reason = f"you, to remove what was set aside in {aside} ('clawstate store clean')"
            return replace(done, complete=False, waits_for=reason)
        return done

    def reembed(
        self,
        embedder: Embedder | str | None = None,
        *,
        dry_run: bool = False,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Reembedding:
        """
        Give all records vectors of *embedder*, then search by those, in one step.

        *embedder* may be the name of one of ours (`static`, `wordllama`, `transformer`, `openai`);
        by default it is that of what was begun, then the one for a new state. Searches go on with
        the vectors that are kept until the switch. Cut off or *cancelled*, the next call goes on. A
        *dry_run* writes nothing, and sends nothing to a server: it tells how long it would take,
        the space, and the price where it is known. Raises `InvalidError` while vectors of another
        are being made, `EmbeddingError` when it fails.
        """
        from clawstate.memory.reembed import reembed  # noqa: PLC0415 - seldom needed

        require_callables(progress=progress, cancelled=cancelled)
        return reembed(
            self._engine,
            self._meanings,
            embedder,
            dry_run=dry_run,
            progress=progress,
            cancelled=cancelled,
        )

    def discard_reembedding(self) -> bool:
        """Drop what `reembed` began and did not come to the end of; tell whether there was any."""
        return self._engine.replacement.discard()

    def rebuild(self) -> None:
        """Make every index anew from the records, as after damage."""
        self._engine.rebuild()
        self.optimize()

    def needs_optimizing(self) -> bool:
        """Tell whether `optimize` would make searches noticeably faster."""
        return self._engine.needs_optimizing()

    def stats(self) -> dict[str, object]:
        """
        Return counts and sizes (bytes) by name.

        `query_cache` counts what the cache of this memory's searches did since it was opened.
        """
        return {**self._engine.stats(), "query_cache": self._cache.statistics()}

    def check(self, *, deep: bool = True) -> list[Finding]:
        """Return what is wrong with the memory, the worst first; *deep* reads all of it."""
        compact = partial(self.compact, keep_updates=True)
        return check_engine(
            *(self._engine, self._meanings, self.rebuild, self.optimize, compact), deep=deep
        )

    def repair(self, *, deep: bool = True) -> list[Finding]:
        """Mend what `check` finds and what loses nothing: the indexes; return what was done."""
        return repair_all(self.check(deep=deep))
