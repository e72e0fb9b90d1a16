"""Revisions, cursors and the memory of deleted keys in a SQLite database of records."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final

import apsw

from clawstate.clock import Clock, system_clock
from clawstate.records.contract import ChangedKeys
from clawstate.sqlite import DamagedValueError

REMEMBERED: Final = 10_000
"""The deleted keys that `changes` can tell of; a cursor from before them is forgotten."""

EPOCHS: Final = 1_000
"""The epochs whose cursors are known."""

_FORGOTTEN_AT_ONCE = 64  # so that no change pays for the deletions of another
_LONGEST_NUMBER = 18  # digits: more could be no integer of SQLite


class History:
    """
    The one growing number of a database, handed out in epochs.

    A new epoch starts with the first change of this object, and whenever the database is not the
    one that it last changed. It starts at the microseconds of the present, or above what is there:
    so a revision that was lost with a restored backup is not handed out for a second value.
    """

    def __init__(self, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._epoch: _Epoch | None = None
        self._seen = 0

    def advance(self, connection: apsw.Connection, count: int, generation: int) -> int:
        """Take *count* numbers inside the running transaction, and return the first of them."""
        first = self._extend(connection, count, generation)
        if first is None:
            number = _row(connection)[0]
            first = max(number + 1, int(self._clock() * 1_000_000))
            self._begin(connection, first, number, generation)
            connection.execute("UPDATE history SET rev = ?", (first + count - 1,))
        self._seen = first + count - 1
        return first

    def _extend(self, connection: apsw.Connection, count: int, generation: int) -> int | None:
        epoch = self._epoch
        if epoch is None or epoch.generation != generation:
            return None
        # One statement, for it is on the way of every change.
        bound = count, self._seen, epoch.first, epoch.name
        last = connection.execute(_CONTINUE, bound).get
        return None if last is None else int(last) - count + 1

    def _begin(self, connection: apsw.Connection, first: int, before: int, generation: int) -> None:
        self._epoch = _Epoch(os.urandom(8).hex(), first, generation)
        connection.execute("INSERT INTO epochs VALUES (?, ?, ?)", (first, before, self._epoch.name))
        sql = "SELECT first FROM epochs ORDER BY first DESC LIMIT 1 OFFSET ?"
        connection.execute(f"DELETE FROM epochs WHERE first <= ({sql})", (EPOCHS,))


def forget_removed(connection: apsw.Connection, added: int) -> None:
    """Note that *added* keys were deleted, and forget some of those that are too many."""
    too_many = _row(connection)[2] + added - REMEMBERED
    gone = 0
    if too_many > 0:
        limit = min(too_many, added + _FORGOTTEN_AT_ONCE)
        oldest = "SELECT rev FROM removed ORDER BY rev LIMIT ?"
        sql = f"DELETE FROM removed WHERE rev IN ({oldest}) RETURNING rev"
        revs = [row[0] for row in connection.execute(sql, (limit,))]
        gone = len(revs)
        connection.execute("UPDATE history SET floor = max(floor, ?)", (max(revs, default=0),))
    if added != gone:
        connection.execute("UPDATE history SET removed = removed + ?", (added - gone,))


def changes(connection: apsw.Connection, tenant: str, kind: str, since: str | None) -> ChangedKeys:
    """Return which keys moved after the cursor *since*, and a cursor of now."""
    cursor, start = _place_of(connection, since)
    if start is None:
        return ChangedKeys(cursor, frozenset(), complete=since is None)
    rows = connection.execute(_MOVED, (tenant, kind, start) * 2)
    return ChangedKeys(cursor, frozenset(row[0] for row in rows))


def changes_of_all(
    connection: apsw.Connection, tenant: str, since: str | None
) -> tuple[str, list[tuple[str, str]] | None]:
    """
    Return a cursor of now, and kind and key of what moved after *since*, the last change last.

    `None` in the place of these if *since* is a cursor that is not known.
    """
    cursor, start = _place_of(connection, since)
    if start is None:
        return cursor, [] if since is None else None
    if since == cursor:
        return cursor, []
    rows = connection.execute(_MOVED_OF_ALL, (tenant, start))
    return cursor, [(kind, key) for kind, key, _ in rows]


CURSOR: Final = """
SELECT (SELECT epoch FROM epochs WHERE first <= h.rev ORDER BY first DESC LIMIT 1), h.rev
FROM history h
"""
"""Epoch and number of a cursor of now, in one statement for whoever only looks."""


def _place_of(connection: apsw.Connection, since: str | None) -> tuple[str, int | None]:
    """Return a cursor of now, and the number of the cursor *since* if that is known."""
    number, floor, _ = _row(connection)
    cursor = f"{_epoch_of(connection, number)}.{number}"
    epoch, _, digits = (since or "").partition(".")
    is_number = digits.isdecimal() and len(digits) <= _LONGEST_NUMBER
    moment = int(digits) if is_number else -1
    is_known = floor <= moment <= number and not _is_lost(connection, moment)
    return cursor, moment if is_known and _epoch_of(connection, moment) == epoch else None


_CONTINUE = """
UPDATE history SET rev = rev + ?
WHERE rev >= ? AND (SELECT epoch FROM epochs WHERE first = ?) = ?
RETURNING rev
"""

_MOVED = """
SELECT id FROM records WHERE tenant = ? AND kind = ? AND rev > ?
UNION ALL
SELECT id FROM removed WHERE tenant = ? AND kind = ? AND rev > ?
"""

# The kinds are found one by one in the index: to read all records for them would take too long.
_MOVED_OF_ALL = """
WITH RECURSIVE kinds (kind) AS (
    SELECT min(kind) FROM records WHERE tenant = ?1
    UNION ALL
    SELECT (SELECT min(kind) FROM records WHERE tenant = ?1 AND kind > kinds.kind)
    FROM kinds WHERE kinds.kind IS NOT NULL
)
SELECT r.kind, r.id, r.rev FROM kinds CROSS JOIN records r
ON r.tenant = ?1 AND r.kind = kinds.kind AND r.rev > ?2
UNION ALL
SELECT kind, id, rev FROM removed WHERE tenant = ?1 AND rev > ?2
ORDER BY 3
"""


@dataclass(frozen=True, slots=True)
class _Epoch:
    name: str
    first: int
    generation: int


def _row(connection: apsw.Connection) -> tuple[int, int, int]:
    found: list[tuple[Any, ...]] = connection.execute(
        "SELECT rev, floor, removed FROM history"
    ).fetchall()
    if len(found) != 1:
        raise DamagedValueError("no history, or more than one")
    number, floor, removed = map(int, found[0])
    return number, floor, removed


def _epoch_of(connection: apsw.Connection, number: int) -> str:
    # Before the first change there is none: whoever knows of nothing can be told everything.
    sql = "SELECT epoch FROM epochs WHERE first <= ? ORDER BY first DESC LIMIT 1"
    return str(connection.execute(sql, (number,)).get or "")


def _is_lost(connection: apsw.Connection, number: int) -> bool:
    # The next epoch did not find it.
    sql = "SELECT before FROM epochs WHERE first > ? ORDER BY first LIMIT 1"
    before = connection.execute(sql, (number,)).get
    return before is not None and before < number
