"""`Reading`: a `with` block that sees one unchanging state of the database."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Protocol, TypeVar

import psycopg

from clawstate.interrupts import Use
from clawstate.postgres.address import Address
from clawstate.postgres.attempts import Attempts
from clawstate.postgres.connection import Connection
from clawstate.postgres.errors import state_error
from clawstate.postgres.pool import Loan, Pool

T = TypeVar("T")

SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ"


class Lender(Protocol):
    """What lends the connections: the `Database`."""

    address: Address
    pool: Pool

    def attempts(self) -> Attempts:
        """Return the attempts of one call."""


class Prepare(Protocol):
    """Makes the part that is read ready, inside the transaction where it is not there yet."""

    def __call__(self, connection: Connection) -> None:
        """Do so, on *connection*."""


class Reading:
    """A block that reads; see `Part.reading`. What it does is never committed."""

    def __init__(self, database: Lender, prepare: Prepare, *, begins: bool = True) -> None:
        self._database = database
        self._prepare = prepare
        self._begins = begins
        self._loan: Loan | None = None

    def __enter__(self) -> Connection:
        return self.enter(Use())

    def enter(self, use: Use) -> Connection:
        """Enter the block for *use*, that of another block around it."""
        attempts = self._database.attempts()
        while True:
            self._loan = loan = Loan(self._database.pool, use)
            try:
                connection = loan.begin(attempts.deadline)
                if self._begins:
                    connection.execute(SNAPSHOT)
                    self._prepare(connection)
            except psycopg.Error as error:
                loan.end()
                attempts.again(error)
            except BaseException:
                loan.end()
                raise
            else:
                return connection

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        loan, self._loan = self._loan, None
        if loan is None:
            return
        try:
            connection = loan.connection
            if connection is not None and not connection.closed and not connection.is_idle:
                connection.execute("ROLLBACK")
        except psycopg.Error:  # all was read by then; the connection is closed
            pass
        finally:
            loan.end()
        if isinstance(error, psycopg.Error):
            raise state_error(error, self._database.address) from error


class Lent(Generic[T]):
    """A `with` block that lends what *read* makes of one state, for as long as it is read."""

    # A generator would outlive a block that is cut off, and its transaction with it.
    def __init__(self, block: Reading, read: Callable[[Connection], T]) -> None:
        self._block = block
        self._read = read

    def __enter__(self) -> T:
        connection = self._block.enter(Use())
        try:
            return self._read(connection)
        except BaseException:
            self._block.__exit__(*sys.exc_info())
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._block.__exit__(kind, error, trace)
