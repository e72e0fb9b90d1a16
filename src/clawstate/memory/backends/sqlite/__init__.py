"""Memory in one SQLite file, `memory.db`: the embedded default."""

from clawstate.memory.backends.sqlite.backend import SqliteMemory

__all__ = ["SqliteMemory"]
