"""
Numbered migrations: each named part of the schema `clawstate` has a format of its own.

The formats stand in `clawstate.parts`. A migration runs inside a transaction, or inside a savepoint
where the caller has one already, and makes nothing that PostgreSQL refuses there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import psycopg

from clawstate.errors import VersionError
from clawstate.postgres.statistics import forbid_statistics

SCHEMA: Final = "clawstate"
"""The schema of all our tables. An owner may make it beforehand, for a user with few rights."""

Migration: TypeAlias = Callable[[psycopg.Connection[Any]], None]
"""Raises the format by one, in the running transaction."""

_FORMAT = "SELECT format FROM clawstate.parts WHERE part = %s"
_HAS_SCHEMA = "SELECT count(*) FROM pg_namespace WHERE nspname = 'clawstate'"
_HAS_PARTS = "SELECT to_regclass('clawstate.parts') IS NOT NULL"
_PARTS = """
CREATE TABLE IF NOT EXISTS clawstate.parts (part text PRIMARY KEY, format integer NOT NULL)
"""
# Of all parts. Each change notes itself in `operations`, so that it can be told whether it was done
# when its connection breaks; see `Database.change`.
_SHARED = """
CREATE TABLE IF NOT EXISTS clawstate.operations (
    tenant text NOT NULL,
    id uuid NOT NULL,
    void boolean NOT NULL DEFAULT false,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, id)
);
CREATE INDEX IF NOT EXISTS operations_at ON clawstate.operations USING brin (at);
-- What moved up to the floor of a log may have been forgotten.
CREATE TABLE IF NOT EXISTS clawstate.floors (
    tenant text NOT NULL,
    log text NOT NULL,
    xact xid8 NOT NULL,
    PRIMARY KEY (tenant, log)
)
"""
_NOTE = """
INSERT INTO clawstate.parts AS known VALUES (%s, %s)
ON CONFLICT (part) DO UPDATE SET format = excluded.format
"""


@dataclass(frozen=True, slots=True)
class PartFormat:
    """The tables of the part *name* that *migrations* make in the database that *place* names."""

    name: str
    migrations: Sequence[Migration]
    place: str

    def find(self, connection: psycopg.Connection[Any]) -> int:
        """
        Return the format of the part, 0 without one.

        Raises `VersionError` when it is newer than this code knows.
        """
        if not connection.execute(_HAS_PARTS).fetchone()[0]:  # type: ignore[index]
            return 0
        row = connection.execute(_FORMAT, (self.name,)).fetchone()
        found = 0 if row is None else int(row[0])
        if found > len(self.migrations):
            raise VersionError(f"{self.place} (part {self.name!r})", found, len(self.migrations))
        return found

    def migrate(self, connection: psycopg.Connection[Any]) -> None:
        """
        Raise the part to the newest format, in a transaction or in the one that runs.

        Whoever does the same at once waits. Raises `VersionError`.
        """
        with connection.transaction():
            # Asked for first: with IF NOT EXISTS the right to make it is needed even where it is.
            if not connection.execute(_HAS_SCHEMA).fetchone()[0]:  # type: ignore[index]
                _make(connection, "CREATE SCHEMA IF NOT EXISTS clawstate")
            if not connection.execute(_HAS_PARTS).fetchone()[0]:  # type: ignore[index]
                _make(connection, _PARTS)
            connection.execute("LOCK TABLE clawstate.parts IN SHARE ROW EXCLUSIVE MODE")
            connection.execute(_SHARED)
            found = self.find(connection)
            for number, migration in enumerate(self.migrations[found:], start=found + 1):
                migration(connection)
                connection.execute(_NOTE, (self.name, number))
            forbid_statistics(connection)


def _make(connection: psycopg.Connection[Any], sql: str) -> None:
    # IF NOT EXISTS does not see what another transaction is about to make: it waits for that, and
    # is refused then. So it is there.
    made = psycopg.errors.UniqueViolation, psycopg.errors.DuplicateSchema
    with suppress(*made, psycopg.errors.DuplicateTable), connection.transaction():
        connection.execute(sql)
