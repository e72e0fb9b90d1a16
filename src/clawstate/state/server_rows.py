"""The rows of memory and transcripts of one tenant on a server, read and changed together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from clawstate.clock import to_ms
from clawstate.memory.backends.postgres import rows as memory_rows
from clawstate.memory.backends.postgres import writing
from clawstate.memory.backends.postgres.place import Place
from clawstate.memory.backends.postgres.portable import PostgresMemoryRows
from clawstate.memory.backends.postgres.schema import MIGRATIONS as MEMORY
from clawstate.memory.backends.postgres.schema import PART as MEMORY_PART
from clawstate.postgres.part import Part
from clawstate.postgres.transaction import Transaction
from clawstate.state.server_memory import FeedNote
from clawstate.state.whole_copy import Amount, amount_of
from clawstate.stores.transcripts.backends.postgres.portable import PostgresTranscriptRows
from clawstate.stores.transcripts.backends.postgres.schema import MIGRATIONS as TRANSCRIPTS
from clawstate.stores.transcripts.backends.postgres.schema import PART as TRANSCRIPTS_PART

if TYPE_CHECKING:
    from clawstate.state.context import Context

A = TypeVar("A")

# Waits for all who change a transcript just now, and keeps others out until the commit.
_ALONE = "LOCK TABLE clawstate.transcripts IN EXCLUSIVE MODE"
# Between two statements thousands of texts are indexed here.
_LONG_WORK = "SET LOCAL idle_in_transaction_session_timeout = '10min'"
_NOTE = """
INSERT INTO clawstate.transcripts_moved VALUES (%(tenant)s, %(told)s)
ON CONFLICT (tenant) DO UPDATE SET told = excluded.told
"""
_OPEN = "DELETE FROM clawstate.transcripts_moved WHERE tenant = %(tenant)s"
_NOTED = "SELECT told FROM clawstate.transcripts_moved WHERE tenant = %(tenant)s"
_HAS_ROWS = """
SELECT EXISTS (SELECT 1 FROM clawstate.memory_records WHERE tenant = %(tenant)s)
    OR EXISTS (SELECT 1 FROM clawstate.memory_versions WHERE tenant = %(tenant)s)
    OR EXISTS (SELECT 1 FROM clawstate.transcripts WHERE tenant = %(tenant)s)
"""


@dataclass(frozen=True, slots=True)
class RowsInside:
    """The rows of both inside one transaction."""

    within: Transaction
    memory: PostgresMemoryRows
    transcripts: PostgresTranscriptRows

    def note(self, told: str) -> None:
        """Let nobody change them from the commit on; *told* says why."""
        memory_rows.store(self.within, writing.MOVED, told)
        self.within.run(_NOTE, told=told)

    def open(self) -> None:
        """Let all change them again."""
        memory_rows.drop(self.within, writing.MOVED)
        self.within.run(_OPEN)

    def refusal(self) -> str | None:
        """Return why nobody may change them, if that is so."""
        found: str | None = self.within.one(_NOTED)
        return found

    def is_held(self) -> bool:
        """Tell whether anything is kept."""
        return bool(self.within.one(_HAS_ROWS))

    def clear(self) -> None:
        """Remove all rows."""
        self.memory.clear()
        self.transcripts.clear()


class ServerRows:
    """What one tenant keeps of memory and transcripts in the database at *address*."""

    def __init__(self, context: Context, address: str) -> None:
        database = context.backends.server_database(address)
        tenant = context.backends.tenant
        self._now: Callable[[], int] = lambda: to_ms(context.clock())
        self._memory = Part(database, MEMORY_PART, MEMORY, tenant=tenant)
        self._transcripts = Part(database, TRANSCRIPTS_PART, TRANSCRIPTS, tenant=tenant)
        self._place = Place(
            self._memory,
            now_ms=self._now,
            note=FeedNote(database, tenant),
            written=lambda _: None,
        )

    @property
    def place(self) -> str:
        """What errors call the database."""
        return self._memory.place

    def exists(self) -> bool:
        """Tell whether there are tables of memory or transcripts."""
        return self._memory.exists() or self._transcripts.exists()

    def has_rows(self) -> bool:
        """Tell whether anything is kept."""
        if not self.exists():
            return False
        with self.reading() as rows:
            return rows.is_held()

    def note(self) -> str | None:
        """Return why nobody may change them, if that is so."""
        if not self.exists():
            return None
        with self.reading() as rows:
            return rows.refusal()

    def amount(self) -> Amount:
        """Return how much is kept."""
        if not self.exists():
            return Amount()
        with self.reading() as rows:
            return amount_of((rows.memory, rows.transcripts))

    @contextmanager
    def reading(self) -> Iterator[RowsInside]:
        """Lend the rows of one moment."""
        self._transcripts.make()
        with self._memory.reading() as connection:
            yield self._inside(Transaction(connection, self._memory.tenant))

    def change(self, work: Callable[[RowsInside], A]) -> A:
        """Return what *work* does in one transaction, while nobody else changes anything."""
        self._transcripts.make()

        def change(within: Transaction) -> A:
            within.run(_LONG_WORK)
            within.run(_ALONE)
            return work(self._inside(within))

        return self._place.change(change, alone=True, moves=True)

    def open(self) -> None:
        """Let all change them again."""
        self.change(lambda rows: rows.open())

    def drop(self) -> None:
        """Remove all rows for good, and the note with them."""

        def drop(rows: RowsInside) -> None:
            rows.clear()
            rows.open()

        self.change(drop)

    def _inside(self, within: Transaction) -> RowsInside:
        return RowsInside(
            within,
            PostgresMemoryRows(within, now_ms=self._now()),
            PostgresTranscriptRows(within),
        )
