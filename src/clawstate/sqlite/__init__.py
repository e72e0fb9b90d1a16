"""SQLite files that survive: private, durable, migrated by number, written by one at a time."""

from clawstate.sqlite.database import Database, open_part
from clawstate.sqlite.errors import DamagedValueError
from clawstate.sqlite.migrations import Migration
from clawstate.sqlite.part import Part

__all__ = ["DamagedValueError", "Database", "Migration", "Part", "open_part"]
