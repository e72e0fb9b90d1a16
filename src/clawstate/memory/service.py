"""`Memory`: the one door to what is remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clawstate.arguments import require_callables, require_seconds, require_text, require_texts
from clawstate.clock import Clock, system_clock
from clawstate.errors import InvalidError, NotFoundError
from clawstate.health import Finding, repair_all
from clawstate.memory import writes
from clawstate.memory.contract import Embedder, Lend, MemoryEngine
from clawstate.memory.embedders import DEFAULT_CHOICE, EmbedderChoice
from clawstate.memory.filters import Moment, filter_from
from clawstate.memory.forgetting import Compaction, Receipt, receipt_of
from clawstate.memory.imports import Imports
from clawstate.memory.meanings import Meanings
from clawstate.memory.query_cache import QueryCache
from clawstate.memory.records import Hit, MemoryRecord, position_of
from clawstate.memory.reembed import reembed
from clawstate.memory.replacement import Reembedding
from clawstate.memory.search import Mode, question_from
from clawstate.memory.searches import Searches
from clawstate.memory.upkeep import check_engine, lend_in_process
from clawstate.memory.validation import MAX_SOURCE, change_record, check_name, complete
from clawstate.paging import PAGE, Listing, Page

if TYPE_CHECKING:
    from clawstate.memory.verdict import Verdict

MAX_PAGE = 1_000_000

LISTING = Listing("memory")
"""Records, the one made last first."""

Progress = Callable[[int, int], None]
"""Is told how many are done, and how many there are."""


class Memory:
    """
    Long-term memory: records in, the right ones out (specification sections 6 and 7).

    Every write is on disk when its call returns. Search works offline, by words and by meaning;
    without usable vectors it falls back to words, with a `FallbackWarning`, and silently where it
    was told not to search *by_meaning*. Without an *embedder* it takes one of ours, by *choice*.
    *lend* gives the leases of its state. Thread-safe.
    """

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
    ) -> None:
        self._engine = engine
        self.imports = Imports(engine.imports, lend or lend_in_process())
        self._clock = clock
        self._cache = QueryCache() if cache is None else cache
        self._meanings = Meanings(
            engine, embedder, self._cache, by_meaning=by_meaning, choice=choice
        )
        self._searches = Searches(engine, self._meanings, self.imports, self._cache, clock)

    def __repr__(self) -> str:
        place = getattr(self._engine, "path", None)
        return f"Memory({str(place)!r})" if place else f"Memory({self._engine!r})"

    def add(
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
        title: str | None = None,
        headings: Iterable[str] = (),
        names: Iterable[str] = (),
    ) -> str:
        """
        Remember *text* and return its id; it is on disk by then.

        *ttl* is in seconds. *thread* names an ordered run of records (a conversation, a
        document), *position* the place in it; by default the next. *title*, *headings* and *names*
        are what it is asked for by beside its text. Raises `InvalidError`.
        """
        values = {
            "text": text,
            "source": source,
            "tags": tags,
            "metadata": metadata,
            "importance": importance,
            "category": category,
            "ttl": ttl,
            "namespace": namespace,
            "thread": thread,
            "position": position,
            "title": title,
            "headings": headings,
            "names": names,
        }
        return self.add_many([values])[0]

    def add_many(
        self,
        records: Iterable[MemoryRecord | Mapping[str, Any]],
        progress: Progress | None = None,
    ) -> list[str]:
        """
        Remember *records* (or mappings with the names of `add`) and return their ids in order.

        A record with an `id` replaces the one of that id. All are checked before the first is
        written; then they are written in batches, each durable before the next begins. Raises
        `InvalidError` that names the record by its number from 0, `ConflictError` for an id
        that lives in another namespace.
        """
        require_callables(progress=progress)
        now = self._clock()
        ids: list[str] = []
        done = 0
        for count in writes.keep_records(self._engine, self._meanings, complete(records, ids, now)):
            done += count
            if progress is not None:
                progress(done, len(ids))
        return ids

    def get(self, record_id: str) -> MemoryRecord | None:
        """Return the record, or None when it is not kept or has expired."""
        return self._engine.get([require_text("id", record_id)]).get(record_id)

    def get_many(self, record_ids: Sequence[str]) -> dict[str, MemoryRecord]:
        """Return those of the records that are kept and not expired, by id."""
        return self._engine.get([*require_texts("ids", record_ids)])

    def require(self, record_id: str) -> MemoryRecord:
        """Return the record; raises `NotFoundError` when it is not kept or has expired."""
        record = self.get(record_id)
        if record is None:
            raise NotFoundError("memory", record_id, "'clawstate memory list' shows what is kept")
        return record

    def update(
        self, /, record_id: str, *, expected_updated_at: float | None = None, **changes: Any
    ) -> MemoryRecord:
        """
        Change the fields named in *changes* (the names of `add`) and return the new record.

        With *expected_updated_at* the change is made only to that version. Raises
        `NotFoundError`, `InvalidError`, and `ConflictError` for another version.
        """
        return writes.update_record(
            self._engine,
            self._meanings,
            lambda: self.require(record_id),
            lambda old: change_record(old, changes, now=self._clock()),
            expected_updated_at=expected_updated_at,
        )

    def delete(self, record_id: str) -> bool:
        """Forget the record; return whether it was kept."""
        return bool(self._engine.delete([require_text("id", record_id)]))

    def delete_many(self, record_ids: Sequence[str]) -> int:
        """Forget the records, in one step; return how many were kept."""
        return self._engine.delete([*require_texts("ids", record_ids)])

    def forget(self, record_ids: Sequence[str], *, compact: bool = True) -> Receipt:
        """Forget the records, return what went, and *compact*, in seconds for 100 MB."""
        records = self._engine.forget(ids := require_texts("ids", record_ids))
        done = self.compact() if compact else None
        return receipt_of(ids, records, done, waiting=self._engine.uncompacted())

    def compact(
        self,
        *,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
        patience: float = 5.0,
    ) -> Compaction:
        """
        Clear the bytes of all that was forgotten or changed, and give back the space.

        Searches go on; after *patience* (seconds) of others who write all the time or go on reading
        it gives up, which the result tells, and the next call does the rest.
        """
        require_callables(progress=progress, cancelled=cancelled)
        require_seconds("patience", patience)
        self._cache.clear()  # it holds records as well
        return self._engine.compact(patience=patience, progress=progress, cancelled=cancelled)

    def forget_source(self, source: str, *, namespace: str = "default") -> int:
        """
        Forget what was imported from *source*, and what else names it; return how many.

        *source* may be a folder, or a pattern with `*` and `?`, as in `search`.
        """
        chosen = filter_from(namespace=namespace, source=source)
        return writes.forget_source(self._engine, self.imports, chosen, namespace=namespace)

    def records(
        self,
        *,
        where: Mapping[str, Any] | None = None,
        namespace: str | None = "default",
        tags: Iterable[str] | None = None,
        source: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> list[MemoryRecord]:
        """
        Return records in the order of their ids (as made, for ids of ours), *limit* at most.

        *after* is the last id of the page before. *namespace* None means all of them; for
        *where* see `search`.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE:
            raise InvalidError("limit", f"is not a whole number from 1 to {MAX_PAGE:,}")
        if after is not None:
            check_name("after", after)
        chosen = filter_from(
            namespace=namespace, tags=tags, source=source, where=where, since=since, until=until
        )
        return self._engine.page(chosen, after, limit)

    def page(
        self,
        limit: int = PAGE,
        after: str | None = None,
        *,
        where: Mapping[str, Any] | None = None,
        namespace: str | None = "default",
        tags: Iterable[str] | None = None,
        source: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> Page[MemoryRecord]:
        """
        Return a page of records: the *limit* made last, or those behind *after*; as `records` else.

        It costs the same however many records there are. Raises `InvalidError` for a *limit* below
        1 and an *after* that no page gave.
        """
        position = LISTING.require_page(limit, after)
        chosen = filter_from(
            namespace=namespace, tags=tags, source=source, where=where, since=since, until=until
        )
        # One more than asked for tells whether there is another page.
        found = self._engine.latest(chosen, position, limit + 1)
        return LISTING.page(((position_of(each), each) for each in found), limit)

    def search(
        self,
        query: str,
        *,
        k: int = 10,
        mode: Mode = "hybrid",
        namespace: str | None = "default",
        tags: Iterable[str] | None = None,
        source: str | None = None,
        where: Mapping[str, Any] | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        min_score: float = 0.0,
        explain: bool = False,
    ) -> list[Hit]:
        """
        Return the *k* records that answer *query* best, best first.

        *mode*: `words` (BM25 over stems), `vector` (cosine of the meanings), or `hybrid` of
        both. *tags*: all of them. *where* maps metadata keys to a value, a list of values, or
        operators such as `{"gte": 2020, "lt": 2024}`. *since* and *until* bound the time of
        creation (seconds, ISO text, date or datetime; UTC without a zone). With *explain* each hit
        tells what gave its score; see `explain` for why a record did not come. Raises
        `InvalidError`.
        """
        chosen = filter_from(
            namespace=namespace, tags=tags, source=source, where=where, since=since, until=until
        )
        question = question_from(query, k=k, mode=mode, chosen=chosen, min_score=min_score)
        if explain:
            return self._searches.explained_hits(question)
        return self._searches.hits(question)

    def explain(
        self,
        query: str,
        name: str,
        *,
        k: int = 10,
        mode: Mode = "hybrid",
        namespace: str | None = "default",
        tags: Iterable[str] | None = None,
        source: str | None = None,
        where: Mapping[str, Any] | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        min_score: float = 0.0,
    ) -> list[Verdict]:
        """
        Return what became of the record *name* in a search, and why it came or did not.

        *name* is an id; or a source (a file, a folder, a pattern), for a verdict on each record
        that comes from there. All else is as in `search`. One that is not kept gets a verdict,
        too: `forgotten` or `unknown`. Raises `InvalidError`.
        """
        chosen = filter_from(
            namespace=namespace, tags=tags, source=source, where=where, since=since, until=until
        )
        question = question_from(query, k=k, mode=mode, chosen=chosen, min_score=min_score)
        check_name("name", name, limit=MAX_SOURCE)
        return self._searches.verdicts(question, name)

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

        *embedder* may be the name of one of ours (`static`, `wordllama`, `transformer`); by default
        it is that of what was begun, then the one for a new state. Searches go on
        with the vectors that are kept until the switch. Cut off or *cancelled*, the next call goes
        on. A *dry_run* writes nothing: it tells how long it would take, and the space. Raises
        `InvalidError` while vectors of another are being made, `EmbeddingError` when it fails.
        """
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
        """Return counts and sizes (bytes) by name."""
        return self._engine.stats()

    def check(self, *, deep: bool = True) -> list[Finding]:
        """Return what is wrong with the memory, the worst first; *deep* reads all of it."""
        return check_engine(self._engine, self.rebuild, self.optimize, self.compact, deep=deep)

    def repair(self, *, deep: bool = True) -> list[Finding]:
        """Mend what `check` finds and what loses nothing: the indexes; return what was done."""
        return repair_all(self.check(deep=deep))

    def now(self) -> float:
        """Return the present by this memory's clock, in seconds since the epoch."""
        return self._clock()

    def close(self) -> None:
        """Close the engine."""
        self._cache.clear()
        self._engine.close()
