"""`Part`: the named tables of one user of a database file, read and written in blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from clawstate.errors import ClosedError
from clawstate.interrupts import Use
from clawstate.sqlite.blocks import Alone, Lender, Reading, Writing, upgrade
from clawstate.sqlite.errors import sqlite_errors
from clawstate.sqlite.migrations import OlderFormatError, PartFormat
from clawstate.sqlite.pool import PoolGuard


class Part:
    """
    One named part of *database*; see `Database.part`.

    Closing it ends this use alone, and calls *at_end*: whoever made the database closes it.
    """

    def __init__(
        self,
        database: Lender,
        guard: PoolGuard,
        part: PartFormat,
        at_end: Callable[[], object],
    ) -> None:
        self.path = database.path
        self._database = database
        self._guard = guard
        self._part = part
        self._at_end = at_end
        self._closed = False

    @property
    def generation(self) -> int:
        """A number that moves when another file was put in the place of this one."""
        return self._database.generation

    def exists(self) -> bool:
        """Tell whether a write has made the database; raises `ClosedError`."""
        self._require_open()
        return self._database.exists()

    def rows(self, sql: str, bindings: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """
        Return the rows of one statement that only reads; raises what `reading` raises.

        A statement alone sees one state anyway: it costs half as much as in a transaction.
        """
        self._require_open()
        try:
            return self._rows(sql, bindings)
        except OlderFormatError as older:
            upgrade(self._database, self._guard, self._part, older)
            return self._rows(sql, bindings)

    def _rows(self, sql: str, bindings: Sequence[Any]) -> list[tuple[Any, ...]]:
        key = object()
        database = self._database
        with sqlite_errors(self.path):
            try:
                self._guard.enter(key, Use(0))
                opened = database.borrow(self._part)
                try:
                    found = opened.connection.execute(sql, bindings).fetchall()
                except BaseException as error:
                    database.take_back(opened, error)
                    raise
                database.take_back(opened)
                opened.require_sound()
                return found
            finally:
                self._guard.leave(key)

    def reading(self) -> Reading:
        """
        Lend a connection that sees one unchanging state of the database, for a `with` block.

        Raises `CorruptError`, `VersionError`, `UnavailableError`, `ClosedError`.
        """
        self._require_open()
        return Reading(self._database, self._guard, self._part)

    def writing(self) -> Writing:
        """
        Lend the writing connection inside a transaction, committed when the `with` block succeeds.

        On disk when the block is left. Raises `LockTimeoutError` and what `reading` raises.
        """
        self._require_open()
        return Writing(self._database, self._guard, self._part)

    def alone(self) -> Alone:
        """
        Keep other writers out for a `with` block without opening the file; gives the format.

        For a repair of what cannot be opened in the usual way. Raises `LockTimeoutError`.
        """
        self._require_open()
        return Alone(self._database, self._guard, self._part)

    def close(self) -> None:
        """End this use; a call after it raises `ClosedError`."""
        self._closed = True
        self._at_end()

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError(str(self.path))
