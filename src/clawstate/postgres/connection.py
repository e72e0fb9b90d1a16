"""A connection whose every wait ends with a deadline, and which no fork shares."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg import waiting
from psycopg.pq import TransactionStatus

from clawstate.postgres.address import Address

RV = TypeVar("RV")

_LOOK = 0.1  # seconds between two looks at the clock while the server is silent
_PID = "SELECT pg_backend_pid()"
_PREPARED_AT = 5  # times that a statement is sent before it is prepared
_LEAST_PATIENCE = 2  # seconds: libpq takes less for this anyway
_CANCEL_PATIENCE = 0.5  # seconds for asking the server to stop a statement


class DeadlineError(psycopg.OperationalError):
    """The server did not answer in time; what it does with the statement is not known."""


class Connection(psycopg.Connection[Any]):
    """
    A connection of psycopg that raises `DeadlineError` once `deadline` (monotonic) has passed.

    Neither server nor network need answer for that. It is closed then, for what the statement did
    is not known; so it is after an interrupt.
    """

    deadline: float = float("inf")
    born: float = 0.0

    def wait(self, gen: Any, *_: Any, **__: Any) -> Any:
        """Return what *gen* ends with, a generator of psycopg that waits for the server."""
        try:
            return waiting.wait(_ends_with(gen, self), self.pgconn.socket, _LOOK)
        except psycopg.Error as error:
            if isinstance(error, DeadlineError):
                self._give_up()
            raise
        except BaseException:
            # An interrupt: the statement may still run, and nobody waits for its answer.
            self._give_up()
            raise

    @property
    def is_idle(self) -> bool:
        """Whether it is in no transaction and ready for the next statement."""
        return not self.closed and self.pgconn.transaction_status == TransactionStatus.IDLE

    def _give_up(self) -> None:
        try:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.cancel_safe(timeout=_CANCEL_PATIENCE)
        except Exception:  # noqa: BLE001, S110 - the server may be gone; it is closed all the same
            pass
        finally:
            self.close()


def _ends_with(gen: Any, connection: Connection) -> Generator[Any, Any, Any]:
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= connection.deadline:
                raise DeadlineError("no answer in time")
            wanted = gen.send(ready)
    except StopIteration as end:
        return end.value


def connect(address: Address, deadline: float) -> Connection:
    """
    Return a new connection to *address*, made before *deadline* (monotonic), in autocommit.

    Nothing is set for the session: that breaks behind a pooler that hands out another connection
    with each transaction. What is asked again and again is prepared where none stands between.
    """
    given = address.parameters()
    left = max(_LEAST_PATIENCE, int(deadline - time.monotonic()))
    given.setdefault("connect_timeout", min(left, 10))
    made = Connection.connect(**given, autocommit=True, prepare_threshold=None)
    made.born = time.monotonic()
    made.deadline = deadline
    if is_direct(made):
        made.prepare_threshold = _PREPARED_AT
    made.deadline = float("inf")
    _OPEN.add(made)
    return made


def is_direct(connection: Connection) -> bool:
    """Tell whether *connection* is to the server itself, and not to a pooler before it."""
    # A pooler makes up what a client cancels a statement with, this number in it.
    row = connection.execute(_PID).fetchone()
    return row is not None and row[0] == connection.info.backend_pid


_OPEN: weakref.WeakSet[Connection] = weakref.WeakSet()


def _cut_off() -> None:
    # A child that used or closed what it inherited would speak into the session of its parent. The
    # number stays taken, so that no file of the child's gets it.
    inherited = list(_OPEN)
    if not inherited:
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    for each in inherited:
        try:
            os.dup2(nothing, each.pgconn.socket)
            each.close()
        except (psycopg.Error, OSError):
            continue
    os.close(nothing)
    _OPEN.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_cut_off)
