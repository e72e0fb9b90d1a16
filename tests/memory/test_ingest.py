"""From records to vectors, batch by batch."""

from __future__ import annotations

import numpy as np
import pytest

from clawstate.memory.backends.inmemory import InMemoryMemory
from clawstate.memory.ingest import BATCH, batch_size
from clawstate.memory.service import Memory
from clawstate.testing.memory_hooks import HashEmbedder


class SlowEmbedder:
    """An embedder that asks for small batches, and takes its time with each."""

    at_once = 2

    def __init__(self) -> None:
        self._inner = HashEmbedder()
        self.identity = self._inner.identity
        self.calls: list[int] = []

    def embed(self, texts):
        self.calls.append(len(texts))
        busy = np.full((700, 700), 0.001)
        for _ in range(10):
            busy = busy @ busy
        return self._inner.embed(texts)


def texts(count):
    return [{"text": f"note number {each}"} for each in range(count)]


def test_a_slow_embedder_is_asked_for_little_at_once() -> None:
    """What an embedder declares bounds its batches, and progress is told after each."""
    embedder = SlowEmbedder()
    memory = Memory(InMemoryMemory(), embedder=embedder)
    told = []

    memory.add_many(texts(5), progress=lambda done, total: told.append((done, total)))

    assert told == [(2, 5), (4, 5), (5, 5)]
    assert embedder.calls == [2, 2, 1]
    assert batch_size(HashEmbedder()) == batch_size(None) == BATCH


def test_waiting_records_get_their_vectors_in_small_batches() -> None:
    """Records that wait are embedded as many at once as the embedder declares."""
    engine = InMemoryMemory()
    Memory(engine, by_meaning=False).add_many(texts(5))
    embedder = SlowEmbedder()

    Memory(engine, embedder=embedder).optimize()

    assert embedder.calls == [2, 2, 1]
    assert engine.stats()["waiting"] == 0


def test_embedding_what_waits_can_be_cancelled() -> None:
    """Cancelled after a batch, records wait on, and the next time goes on with them."""
    engine = InMemoryMemory()
    Memory(engine, by_meaning=False).add_many(texts(5))
    embedder = SlowEmbedder()
    memory = Memory(engine, embedder=embedder)

    memory.optimize(cancelled=lambda: bool(embedder.calls))

    assert engine.stats()["waiting"] == 3
    memory.optimize()
    assert engine.stats()["waiting"] == 0


def test_an_interrupt_ends_the_embedding() -> None:
    """After an interrupt what was put ahead is not embedded; what was told is kept."""
    embedder = SlowEmbedder()
    memory = Memory(InMemoryMemory(), embedder=embedder)

    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        memory.add_many(texts(100), progress=interrupt)

    assert sum(embedder.calls) <= 10
    assert len(memory.records()) == 2
