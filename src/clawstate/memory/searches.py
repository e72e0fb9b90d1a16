"""`Searches`: a question asked of an engine, with or without its reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from clawstate.clock import Clock
from clawstate.errors import StateError
from clawstate.interrupts import load_modules
from clawstate.memory.contract import MemoryEngine
from clawstate.memory.imports import Imports
from clawstate.memory.ingest import embed_past
from clawstate.memory.meanings import InUse, Meanings
from clawstate.memory.query_cache import QueryCache
from clawstate.memory.questions import Question
from clawstate.memory.reading import Reading
from clawstate.memory.records import Hit, Hits
from clawstate.memory.search import Meaning, answer

if TYPE_CHECKING:
    from clawstate.memory.verdict import Verdict

T = TypeVar("T")

_BY_WORDS = InUse(None, None)


class Searches:
    """
    Searches of one memory: its *engine*, what queries mean (*meanings*), notes of *imports*.

    *cache* keeps answers.
    """

    def __init__(
        self,
        engine: MemoryEngine,
        meanings: Meanings,
        imports: Imports,
        cache: QueryCache,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._meanings = meanings
        self._imports = imports
        self._cache = cache
        self._clock = clock

    def hits(self, question: Question, *, fresh: bool = False) -> Hits:
        """Return the hits for *question*, from the cache where it has them and not *fresh*."""

        def find(reading: Reading, meaning: Meaning | None, *, is_whole: bool) -> Hits:
            # Read in the transaction that answers, so the answer belongs to exactly this version.
            version = reading.version
            known = None
            if not fresh:
                known = self._cache.hits(question, version=version, now=self._clock())
            if known is None:
                known = answer(reading, question, meaning)
                if is_whole:
                    self._cache.keep_hits(question, version=version, hits=known)
            return _hits(known, question, meaning)

        return self._ask(question, find, fresh=fresh)

    def explained_hits(self, question: Question) -> Hits:
        """Return the hits for *question*, each with what gave its score."""
        load_modules("clawstate.memory.explaining")
        from clawstate.memory.explaining import explained_answer  # noqa: PLC0415 - seldom asked for

        return self._ask(
            question,
            lambda reading, meaning, **_: _hits(
                explained_answer(reading, question, meaning), question, meaning
            ),
        )

    def verdicts(self, question: Question, name: str) -> list[Verdict]:
        """Return what became of the record *name*, or of all from the source *name*."""
        load_modules("clawstate.memory.verdicts")
        from clawstate.memory.verdicts import find_missing, find_verdicts  # noqa: PLC0415 - as above

        found = self._ask(
            question,
            lambda reading, meaning, **_: find_verdicts(
                reading, question, meaning, name, now=self._clock()
            ),
        )
        kept = {each.id for each in found}
        namespace = question.chosen.namespace or "default"
        missing = find_missing(
            *(self._engine, self._imports, name, kept), namespace=namespace, mode=question.mode
        )
        return [*found, *missing]

    def _ask(self, question: Question, find: Callable[..., T], *, fresh: bool = False) -> T:
        """
        Return what *find* finds in a reading, given what *question* means there.

        It is told whether that is all: what only words could find because embedding failed is not
        what the same question finds once that works.
        """
        while True:
            chosen = _BY_WORDS if question.mode == "words" else self._meanings.current()
            # Before the state is opened: an embedder may ask a server, and nobody shall wait.
            meaning = self._meanings.of_query(chosen, question.text, fresh=fresh)
            if question.as_of is not None and meaning is not None and chosen.embedder is not None:
                # What cannot be embedded, or not be kept, is found by its words as it was before.
                with suppress(StateError):
                    embed_past(self._engine, chosen.embedder, question.as_of)
            with self._engine.reading(as_of=question.as_of) as reading:
                # Another process may have replaced all vectors since the embedder was chosen.
                if chosen is _BY_WORDS or self._meanings.is_for(chosen, reading.embedder):
                    is_whole = chosen.embedder is None or meaning is not None
                    return find(reading, meaning, is_whole=is_whole)
            self._meanings.renew()


def _hits(found: Iterable[Hit], question: Question, meaning: Meaning | None) -> Hits:
    return Hits(found, mode="words" if meaning is None else question.mode)
