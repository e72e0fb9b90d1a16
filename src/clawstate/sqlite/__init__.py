"""SQLite files that survive: private, durable, migrated by number, written by one at a time."""

from clawstate.sqlite.database import Database
from clawstate.sqlite.faults import DamagedValueError
from clawstate.sqlite.migrations import Migration

__all__ = ["DamagedValueError", "Database", "Migration"]
