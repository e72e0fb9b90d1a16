"""
What moved in a database: one row for each transaction of a part that notes it.

The row is written in the transaction of the change, so whoever reads it can read the change. A
number says where a reader is, and a random one beside it which history that was: after a backup
was restored the numbers go on from there, and a reader from the lost future is recognised.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import apsw

from clawstate.sqlite.migrations import Migration, PartFormat
from clawstate.sqlite.part import Part

PART: Final = "changes"
"""The name of the log among the parts of the database."""

REMEMBERED: Final = 10_000
"""The transactions that the log can tell of; a cursor from before them is forgotten."""

FORGOTTEN_AT_ONCE: Final = 64
"""How many more than those may be there before the oldest leave."""

MOST_KEYS: Final = 1_000
"""The keys that one transaction notes; of more it says that anything may have moved."""

Moved: TypeAlias = dict[str, dict[str, None] | None]
"""By part the keys that moved, the last one last; `None` where nobody knows which."""

_FORMAT_1 = """
CREATE TABLE clawstate_changes (
    number INTEGER PRIMARY KEY,
    nonce INTEGER NOT NULL,
    part TEXT NOT NULL,
    keys TEXT
) STRICT
"""
_NOTE = "INSERT INTO clawstate_changes (nonce, part, keys) VALUES (?, ?, ?) RETURNING number"
_FORGET = "DELETE FROM clawstate_changes WHERE number <= ?"
_LAST = "SELECT number, nonce FROM clawstate_changes ORDER BY number DESC LIMIT 1"
_SINCE = "SELECT part, keys FROM clawstate_changes WHERE number > ? ORDER BY number"


@dataclass(frozen=True, slots=True)
class Logged:
    """What moved since a cursor; with *complete* false anything may have, and *moved* is empty."""

    cursor: str
    moved: Moved
    complete: bool = True


def _first(connection: apsw.Connection) -> None:
    connection.execute(_FORMAT_1)


MIGRATIONS: tuple[Migration, ...] = (_first,)


def note_changes(connection: apsw.Connection, part: str, keys: Collection[str]) -> None:
    """Note that the records *keys* of *part* moved, in the transaction that moves them."""
    # An import of 100,000 records would carry megabytes of ids, which nobody reads one by one.
    text = json.dumps(list(keys)) if len(keys) <= MOST_KEYS else None
    # Not SQLite's own random numbers: a forked process would go on with those of its parent.
    row = int.from_bytes(os.urandom(7)), part, text
    try:
        number: int = connection.execute(_NOTE, row).get
    except apsw.SQLError:  # no change of this file was noted yet
        PartFormat(Path(connection.filename), PART, MIGRATIONS).migrate(connection)
        number = connection.execute(_NOTE, row).get
    # Many at once, as the oldest lie on a page that is else not written. Never the last row: its
    # number would be given out again, for another change.
    if number % FORGOTTEN_AT_ONCE == 0:
        connection.execute(_FORGET, (number - REMEMBERED,))


def read_changes(log: Part, since: str | None) -> Logged:
    """Return what moved after the cursor *since* in the database of *log*, and a cursor of now."""
    cursor = _cursor(log.rows(_LAST))
    if since is None or since == cursor:
        return Logged(cursor, {})
    # Once more, with the rows: what was committed between the two looks is told this time or the
    # next, never left out.
    with log.reading() as connection:
        cursor = _cursor(connection.execute(_LAST).fetchall())
        start = _find_number(connection, since)
        if start is None:
            return Logged(cursor, {}, complete=False)
        moved: Moved = {}
        for part, keys in connection.execute(_SINCE, (start,)):
            _add(moved, part, keys)
        return Logged(cursor, moved)


def _cursor(last: list[tuple[Any, ...]]) -> str:
    number, nonce = last[0] if last else (0, 0)
    return f"{number}.{nonce}"


def _find_number(connection: apsw.Connection, since: str) -> int | None:
    """Return the number of the cursor *since*, or `None` if it is of another history."""
    number, _, nonce = since.partition(".")
    if not (number.isdecimal() and nonce.isdecimal() and len(since) < len(f"{1 << 63}.{1 << 63}")):
        return None
    if int(number) >= 1 << 63:  # no number of SQLite's, which refuses to look for it
        return None
    if number == "0":  # from before the first change: known as long as that is remembered
        first = connection.execute("SELECT min(number) FROM clawstate_changes").get
        return 0 if first in {None, 1} else None
    sql = "SELECT nonce FROM clawstate_changes WHERE number = ?"
    found = connection.execute(sql, (int(number),)).get
    return int(number) if found == int(nonce) else None


def _add(moved: Moved, part: str, keys: str | None) -> None:
    if keys is None or moved.get(part, ()) is None:
        moved[part] = None
        return
    known = moved.setdefault(part, {})
    assert known is not None  # noqa: S101 - see above
    for key in json.loads(keys):
        known.pop(key, None)
        known[key] = None
