"""The `with` blocks in which a database is used, and what of it each of them holds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

import apsw

from clawstate.interrupts import Mutex, Use, hold, let_go
from clawstate.sqlite.faults import translated
from clawstate.sqlite.lending import Lending


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection, and the file that it was opened on."""

    connection: apsw.Connection
    inode: int  # a database that was put in this one's place must not be written through it
    require_unchanged: Callable[[], object] | None = None
    """Raises if what was read does not count; such a connection is used once."""

    def require_sound(self) -> None:
        """Raise `UnavailableError` if what was read does not count."""
        if self.require_unchanged is not None:
            self.require_unchanged()


def end_transaction(connection: apsw.Connection) -> None:
    """Take back what was not committed."""
    with contextlib.suppress(apsw.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


class Lender(Protocol):
    """What lends the connections: the `Database`."""

    path: Path

    def borrow(self) -> Opened:
        """Return a connection that reads."""

    def take_back(self, opened: Opened, error: BaseException | None = None) -> None:
        """Keep *opened*, which is in no transaction, for the next who reads."""

    def enter_gate(self, use: Use) -> None:
        """Wait for the turn of a writer, which ends with *use*."""

    def leave_gate(self, use: Use) -> None:
        """Give the turn to the next writer; harmless when that is done."""

    def begin(self, writing: object) -> apsw.Connection:
        """Begin the transaction of *writing*, whose turn it is, and return its connection."""

    def end(self, writing: object, error: BaseException | None = None) -> None:
        """Take back what *writing* did not commit; harmless when it is over."""


class _Block:
    """A `with` block that is known as a `Holding` from before it takes anything."""

    def __init__(self, database: Lender, lending: Lending) -> None:
        self._database = database
        self._lending = lending
        self._ending = Mutex()

    def is_over(self) -> bool:
        """Tell whether the block is over."""
        return self._use.is_over()

    def discard(self) -> None:
        """Take back what was not committed, and let go of what is held."""
        self._give_back(None)

    def _begin(self, use: Use) -> None:
        self._use = use
        self.thread = use.thread
        hold(self)

    def _end(self, error: BaseException | None) -> None:
        self._give_back(error)
        let_go(self)

    def _give_back(self, error: BaseException | None) -> None:
        raise NotImplementedError


class Reading(_Block):
    """A block that reads; see `Database.reading`."""

    def __init__(self, database: Lender, lending: Lending) -> None:
        super().__init__(database, lending)
        self._opened: Opened | None = None

    def __enter__(self) -> apsw.Connection:
        return self.enter(Use())

    def enter(self, use: Use) -> apsw.Connection:
        """Begin for *use*, a block that ends with `__exit__`."""
        self._begin(use)
        with translated(self._database.path):
            try:
                self._lending.enter(self, self._use)
                self._opened = self._database.borrow()
                self._opened.connection.execute("BEGIN")
            except BaseException as error:
                self._end(error)
                raise
        return self._opened.connection

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        opened = self._opened
        self._end(error)
        translated(self._database.path).__exit__(kind, error, trace)
        if error is None and opened is not None:
            opened.require_sound()

    def _give_back(self, error: BaseException | None) -> None:
        with self._ending:
            opened = self._opened
            if opened is not None:
                end_transaction(opened.connection)
                self._opened = None  # before somebody else has it
                self._database.take_back(opened, error)
            self._lending.leave(self)


class Writing(_Block):
    """A block that writes; see `Database.writing`."""

    def __init__(self, database: Lender, lending: Lending) -> None:
        super().__init__(database, lending)
        self._connection: apsw.Connection | None = None

    def __enter__(self) -> apsw.Connection:
        self._begin(Use())
        with translated(self._database.path):
            try:
                self._database.enter_gate(self._use)
                self._lending.enter(self, self._use)
                self._connection = self._database.begin(self)
            except BaseException as error:
                self._end(error)  # of SQLite itself: it tells whether the connection may stay
                raise
        return self._connection

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with translated(self._database.path):
            try:
                if error is None and self._connection is not None:
                    self._connection.execute("COMMIT")
            except BaseException as refused:
                self._end(refused)
                raise
            self._end(error)
        translated(self._database.path).__exit__(kind, error, trace)

    def _give_back(self, error: BaseException | None) -> None:
        with self._ending:
            self._database.end(self, error)
            self._lending.leave(self)
            self._database.leave_gate(self._use)
