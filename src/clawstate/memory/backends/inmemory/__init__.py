"""Memory in one process: the reference for other engines."""

from clawstate.memory.backends.inmemory.engine import InMemoryMemory

__all__ = ["InMemoryMemory"]
