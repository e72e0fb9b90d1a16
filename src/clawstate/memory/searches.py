"""`Searches`: a question asked of an engine, with or without its reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawstate.clock import Clock
from clawstate.interrupts import load_modules
from clawstate.memory.contract import MemoryEngine
from clawstate.memory.imports import Imports
from clawstate.memory.query_cache import QueryCache
from clawstate.memory.records import Hit
from clawstate.memory.search import Meaning, Question, answer

if TYPE_CHECKING:
    from clawstate.memory.verdict import Verdict


class Searches:
    """Searches of one memory: its *engine*, notes of *imports*, and *cache* of answers."""

    def __init__(
        self, engine: MemoryEngine, imports: Imports, cache: QueryCache, clock: Clock
    ) -> None:
        self._engine = engine
        self._imports = imports
        self._cache = cache
        self._clock = clock

    def hits(self, question: Question, meaning: Meaning | None, *, keep: bool) -> list[Hit]:
        """Return the hits for *question*, from the cache where it has them; else *keep* them."""
        with self._engine.reading() as reading:
            # Read in the transaction that answers, so the answer belongs to exactly this version.
            version = reading.version
            known = self._cache.hits(question, version=version, now=self._clock())
            if known is None:
                known = answer(reading, question, meaning)
                if keep:
                    self._cache.keep_hits(question, version=version, hits=known)
        return list(known)

    def explained_hits(self, question: Question, meaning: Meaning | None) -> list[Hit]:
        """Return the hits for *question*, each with what gave its score."""
        load_modules("clawstate.memory.explaining")
        from clawstate.memory.explaining import explained_answer  # noqa: PLC0415 - seldom asked for

        with self._engine.reading() as reading:
            return list(explained_answer(reading, question, meaning))

    def verdicts(self, question: Question, meaning: Meaning | None, name: str) -> list[Verdict]:
        """Return what became of the record *name*, or of all from the source *name*."""
        load_modules("clawstate.memory.verdicts")
        from clawstate.memory.verdicts import find_missing, find_verdicts  # noqa: PLC0415 - as above

        with self._engine.reading() as reading:
            found = find_verdicts(reading, question, meaning, name, now=self._clock())
        kept = {each.id for each in found}
        namespace = question.chosen.namespace or "default"
        return [*found, *find_missing(self._imports, name, kept, namespace=namespace)]
