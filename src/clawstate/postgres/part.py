"""`Part`: the named tables of one user of a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import psycopg

from clawstate.errors import ClosedError, CorruptError
from clawstate.postgres.blocks import Reading
from clawstate.postgres.connection import Connection
from clawstate.postgres.database import Bindings, Database, Isolation, Rows
from clawstate.postgres.errors import is_missing
from clawstate.postgres.migrations import Migration, PartFormat
from clawstate.postgres.names import encode_name

A = TypeVar("A")

_MADE = (
    psycopg.errors.DuplicateTable,
    psycopg.errors.DuplicateSchema,
    psycopg.errors.DuplicateObject,
    psycopg.errors.UniqueViolation,
)


class Part:
    """
    The part *name* of *database* that *migrations* make, for one *tenant*.

    The first change makes its tables, or raises their format; so does the first read of an older
    format. Reads of a database without them find nothing, and make nothing.
    """

    def __init__(
        self, database: Database, name: str, migrations: Sequence[Migration], *, tenant: str
    ) -> None:
        self.database = database
        self.tenant = encode_name("tenant", tenant)
        self._format = PartFormat(name, migrations, database.place)
        self._is_ready = False
        self._closed = False

    @property
    def place(self) -> str:
        """What errors and findings call the database."""
        return self.database.place

    def exists(self) -> bool:
        """Tell whether a change has made the tables; raises `ClosedError`."""
        self._require_open()
        return self._look()

    def rows(self, sql: str, bound: Bindings = ()) -> Rows:
        """Return the rows of one statement that only reads, none without the tables."""
        return self.attempt(lambda connection: connection.execute(sql, bound or None).fetchall())

    def attempt(self, work: Callable[[Connection], A]) -> A:
        """
        Return what *work* reads with single statements; it may run again.

        Raises what `Database.attempt` raises, and `VersionError`.
        """
        self._require_open()

        def known() -> A:
            return self.database.attempt(work) if self._look() else self.read(work)

        return self._again_if_gone(known)

    def read(self, work: Callable[[Connection], A]) -> A:
        """Return what *work* reads of one unchanging state; it may run again."""
        self._require_open()

        def within(connection: Connection) -> A:
            self._prepare(connection)
            return work(connection)

        self._look()
        return self.database.read(within)

    def reading(self, *, begins: bool = True) -> Reading:
        """
        Lend a connection that sees one unchanging state, for a `with` block.

        Where it does not begin the transaction itself, the caller's first statement does.

        Raises what `attempt` raises. What is done to temporary tables and settings is undone.
        """
        self._require_open()
        self._look()
        return self.database.reading(self._prepare, begins=begins or not self._is_ready)

    def change(
        self, work: Callable[[Connection], A], *, isolation: Isolation = "READ COMMITTED"
    ) -> A:
        """Return what *work* does in one transaction; see `Database.change`."""
        self._require_open()

        def known() -> A:
            self.make()
            return self.database.change(work, tenant=self.tenant, isolation=isolation)

        return self._again_if_gone(known)

    def change_once(self, sql: str, bound: Bindings) -> bool:
        """Run one statement that changes something; see `Database.change_once`."""
        self._require_open()

        def known() -> bool:
            self.make()
            return self.database.change_once(sql, bound, tenant=self.tenant)

        return self._again_if_gone(known)

    def make(self) -> None:
        """Make the tables, or raise their format, where that was not done yet."""
        if not self._look():
            self.database.attempt(self._format.migrate)
            self._is_ready = True

    def close(self) -> None:
        """End this use; a call after it raises `ClosedError`."""
        self._closed = True

    def _look(self) -> bool:
        """Tell whether the tables have the newest format; an older one is raised."""
        if self._is_ready:
            return True
        found = self.database.attempt(self._format.find)
        if 0 < found < len(self._format.migrations):
            self.database.attempt(self._format.migrate)
            found = len(self._format.migrations)
        self._is_ready = found > 0
        return self._is_ready

    def _prepare(self, connection: Connection) -> None:
        if not self._is_ready:
            # Empty tables for this transaction alone, which is rolled back.
            try:
                self._format.migrate(connection)
            except _MADE as error:
                # By another, since this transaction began, which does not see them: begin again.
                raise psycopg.errors.SerializationFailure("made meanwhile") from error

    def _again_if_gone(self, call: Callable[[], A]) -> A:
        try:
            return call()
        except CorruptError as error:
            # Somebody removed the schema since it was seen: it is empty, or made anew.
            if not (self._is_ready and is_missing(error.__cause__)):
                raise
            self._is_ready = False
        return call()

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError(self.place)
