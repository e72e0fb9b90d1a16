"""The `with` blocks in which a part of a database file is read or written, each a `Holding`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Generic, Protocol, TypeVar

import apsw

from clawstate.errors import CorruptError, StateError
from clawstate.interrupts import Mutex, Use, forget, hold
from clawstate.sqlite.connections import Opened, end_transaction
from clawstate.sqlite.errors import sqlite_errors
from clawstate.sqlite.migrations import OlderFormatError, PartFormat
from clawstate.sqlite.pool import PoolGuard

T = TypeVar("T")

_STUMBLES = (TypeError, ValueError, LookupError, ArithmeticError)


class Lender(Protocol):
    """What lends the connections: the `Database`."""

    path: Path

    @property
    def generation(self) -> int:
        """A number that moves when another file was put in the place of this one."""

    def exists(self) -> bool:
        """Tell whether a write has made the file."""

    def borrow(self, part: PartFormat) -> Opened:
        """Return a connection that reads *part*."""

    def take_back(self, opened: Opened, error: BaseException | None = None) -> None:
        """Keep *opened*, which is in no transaction, for the next who reads."""

    def lock_writers(self, use: Use) -> None:
        """Wait for the writer lock, which is held until *use* is over."""

    def unlock_writers(self, use: Use) -> None:
        """Let the next writer have the lock; harmless when that is done."""

    def begin(self, writing: object, part: PartFormat) -> apsw.Connection:
        """Return the connection for *writing*, which holds the writer lock, in a transaction."""

    def seal(self, connection: apsw.Connection) -> None:
        """Do what belongs to the transaction of *connection* as its last change."""

    def after_commit(self) -> None:
        """Do what follows a transaction while other writers still wait."""

    def end(self, writing: object, error: BaseException | None = None) -> None:
        """Take back what *writing* did not commit; harmless when it is over."""


class _Block:
    """A `with` block that is known as a `Holding` from before it takes anything."""

    def __init__(self, database: Lender, guard: PoolGuard, part: PartFormat) -> None:
        self._database = database
        self._guard = guard
        self._part = part
        # The guard thread of the interrupts may give back what this thread gives back just now.
        self._ending = Mutex()

    def is_over(self) -> bool:
        """Tell whether the block is over."""
        return self._use.is_over()

    def discard(self) -> None:
        """Roll back what was not committed, and release what is held."""
        self._give_back(None)

    def _begin(self, use: Use) -> None:
        # Before anything is taken: an interrupt between taking and noting would leave it taken.
        self._use = use
        self.thread = use.thread
        hold(self)

    def _end(self, error: BaseException | None) -> None:
        self._give_back(error)
        forget(self)

    def _give_back(self, error: BaseException | None) -> None:
        raise NotImplementedError


class Reading(_Block):
    """A block that reads; see `Part.reading`."""

    def __init__(self, database: Lender, guard: PoolGuard, part: PartFormat) -> None:
        super().__init__(database, guard, part)
        self._opened: Opened | None = None

    def __enter__(self) -> apsw.Connection:
        return self.enter(Use())

    def enter(self, use: Use) -> apsw.Connection:
        """Begin for *use*, a block that ends with `__exit__`."""
        try:
            return self._enter(use)
        except OlderFormatError as older:
            upgrade(self._database, self._guard, self._part, older)
            return self._enter(use)

    def _enter(self, use: Use) -> apsw.Connection:
        self._begin(use)
        with sqlite_errors(self._database.path):
            try:
                self._guard.enter(self, self._use)
                self._opened = self._database.borrow(self._part)
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
        sqlite_errors(self._database.path).__exit__(kind, error, trace)
        _raise_if_damaged(self._database, self._guard, self._part, error)
        # Whether somebody wrote meanwhile is known only now, when all was read.
        if error is None and opened is not None:
            opened.require_sound()

    def _give_back(self, error: BaseException | None) -> None:
        with self._ending:
            opened = self._opened
            if opened is not None:
                end_transaction(opened.connection)
                self._opened = None  # before somebody else has it
                self._database.take_back(opened, error)
            self._guard.leave(self)


class Lent(Generic[T]):
    """A `with` block that lends what *read* makes of one state, for as long as it is read."""

    # A generator would outlive a block that is cut off, and its transaction with it.
    def __init__(self, block: Reading, read: Callable[[apsw.Connection], T]) -> None:
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


class Writing(_Block):
    """A block that writes; see `Part.writing`."""

    def __init__(self, database: Lender, guard: PoolGuard, part: PartFormat) -> None:
        super().__init__(database, guard, part)
        self._connection: apsw.Connection | None = None

    def __enter__(self) -> apsw.Connection:
        self._begin(Use())
        with sqlite_errors(self._database.path):
            try:
                # The lock first: who waits for it uses no connection yet, and a fork need not wait
                # for that.
                self._database.lock_writers(self._use)
                self._guard.enter(self, self._use)
                self._connection = self._database.begin(self, self._part)
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
        with sqlite_errors(self._database.path):
            try:
                if error is None and self._connection is not None:
                    self._database.seal(self._connection)
                    self._connection.execute("COMMIT")
                    self._database.after_commit()
            except BaseException as refused:
                # What could not be committed is taken back before anybody else gets the connection.
                self._end(refused)
                raise
            self._end(error)
        sqlite_errors(self._database.path).__exit__(kind, error, trace)
        _raise_if_damaged(self._database, self._guard, self._part, error)

    def _give_back(self, error: BaseException | None) -> None:
        with self._ending:
            # In this order: the transaction is over before the next writer has the lock.
            self._database.end(self, error)
            self._guard.leave(self)
            self._database.unlock_writers(self._use)


class Alone(_Block):
    """A block that holds the writer lock and opens nothing; see `Part.alone`."""

    def __enter__(self) -> PartFormat:
        self._begin(Use())
        try:
            self._database.lock_writers(self._use)
        except BaseException as error:
            self._end(error)
            raise
        return self._part

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(error)
        sqlite_errors(self._database.path).__exit__(kind, error, trace)

    def _give_back(self, error: BaseException | None) -> None:  # noqa: ARG002 - of the others
        with self._ending:
            self._database.unlock_writers(self._use)


def upgrade(database: Lender, guard: PoolGuard, part: PartFormat, older: OlderFormatError) -> None:
    """Bring *part* to the format of now; raises *older* where nobody may write."""
    # A reader takes the writer lock here, once in the life of a file: a state of the release before
    # would otherwise answer nothing until somebody writes to it.
    try:
        with Writing(database, guard, part):
            pass
    except StateError as refused:
        raise older from refused


def _raise_if_damaged(
    database: Lender, guard: PoolGuard, part: PartFormat, error: BaseException | None
) -> None:
    # Damage that SQLite does not notice shows as values of other types or numbers than were
    # written, over which a reader may stumble anywhere. Asked only then, since it reads all.
    if part.faults is None or not isinstance(error, _STUMBLES) or isinstance(error, StateError):
        return
    with Reading(database, guard, replace(part, faults=None)) as connection:
        found = part.faults(connection)
    if found:
        raise CorruptError(str(database.path), found[0]) from error
