"""What recent queries found: asked again, they cost no search (specification, "Vector Cache")."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clawstate.caches.ttl import TTLCache
from clawstate.memory.records import Hit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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

    def hits(self, question: Hashable, *, version: Hashable, now: float) -> tuple[Hit, ...] | None:
        """Return what *question* found in this *version*, if all of it is still live at *now*."""
        known = self._hits.get(question)
        # Time changes an answer without a change of the records: what has expired must not be
        # shown.
        if known is None or known[0] != version:
            return None
        ends = (hit.record.expires_at for hit in known[1])
        if any(end is not None and end <= now for end in ends):
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

    def clear(self) -> None:
        """Forget everything."""
        self._hits.clear()
        self._vectors.clear()


def _with_metadata(hit: Hit, metadata: Any) -> Hit:
    return replace(hit, record=replace(hit.record, metadata=_copy(metadata)))


def _copy(value: Any) -> Any:
    # By hand, since it is JSON: `deepcopy` takes five times as long.
    if isinstance(value, dict):
        return {key: _copy(each) for key, each in value.items()}
    return [*map(_copy, value)] if isinstance(value, list) else value
