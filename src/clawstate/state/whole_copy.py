"""Copying all rows of a memory and its transcripts to another engine, and comparing them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from clawstate.errors import UnavailableError

Row: TypeAlias = "tuple[Any, ...]"

Tell: TypeAlias = "Callable[[int, int, str], None]"
"""Is told how much is done, of how much, and what is next."""

# Changed with each change, or as large as what was kept: these are told apart by a number.
_LARGE = frozenset({"records", "versions", "kept_vectors", "reembedded"})
_EACH = 512  # rows between two looks at the clock of the progress


class Rows(Protocol):
    """The rows of a memory, or of its transcripts, inside a transaction of their engine."""

    @property
    def tables(self) -> Mapping[str, tuple[str, ...]]:
        """The columns of each table, in the order in which tables are to be loaded."""

    def read(self, table: str) -> Iterator[Row]:
        """Give the rows of *table*."""

    def count(self, table: str) -> tuple[int, int]:
        """Return how many rows *table* has, and about how many bytes."""

    def load(self, table: str, rows: Iterable[Row]) -> None:
        """Add *rows* to *table*, which is empty."""

    def finish(self) -> None:
        """Make what derives from the rows, once all are there."""

    def changes(self) -> str:
        """Return what differs after each change of what is kept."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How many *records*, *messages* and *rows* of all tables, and about how many bytes."""

    records: int = 0
    messages: int = 0
    rows: int = 0
    size: int = 0


def amount_of(parts: Iterable[Rows]) -> Amount:
    """Return how much there is in *parts*."""
    counts = {table: part.count(table) for part in parts for table in part.tables}
    rows, size = (sum(each[place] for each in counts.values()) for place in (0, 1))
    records = counts.get("records", (0, 0))[0]
    return Amount(records, counts.get("messages", (0, 0))[0], rows, size)


def copy_rows(source: Rows, target: Rows, counted: Counted) -> None:
    """
    Copy all rows of *source* to the empty *target*, and compare by counts and digests.

    Raises `UnavailableError` where other rows arrived than were sent.
    """
    sent: dict[str, str] = {}
    for table in source.tables:
        digest = RowDigest()
        target.load(table, counted(table, digest.through(source.read(table))))
        sent[table] = digest.text
    target.finish()
    for table in source.tables:
        digest = RowDigest()
        for _ in counted(f"comparing {table}", digest.through(target.read(table))):
            pass
        # A memory that nothing was ever kept in has no name yet, and gets one where it arrives.
        is_named_now = table == "meta" and sent[table].startswith("0:")
        if digest.text != sent[table] and not is_named_now:
            problem = f"does not hold the rows that were copied ({digest.text} of {sent[table]})"
            raise UnavailableError(f"table {table}", problem, "nothing changed; try again")


def stamp_of(rows: Rows) -> str:
    """Return what differs after each change of what *rows* keeps, at little cost."""
    whole = hashlib.sha256(rows.changes().encode())
    for table in rows.tables.keys() - _LARGE - {"messages", "message_blobs", "message_pieces"}:
        whole.update(f"{table} {digest_of(rows, table)}\n".encode())
    return whole.hexdigest()


def digest_of(rows: Rows, table: str) -> str:
    """Return the count and the digest of the rows of *table*, whatever order they lie in."""
    digest = RowDigest()
    for _ in digest.through(rows.read(table)):
        pass
    return digest.text


class RowDigest:
    """The count and a digest of rows that pass by, the same in any order."""

    def __init__(self) -> None:
        self._count = 0
        self._total = 0

    @property
    def text(self) -> str:
        """What tells these rows from others."""
        return f"{self._count}:{self._total:064x}"

    def through(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Give *rows*, each of which is counted."""
        for row in rows:
            text = json.dumps([_plain(each) for each in row]).encode("utf-8", "surrogatepass")
            # Added up: of two equal rows neither takes the other away.
            self._total += int.from_bytes(hashlib.sha256(text).digest())
            self._total &= (1 << 256) - 1
            self._count += 1
            yield row


class Counted:
    """Tells how many rows passed by, of twice *total*: each is copied, and then compared."""

    def __init__(self, tell: Tell, total: int) -> None:
        self._tell = tell
        self._total = max(2 * total, 1)
        self._done = 0

    def __call__(self, what: str, rows: Iterable[Row]) -> Iterator[Row]:
        """Give *rows*, and tell of them as *what*."""
        self._tell(min(self._done, self._total), self._total, what)
        for row in rows:
            yield row
            self._done += 1
            if not self._done % _EACH:
                self._tell(min(self._done, self._total), self._total, what)


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value
