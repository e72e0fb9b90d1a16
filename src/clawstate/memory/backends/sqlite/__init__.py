"""Memory in one SQLite file, `memory.db`: the embedded default."""

from clawstate.memory.backends.sqlite.engine import SqliteMemory

__all__ = ["SqliteMemory"]
