"""`InMemoryEmbeddings`: the vectors of texts that a process keeps or kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from clawstate.memory.backends.inmemory.reading import Row
from clawstate.memory.contract import KnownVector


class InMemoryEmbeddings:
    """The `EmbeddingCache` of a process; *rows* tells what is kept."""

    def __init__(self, rows: Callable[[], Mapping[str, Row]]) -> None:
        self._rows = rows
        self.forgotten: dict[bytes, KnownVector] = {}

    def find(self, hashes: Sequence[bytes]) -> dict[bytes, KnownVector]:
        """Return vectors of texts that are or were kept."""
        kept = {
            row.digest: (row.vector, row.subwords)
            for row in self._rows().values()
            if row.vector is not None
        }
        known = self.forgotten | kept
        return {each: known[each] for each in hashes if each in known}
