"""`Database`: one PostgreSQL database, read and changed so that nothing is lost or done twice."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar
from typing import Literal as OneOf

import psycopg
from psycopg.sql import Literal

from clawstate.errors import StateError
from clawstate.interrupts import Mutex, Use
from clawstate.postgres.address import Address
from clawstate.postgres.attempts import Attempts
from clawstate.postgres.blocks import SNAPSHOT, Prepare, Reading
from clawstate.postgres.connection import Connection, connect
from clawstate.postgres.errors import is_lost, unknown_outcome
from clawstate.postgres.notices import Announcer, Notices
from clawstate.postgres.pool import MOST, Loan, Pool

A = TypeVar("A")
Rows: TypeAlias = list[tuple[Any, ...]]
Bindings: TypeAlias = Sequence[Any] | Mapping[str, Any]
"""What the places of a statement hold, in their order or by their names."""
Isolation: TypeAlias = OneOf["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]

PATIENCE = 30.0
_STANDS_STILL = 30_000  # milliseconds that a transaction of ours may wait for its client
_EACH_FORGETS = 512  # changes, after which a process forgets old operations
_VOID = """
INSERT INTO clawstate.operations (tenant, id, void) VALUES (%s, %s, true)
ON CONFLICT DO NOTHING RETURNING 1
"""
_FATE = "SELECT void FROM clawstate.operations WHERE tenant = %s AND id = %s"
# Longer than anybody waits for an answer; by the clock of the server.
_FORGET = """
DELETE FROM clawstate.operations
WHERE tenant = %s AND at < clock_timestamp() - interval '1 hour'
"""


class Database:
    """
    The PostgreSQL database at *address*, shared by threads, processes and machines.

    *patience* returns for how many seconds a call waits for others and for a server that is away;
    after that it raises. Nothing is connected before the first call. At most *most* connections.
    """

    def __init__(
        self,
        address: Address,
        *,
        patience: Callable[[], float] = lambda: PATIENCE,
        most: int = MOST,
    ) -> None:
        self.address = address
        self.pool = Pool(lambda deadline: connect(address, deadline), str(address), most=most)
        self.forgetting: dict[str, Callable[[], object]] = {}
        """What parts let go of old rows with, called now and then by whoever writes."""
        self.notices = Notices(self.connect_alone)
        self._announcer = Announcer()
        self._patience = patience
        self._mutex = Mutex()
        self._since_forgotten = 0

    @property
    def place(self) -> str:
        """What errors and findings call the database: its address without user and password."""
        return str(self.address)

    def attempts(self) -> Attempts:
        """Return the attempts of one call, which begins now."""
        self.pool.require_open()
        return Attempts(self.address, self.pool, self._patience())

    def rows(self, sql: str, bound: Bindings = ()) -> Rows:
        """Return the rows of one statement that only reads."""
        return self.attempt(lambda connection: connection.execute(sql, bound or None).fetchall())

    def attempt(self, work: Callable[[Connection], A]) -> A:
        """
        Return what *work* makes of a connection in autocommit, which may run again.

        Raises `UnavailableError`, `LockTimeoutError`, `LimitError`, `CorruptError`, `ClosedError`.
        """
        attempts = self.attempts()
        while True:
            loan = Loan(self.pool, Use(0))
            try:
                return work(loan.begin(attempts.deadline))
            except psycopg.Error as error:
                loan.end()
                attempts.again(error)
            finally:
                loan.end()

    def read(self, work: Callable[[Connection], A]) -> A:
        """Return what *work* reads of one unchanging state; it may run again."""

        def within(connection: Connection) -> A:
            connection.execute(SNAPSHOT)
            answer = work(connection)
            connection.execute("ROLLBACK")
            return answer

        return self.attempt(within)

    def reading(self, prepare: Prepare = lambda _: None, *, begins: bool = True) -> Reading:
        """Lend a connection that sees one unchanging state, for a `with` block."""
        self.pool.require_open()
        return Reading(self, prepare, begins=begins)

    def change(
        self,
        work: Callable[[Connection], A],
        *,
        tenant: str,
        isolation: Isolation = "READ COMMITTED",
    ) -> A:
        """
        Return what *work* does in one transaction, which is committed once, and on disk then.

        *work* may run again, so it changes nothing but the database. An operation of *tenant* is
        noted in the same transaction: when the connection breaks in the COMMIT it tells whether
        that was done (decision 20). Raises what `attempt` raises, `UnavailableError` also where
        nobody could tell, and what *work* raises, with nothing changed.
        """
        attempts = self.attempts()
        while True:
            operation = str(uuid.uuid4())
            loan = Loan(self.pool, Use(0))
            is_sent = False
            try:
                connection = loan.begin(attempts.deadline)
                connection.execute(_begin(tenant, operation, isolation))
                answer = work(connection)
                is_sent = True
                _commit(connection)
            except psycopg.Error as error:
                loan.end()
                if is_sent and is_lost(error):
                    if self._was_done(operation, tenant, attempts, error):
                        return answer
                    attempts.pause()
                else:
                    attempts.again(error)
            else:
                self._announcer.tell(connection, tenant)
                loan.end()
                self._forget_some(tenant)
                return answer
            finally:
                loan.end()

    def change_once(self, sql: str, bound: Bindings, *, tenant: str) -> bool:
        """
        Run one statement that changes something, and tell whether it did.

        It gets the id of an operation as `operation`, or as its last parameter. Exactly if it
        changes something it must insert that into `clawstate.operations`, for *tenant*, and return
        a row.
        """
        attempts = self.attempts()
        while True:
            operation = str(uuid.uuid4())
            loan = Loan(self.pool, Use(0))
            try:
                connection = loan.begin(attempts.deadline)
                found = connection.execute(sql, _with_operation(bound, operation)).fetchone()
            except psycopg.Error as error:
                loan.end()
                if is_lost(error) and loan.was_lent:
                    if self._was_done(operation, tenant, attempts, error):
                        return True
                    attempts.pause()
                else:
                    attempts.again(error)
            else:
                if found is not None:
                    self._announcer.tell(connection, tenant)
                loan.end()
                self._forget_some(tenant)
                return found is not None
            finally:
                loan.end()

    def connect_alone(self) -> Connection:
        """Return a connection that is not shared; whoever asked for it closes it."""
        attempts = self.attempts()
        while True:
            try:
                return connect(self.address, attempts.deadline)
            except psycopg.Error as error:
                attempts.again(error)

    def close(self) -> None:
        """Close all connections; a call after this raises `ClosedError`."""
        self.notices.close()
        self.pool.close()

    def _was_done(
        self, operation: str, tenant: str, attempts: Attempts, error: psycopg.Error
    ) -> bool:
        """
        Tell whether *operation* was committed; if not, it never will be.

        Its number is taken: a server process that goes on with it, unaware that its client is gone,
        finds it taken and commits nothing, and one that commits just now is waited for.
        """
        self.pool.drop_idle()
        last = error
        while not attempts.is_over:
            loan = Loan(self.pool, Use(0))
            try:
                connection = loan.begin(attempts.deadline)
                if connection.execute(_VOID, (tenant, operation)).fetchone() is not None:
                    return False
                row = connection.execute(_FATE, (tenant, operation)).fetchone()
            except psycopg.Error as refused:
                loan.end()
                last = refused
                if not attempts.may_retry(refused):
                    break
                attempts.pause()
            except StateError:
                break
            else:
                # Void: an earlier look of ours, whose answer was lost as well.
                return row is not None and not row[0]
            finally:
                loan.end()
        raise unknown_outcome(self.address) from last

    def _forget_some(self, tenant: str) -> None:
        self._since_forgotten += 1
        if self._since_forgotten < _EACH_FORGETS:
            return
        self._since_forgotten = 0
        # On the side: it is no part of any change, and whoever comes next does it as well.
        try:
            self.attempt(lambda connection: connection.execute(_FORGET, (tenant,)))
            for forget in list(self.forgetting.values()):
                forget()
        except StateError:
            return


def _with_operation(bound: Bindings, operation: str) -> Bindings:
    if isinstance(bound, Mapping):
        return {**bound, "operation": operation}
    return (*bound, operation)


def _begin(tenant: str, operation: str, isolation: Isolation) -> str:
    # One round trip for three statements. A client that is stopped within the transaction must not
    # keep others out for ever, so the server ends it.
    return (
        f"BEGIN ISOLATION LEVEL {isolation};"
        f"SET LOCAL idle_in_transaction_session_timeout = {_STANDS_STILL};"
        "INSERT INTO clawstate.operations (tenant, id) VALUES "
        f"({Literal(tenant).as_string()}, '{operation}')"
    )


def _commit(connection: Connection) -> None:
    done = connection.execute("COMMIT").statusmessage
    if done != "COMMIT":  # an error within was passed over
        raise psycopg.errors.InFailedSqlTransaction("the transaction was rolled back")
