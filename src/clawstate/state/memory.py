"""The memory of a state, wired to its database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawstate.memory.backends.sqlite import SqliteMemory
from clawstate.memory.service import Memory
from clawstate.state.ground import Ground

if TYPE_CHECKING:
    from clawstate.memory.contract import Embedder


def open_memory(ground: Ground, embedder: Embedder | None = None) -> Memory:
    """Return the memory of the state on *ground*; nothing is made before the first record."""
    backend = SqliteMemory(
        ground.paths.memory_db,
        vectors=ground.paths.memory_dir / "vectors",
        clock=ground.clock,
        lock_timeout=ground.lock.patience(),
    )
    return Memory(backend, embedder=embedder, clock=ground.clock)
