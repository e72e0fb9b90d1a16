"""The memory in PostgreSQL, for any number of machines (decision 066)."""

from clawstate.memory.backends.postgres.engine import PostgresMemory

__all__ = ["PostgresMemory"]
