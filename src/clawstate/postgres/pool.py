"""The connections of one database: few, shared by all threads, each lent to one of them."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable
from typing import Final

from clawstate.errors import ClosedError, LimitError
from clawstate.interrupts import Mutex, Signal, Use, forget, hold
from clawstate.postgres.connection import Connection

MOST: Final = 8
"""Connections of one process; a server has some hundred for all."""

_LONGEST_IDLE, _LONGEST_LIFE = 120.0, 1800.0  # seconds: balancers forget what is older
_LOOK = 0.05  # seconds between two looks for a connection that nobody needs any longer


class Loan:
    """
    A connection that is lent for *use*, a call or a `with` block: given back when that is over.

    Not psycopg's own pool: its threads and locks survive neither a fork nor an interrupt
    (decision 020).
    """

    def __init__(self, pool: Pool, use: Use) -> None:
        self.thread = use.thread
        self.connection: Connection | None = None
        self.was_lent = False
        self._pool = pool
        self._use: Use | None = use

    def is_over(self) -> bool:
        """Tell whether nobody needs the connection any longer."""
        use = self._use
        return use is None or use.is_over()

    def begin(self, deadline: float) -> Connection:
        """Return the connection, valid for statements until *deadline*."""
        hold(self)
        try:
            self._pool.lend(self, deadline)
        except BaseException:
            self.end()
            raise
        assert self.connection is not None  # noqa: S101 - lent just now
        self.was_lent = True
        self.connection.deadline = deadline
        return self.connection

    def discard(self) -> None:
        """Give it back; it is closed if it is within a transaction or a statement."""
        self._pool.take_back(self)

    def end(self) -> None:
        """Give it back, and note it no longer."""
        self.discard()
        forget(self)
        # It knows the frame of a caller, who knows this: what that holds shall go with the call.
        self._use = None


class Pool:
    """At most *most* connections, made by *connect* as they are needed."""

    def __init__(
        self, connect: Callable[[float], Connection], name: str, *, most: int = MOST
    ) -> None:
        self._connect = connect
        self._name = name
        self._most = most
        self._idle: list[tuple[float, Connection]] = []
        self._loans: dict[int, Loan] = {}
        self._waiting: list[Signal] = []
        self._mutex = Mutex()
        self._closed = False
        self.was_reached = False
        _POOLS.add(self)

    def lend(self, loan: Loan, deadline: float) -> None:
        """
        Give *loan* a connection, an idle one if there is any.

        Raises `LimitError` when others have all of them until *deadline*, `ClosedError`, and what
        connecting raises.
        """
        self._take_place(loan, deadline)
        while (found := self._take_idle()) is not None:
            if found.is_idle and time.monotonic() - found.born < _LONGEST_LIFE:
                loan.connection = found
                return
            found.close()
        loan.connection = self._connect(deadline)
        self.was_reached = True

    def take_back(self, loan: Loan) -> None:
        """Take back what *loan* has; harmless when that is done."""
        connection, loan.connection = loan.connection, None
        if connection is not None:
            if self._closed or not connection.is_idle:
                connection.close()
            else:
                self._idle.append((time.monotonic(), connection))
        if self._loans.pop(id(loan), None) is not None:
            waiting = self._waiting[:1]
            for each in waiting:
                each.give()

    def drop_idle(self) -> None:
        """Close what nobody uses: after one connection was lost, the others are as well."""
        while (found := self._take_idle()) is not None:
            found.close()

    def close(self) -> None:
        """Close all connections; those that are lent when they are given back."""
        self._closed = True
        self.drop_idle()

    def require_open(self) -> None:
        """Raise `ClosedError` after `close`."""
        if self._closed:
            raise ClosedError(self._name)

    def start_afresh(self) -> None:
        """Know nothing of what a parent process had."""
        self._idle, self._loans, self._waiting = [], {}, []
        self._mutex = Mutex()

    def _take_place(self, loan: Loan, deadline: float) -> None:
        signal = Signal()
        try:
            while True:
                self.require_open()
                with self._mutex:
                    if len(self._loans) < self._most:
                        self._loans[id(loan)] = loan
                        return
                    if signal not in self._waiting:
                        self._waiting.append(signal)
                left = deadline - time.monotonic()
                if left <= 0:
                    hint = "end what uses them for long, or use fewer threads"
                    raise LimitError(
                        f"connections to {self._name} of this process", self._most, hint
                    )
                signal.take(min(left, _LOOK))
                self._tidy()
        finally:
            if signal in self._waiting:
                self._waiting.remove(signal)

    def _tidy(self) -> None:
        for loan in list(self._loans.values()):
            # Two looks: one alone may be wrong of a thread that goes on meanwhile.
            if loan.is_over() and loan.is_over():
                loan.end()

    def _take_idle(self) -> Connection | None:
        while self._idle:
            try:
                since, found = self._idle.pop()
            except IndexError:  # another thread was faster
                return None
            if time.monotonic() - since < _LONGEST_IDLE:
                return found
            found.close()
        return None


_POOLS: weakref.WeakSet[Pool] = weakref.WeakSet()


def _after_fork() -> None:
    for each in list(_POOLS):
        each.start_afresh()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
