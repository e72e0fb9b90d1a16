"""From records to `Embedded` ones: in batches, each embedded while the one before is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, repeat
from typing import TYPE_CHECKING

from clawstate.errors import EmbeddingError, FallbackWarning, StateError, warn
from clawstate.interrupts import Ahead
from clawstate.memory.contract import (
    Embedded,
    Embedder,
    EmbeddingCache,
    KnownVector,
    MemoryEngine,
    has_subwords,
)
from clawstate.memory.records import MemoryRecord, content_hash
from clawstate.quantities import number_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    _Vector = tuple[NDArray[np.float32] | None, NDArray[np.uint16] | None]

BATCH = 4096
"""Records in one transaction: long enough to share a sync, short enough for other writers."""

_PATIENTLY = 128  # texts that a search embeds before it answers: one request, or some seconds
_AHEAD = 8  # batches embedded before they are written: some 40 MB


def batches(
    records: Iterable[MemoryRecord], embedder: Embedder | None, cache: EmbeddingCache
) -> Iterator[list[Embedded]]:
    """
    Yield *records* in order with their vectors, in batches, once all of them could be read.

    What reading them raises is raised before anything is yielded. Embedding begins with the first
    full batch, beside the reading, and goes on beside the caller.
    """
    # All records are read, and so checked, before the caller may write the first batch: `add_many`
    # promises that. Embedding starts meanwhile.
    iterator = iter(records)
    size = BATCH if embeds_later(embedder) else batch_size(embedder)
    first = list(islice(iterator, size))
    if len(first) < size:
        if first:
            yield embed_records(first, embedder, cache)
        return
    ahead = Ahead[Sequence[MemoryRecord], list[Embedded]](
        lambda batch: embed_records(batch, embedder, cache), name="clawstate-embed"
    )
    left = 1
    try:
        ahead.submit(first)
        waiting: deque[list[MemoryRecord]] = deque()
        # Vectors are made for `_AHEAD` batches at most; the others wait as records.
        while batch := list(islice(iterator, size)):
            waiting.append(batch)
            if left < _AHEAD:
                ahead.submit(waiting.popleft())
                left += 1
        while left:
            done = ahead.result()
            if waiting:
                ahead.submit(waiting.popleft())
            else:
                left -= 1
            yield done
    finally:
        if left:
            # Or whoever interrupts would wait until all batches that were put ahead are embedded.
            ahead.end()


def batch_size(embedder: Embedder | None) -> int:
    """Return how many records one batch has: fewer where *embedder* says that it is slow."""
    # 4,096 texts take a transformer minutes, in which nobody could stop it or see how far it is.
    return min(BATCH, getattr(embedder, "at_once", BATCH))


def embeds_later(embedder: Embedder | None) -> bool:
    """Tell whether records are kept first, and get vectors of *embedder* afterwards."""
    return bool(getattr(embedder, "embeds_later", False))


def embed_records(
    records: Sequence[MemoryRecord],
    embedder: Embedder | None,
    cache: EmbeddingCache,
) -> list[Embedded]:
    """
    Return *records* with vectors: those already known for the same text, else new ones.

    Without an embedder, or when it fails, they wait for their vectors; words find them meanwhile.
    So they do where it embeds later.
    """
    if embedder is None:
        return [Embedded(record) for record in records]
    if embeds_later(embedder):
        return _with_vectors(records, cache, lambda _: repeat((None, None)))
    try:
        return make_vectors(records, embedder, cache)
    except EmbeddingError as error:
        waiting = number_of(len(records), "record waits", "records wait")
        message = f"{waiting} to be embedded: {error}"
        warn(FallbackWarning(message), stacklevel=2)
        # Losing a memory because a model failed would be worse than finding it by words alone for
        # now.
        return _with_vectors(records, cache, lambda _: repeat((None, None)))


def make_vectors(
    records: Sequence[MemoryRecord], embedder: Embedder, cache: EmbeddingCache
) -> list[Embedded]:
    """Return *records* with vectors, known or new; raises `EmbeddingError`."""
    # For one text a quick embedder takes less time than the cache.
    is_quick = len(records) == 1 and getattr(embedder, "is_quick", False)
    known = None if is_quick else cache
    return _with_vectors(records, known, lambda texts: embed_texts(texts, embedder))


def _with_vectors(
    records: Sequence[MemoryRecord],
    cache: EmbeddingCache | None,
    embed: Callable[[list[str]], Iterable[_Vector]],
) -> list[Embedded]:
    # Embedding is what costs: the same text, from a file that is imported again, is embedded once.
    hashes = [content_hash(record.text) for record in records]
    known = {} if cache is None else cache.find(hashes)
    pairs = zip(records, hashes, strict=True)
    fresh = iter(embed([record.text for record, digest in pairs if digest not in known]))
    return [
        Embedded(record, *(known.get(digest) or next(fresh)))
        for record, digest in zip(records, hashes, strict=True)
    ]


def embed_texts(texts: Sequence[str], embedder: Embedder) -> Iterable[KnownVector]:
    """Return the vector of each text; raises `EmbeddingError`, whatever *embedder* raises."""
    if not texts:
        return ()
    with embedder_errors():
        if has_subwords(embedder):
            subwords = embedder.subwords(texts)
            return zip(embedder.pool(subwords), subwords, strict=True)
        rows = embedder.embed(texts)
        if len(rows) != len(texts):
            texts_given = number_of(len(texts), "text")
            problem = f"{number_of(len(rows), 'vector')} for {texts_given}"
            raise EmbeddingError("embedder", problem, "return one row for each text")
        return ((row, None) for row in rows)


@contextmanager
def embedder_errors() -> Iterator[None]:
    """Turn what an embedder of the caller's own raises into `EmbeddingError`."""
    try:
        yield
    except StateError:
        raise
    except Exception as error:
        # By its kind alone: what it says may quote an address with a key.
        problem = f"failed with {type(error).__name__}"
        raise EmbeddingError("embedder", problem, "see the error that it was caused by") from error


