"""What the laws of memory need of the engine under test: how to make it, and go around it."""
# ruff: noqa: ARG002 - the arguments of a hook are for those who give it

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clawstate.clock import Clock
from clawstate.memory.contract import EmbedderIdentity, MemoryEngine
from clawstate.memory.service import Memory
from clawstate.testing.hooks import ManualTime, skip_undeclared

_SUBWORDS = 997


class HashEmbedder:
    """
    A `SubwordEmbedder` without weights: each word has a vector that its checksum chooses.

    Texts that share words are near each other, all others are not. Of another *seed* the vectors
    are other ones.
    """

    def __init__(self, dimensions: int = 16, *, seed: int = 0) -> None:
        name = f"hash-{dimensions}.{seed}" if seed else f"hash-{dimensions}"
        self.identity = EmbedderIdentity(name, dimensions)
        table = np.random.default_rng(dimensions + seed).standard_normal((_SUBWORDS, dimensions))
        self._table = table.astype(np.float32)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a unit row for each text."""
        return self.pool(self.subwords(texts))

    def subwords(self, texts: Sequence[str]) -> list[NDArray[np.uint16]]:
        """Return a number for each word."""
        return [
            np.array([zlib.crc32(word.encode()) % _SUBWORDS for word in text.split()], np.uint16)
            for text in texts
        ]

    def pool(self, subwords: Sequence[NDArray[np.uint16]]) -> NDArray[np.float32]:
        """Return the unit sum of each text's rows."""
        sums = [self._table[numbers].sum(axis=0) for numbers in subwords]
        return _unit(np.array(sums, np.float32).reshape(len(subwords), self.identity.dimensions))

    def weigh(
        self, subwords: NDArray[np.uint16], counts: Mapping[int, int], total: int
    ) -> NDArray[np.float32]:
        """Return the unit vector of a query, in which common words count less."""
        weights = [1 / (1 + 10 * counts.get(each, 0) / max(total, 1)) for each in subwords.tolist()]
        rows = self._table[subwords] * np.array(weights, np.float32)[:, np.newaxis]
        found: NDArray[np.float32] = _unit(rows.sum(axis=0)[np.newaxis])[0]
        return found


class WatchedEmbedder(HashEmbedder):
    """
    A `HashEmbedder` that calls *before* with the number of each batch, from 0, before it embeds.

    `seen` are the texts that it embedded.
    """

    def __init__(self, dimensions: int, before: Callable[[int], object] = lambda _: None) -> None:
        super().__init__(dimensions)
        self._before = before
        self._batches = 0
        self.seen: list[str] = []

    def subwords(self, given: Sequence[str]) -> list[NDArray[np.uint16]]:
        """Return a number for each word."""
        if len(given) > 1:  # a query is no batch
            number, self._batches = self._batches, self._batches + 1
            self._before(number)
        self.seen += given
        return super().subwords(given)


class MemoryHooks:
    """What a suite is told by its subclass, and the fixtures that it makes of that."""

    def make(self, tmp_path: Path, clock: Clock) -> MemoryEngine:
        """
        Return the engine under test over a state below *tmp_path*: the same for the same path.

        What it holds to be the present is told by *clock*.
        """
        raise NotImplementedError(tmp_path, clock)

    def raw_texts(self, tmp_path: Path) -> dict[str, str]:
        """Return the text of each record by its id as it lies on disk, without the engine."""
        pytest.skip("raw_texts is not given: nothing is read around the engine")

    @pytest.fixture
    def time(self) -> ManualTime:
        """Give the clock of the memory."""
        return ManualTime()

    @pytest.fixture
    def engine(self, tmp_path: Path, time: ManualTime) -> Iterator[MemoryEngine]:
        """Give the engine under test over an empty state."""
        engine = self.make(tmp_path, time)
        yield engine
        engine.close()

    @pytest.fixture
    def memory(self, engine: MemoryEngine, time: ManualTime) -> Memory:
        """Give an empty memory."""
        return Memory(engine, embedder=HashEmbedder(), clock=time)

    @pytest.fixture(autouse=True)
    def _require_capability(self, request: pytest.FixtureRequest, engine: MemoryEngine) -> None:
        skip_undeclared(request, engine)


def texts(memory: Memory, query: str, **settings: Any) -> list[str]:
    """Return the texts that a search finds, the best first."""
    return [hit.record.text for hit in memory.search(query, **settings)]


def texts_of(memory: Memory, **filters: Any) -> set[str]:
    """Return the texts of the records that a filter lets through."""
    return {record.text for record in memory.records(limit=1000, **filters)}


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return unit
