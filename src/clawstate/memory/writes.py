"""Writes whose vectors are of the embedder in use, also where that changes meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from clawstate.errors import ConflictError, EmbeddingError
from clawstate.memory import ingest
from clawstate.memory.contract import Embedded, MemoryEngine
from clawstate.memory.filters import Filter
from clawstate.memory.imports import Imports
from clawstate.memory.matching import lets_through
from clawstate.memory.meanings import InUse, Meanings
from clawstate.memory.records import MemoryRecord

_PAGE = 1000  # records that are forgotten in one step


def keep_records(
    engine: MemoryEngine, meanings: Meanings, records: Iterable[MemoryRecord]
) -> Iterator[int]:
    """Keep *records* in batches, once all of them could be read; yield how many each had."""
    made_by = meanings.current()
    for batch in ingest.batches(records, made_by.embedder, engine.embeddings):

        def keep(chosen: InUse, batch: list[Embedded] = batch) -> None:
            given = batch
            if chosen is not made_by:
                texts = [each.record for each in batch]
                given = ingest.embed_records(texts, chosen.embedder, engine.embeddings)
            has_vectors = any(each.vector is not None for each in given)
            # A server may have to be asked for the identity, which is of use with vectors alone.
            is_named = has_vectors or not chosen.later
            engine.upsert(given, embedder=chosen.identity if is_named else None)

        meanings.try_with(keep)
        yield len(batch)


def update_record(
    engine: MemoryEngine,
    meanings: Meanings,
    find: Callable[[], MemoryRecord],
    change: Callable[[MemoryRecord], MemoryRecord],
    *,
    expected_updated_at: float | None,
) -> MemoryRecord:
    """Put what *change* makes of the record that *find* finds in its place, and return it."""
    # Compare-and-set: embedding the new text may ask a server, and no lock is held for that. If
    # somebody was faster, the change is applied to what they left.
    while True:
        old = find()
        if expected_updated_at is not None and old.updated_at != expected_updated_at:
            raise ConflictError("memory", old.id)
        new = change(old)
        # The engine keeps the vector that is there, so changing a tag embeds nothing.
        if new.text == old.text:
            kept = engine.swap(old, Embedded(new), embedder=None)
        else:
            kept = _swap_text(engine, meanings, old, new)
        if kept is not None:
            return kept


def forget_source(engine: MemoryEngine, imports: Imports, chosen: Filter, *, namespace: str) -> int:
    """Forget what was imported from the sources that *chosen* lets through, and what names them."""
    # First the ledger, then what was added by hand under the same source, in bounded steps.
    forgotten = 0
    for each in sorted(imports.sources(namespace)):
        if lets_through(chosen, MemoryRecord(text="", source=each, namespace=namespace), now=0):
            forgotten += imports.forget(each, namespace=namespace)
    while page := engine.page(chosen, None, _PAGE):
        ids = [record.id for record in page]
        forgotten += engine.delete(ids, for_good=False)  # an import may bring it back
    return forgotten + engine.versions.forget_chosen(chosen)


def embed_waiting(
    engine: MemoryEngine, meanings: Meanings, cancelled: Callable[[], bool] | None = None
) -> EmbeddingError | None:
    """
    Give the records that wait for a vector theirs, until *cancelled* says so.

    Where the embedder fails at some, it warns, and returns why.
    """
    meanings.renew()  # what was by words alone may have an embedder by now
    return meanings.try_with(
        lambda chosen: ingest.embed_waiting(engine, chosen.embedder, cancelled)
    )


def _swap_text(
    engine: MemoryEngine, meanings: Meanings, old: MemoryRecord, new: MemoryRecord
) -> MemoryRecord | None:
    """Put *new*, of another text, in the place of *old* if that is what is kept; return it."""

    def swap(chosen: InUse) -> MemoryRecord | None:
        (whole,) = ingest.embed_records([new], chosen.embedder, engine.embeddings)
        identity = None if whole.vector is None else chosen.identity
        return engine.swap(old, whole, embedder=identity)

    return meanings.try_with(swap)