def embed_waiting(
    engine: MemoryEngine,
    embedder: Embedder | None,
    cancelled: Callable[[], bool] | None = None,
) -> EmbeddingError | None:
    """
    Give the records of *engine* that wait for a vector theirs, until *cancelled* says so.

    Where the embedder fails at some, it warns, and returns why.
    """
    if embedder is None:
        return None
    size = batch_size(embedder)
    refused: dict[str, EmbeddingError] = {}
    while not (cancelled is not None and cancelled()):
        # Behind those that the embedder fails at, which stay the oldest that wait.
        found = engine.waiting(size + len(refused))
        waiting = [each for each in found if each.id not in refused][:size]
        if not waiting:
            break
        try:
            batch = make_vectors(waiting, embedder, engine.embeddings)
        except EmbeddingError as error:
            if len(waiting) > 1 and embeds_later(embedder) and not _is_resting(embedder):
                size = len(waiting) // 2  # one of them may be what the server cannot embed
                continue
            refused |= {each.id: error for each in waiting}
            # Going on would ask a model that fails for the same batch for ever.
            if not embeds_later(embedder) or _is_resting(embedder):
                break
        else:
            engine.fill(batch, embedder=embedder.identity)
            size = min(2 * size, batch_size(embedder))
    if not refused:
        return None
    *_, last = refused.values()
    waits = number_of(len(refused), "record waits", "records wait")
    message = f"{waits} to be embedded: {last}"
    warn(FallbackWarning(message), stacklevel=2)
    return last


def embed_past(engine: MemoryEngine, embedder: Embedder, moment: float) -> None:
    """
    Give what was kept at *moment* and has no vector one, so that a search of then may find it.

    Of a slow embedder only so many as somebody who searches waits for; the next search goes on.
    """
    is_quick = getattr(embedder, "is_quick", False)
    size = batch_size(embedder) if is_quick else _PATIENTLY
    while texts := engine.versions.texts_at(moment, size):
        found = engine.embeddings.find([each.digest for each in texts])
        fresh = {each.digest: each.text for each in texts if each.digest not in found}
        found |= zip(fresh, embed_texts([*fresh.values()], embedder), strict=True)
        made = {each.key: found[each.digest] for each in texts}
        engine.versions.fill(made, embedder.identity)
        if len(texts) < size or not is_quick:
            break


def _is_resting(embedder: Embedder) -> bool:
    return bool(getattr(embedder, "is_resting", False))
