"""The `MemoryEngine` on a LanceDB table, with a catalogue in SQLite beside it (decision 46)."""

from clawstate.memory.backends.lancedb.engine import LancedbMemory

__all__ = ["LancedbMemory"]
