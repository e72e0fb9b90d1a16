"""`Place`: the part of the database that a memory lies in, and what its changes have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import psycopg

from clawstate.errors import UnavailableError
from clawstate.memory.backends.postgres import writing
from clawstate.postgres.database import Isolation
from clawstate.postgres.part import Part
from clawstate.postgres.transaction import Note, Row, Transaction

A = TypeVar("A")

MOVED_HINT: Final = (
    "open the state again; a move that was cut off is carried on by the same"
    " 'clawstate store migrate'"
)

_USUAL: Final[Isolation] = "REPEATABLE READ"


class Place:
    """
    The tables of one memory, read and changed in transactions.

    A change sees one state, and is done again where another one changed the same meanwhile; *note*
    tells the feed of it. `written` is told how many changes left bytes behind.
    """

    def __init__(
        self,
        part: Part,
        *,
        now_ms: Callable[[], int],
        note: Note,
        written: Callable[[int], object],
    ) -> None:
        self.part = part
        self.now_ms = now_ms
        self.written = written
        self._note = note

    @property
    def tenant(self) -> str:
        """Whose memory it is."""
        return self.part.tenant

    def exists(self) -> bool:
        """Tell whether anything was ever kept; raises `ClosedError`."""
        return self.part.exists()

    def read(self, work: Callable[[Transaction], A]) -> A:
        """Return what *work* reads of one unchanging state; it may run again."""
        return self.part.read(lambda connection: work(Transaction(connection, self.tenant)))

    def rows(self, sql: str, **bound: Any) -> list[Row]:
        """Return the rows of one statement that only reads."""
        # It sees one state by itself: one round trip in place of three.
        return self.part.rows(sql, {"tenant": self.tenant, **bound})

    def change(
        self,
        work: Callable[[Transaction], A],
        *,
        alone: bool = False,
        in_order: bool = False,
        moves: bool = False,
    ) -> A:
        """
        Return what *work* does in one transaction; it may run again.

        *alone*: no other change of this memory goes on meanwhile. *in_order*: also what it only
        reads, such as the last place in a thread, is not changed by another one. *moves*: also of a
        memory that lies elsewhere by now, which refuses all others with `UnavailableError`.
        """

        def within(connection: Any) -> A:
            transaction = Transaction(connection, self.tenant, self._note)
            try:
                told = writing.enter(transaction, alone=alone)
                if told is not None and not moves:
                    raise UnavailableError(self.part.place, f"the memory is {told}", MOVED_HINT)
                return work(transaction)
            except psycopg.errors.UniqueViolation as error:
                # Another change, that was not seen, made the same id, name or table.
                raise psycopg.errors.SerializationFailure(str(error)) from error

        # Alone it sees all that was done while it waited.
        isolation: Isolation = "READ COMMITTED" if alone else "SERIALIZABLE" if in_order else _USUAL
        return self.part.change(within, isolation=isolation)

    def outside(self, sql: str) -> None:
        """Run one statement of upkeep outside of transactions."""
        self.part.database.attempt(lambda connection: connection.execute(sql))
