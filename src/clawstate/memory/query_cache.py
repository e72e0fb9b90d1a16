"""What recent queries found: asked again, they cost no search (specification, "Vector Cache")."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from clawstate.caches.ttl import TTLCache
from clawstate.memory.records import Hit, MemoryRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_SET = object.__setattr__
_FIELDS = tuple(each for each in MemoryRecord.__slots__ if each != "metadata")


class QueryCache:
    """
    Hits by question, and vectors by text, for some minutes. Thread-safe.

    Hits are given back only while the records are in the version they were found in, so a change
    by any process is seen at once.
    """

    def __init__(
        self,
        *,
        size: int = 256,
        ttl: float | None = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hits: TTLCache[Hashable, tuple[Hashable, tuple[Hit, ...], tuple[Any, ...]]]
        self._hits = TTLCache(size, ttl=ttl, clock=clock)
        self._vectors: TTLCache[Hashable, NDArray[np.float32]]
        self._vectors = TTLCache(size, ttl=ttl, clock=clock)
        self._stale = 0  # answers that were there, and no longer right

    def hits(self, question: Hashable, *, version: Hashable, now: float) -> tuple[Hit, ...] | None:
        """Return what *question* found in this *version*, if all of it is still live at *now*."""
        known = self._hits.get(question)
        # Time changes an answer without a change of the records: what has expired must not be
        # shown.
        if known is None:
            return None
        ends = [hit.record.expires_at for hit in known[1]]
        if known[0] != version or any(end is not None and end <= now for end in ends):
            self._stale += 1
            return None
        return tuple(_with_metadata(*each) for each in zip(*known[1:], strict=True))

    def keep_hits(self, question: Hashable, *, version: Hashable, hits: tuple[Hit, ...]) -> None:
        """Remember what *question* found in this *version* of the records."""
        # Whoever gets a hit may change its metadata, and nothing else of it.
        metadata = tuple(_copy(hit.record.metadata) for hit in hits)
        self._hits.put(question, (version, hits, metadata))

    def vector(
        self, text: Hashable, embed: Callable[[], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Return the vector of *text*, by *embed* when it is not known."""
        # Not tied to a version: the vector of a text depends on the embedder alone.
        vector = self._vectors.get(text)
        if vector is None:
            vector = embed()
            self._vectors.put(text, vector)
        return vector

    def drop_vector(self, text: Hashable) -> None:
        """Forget the vector of *text*."""
        self._vectors.pop(text)

    def statistics(self) -> dict[str, int]:
        """
        Return what the cache did since it was made, by name.

        `hits` are searches that it answered, `misses` all others that asked it, `entries` the
        answers that it holds, `evictions` those that left because others came.
        """
        told, stale = self._hits.statistics, self._stale
        return {
            "hits": told.hits - stale,
            "misses": told.misses + stale,
            "entries": len(self._hits),
            "evictions": told.evictions,
        }

    def clear(self) -> None:
        """Forget everything."""
        self._hits.clear()
        self._vectors.clear()


def _with_metadata(hit: Hit, metadata: Any) -> Hit:
    if not metadata:
        return hit
    # Both by hand: `dataclasses.replace` takes twice as long, for each hit of a known answer.
    record = object.__new__(MemoryRecord)
    for name in _FIELDS:
        _SET(record, name, getattr(hit.record, name))
    _SET(record, "metadata", _copy(metadata))
    return Hit(record, hit.score, hit.words_score, hit.vector_score, hit.explanation)


def _copy(value: Any) -> Any:
    # By hand, since it is JSON: `deepcopy` takes five times as long.
    if isinstance(value, dict):
        return {key: _copy(each) for key, each in value.items()}
    return [*map(_copy, value)] if isinstance(value, list) else value
