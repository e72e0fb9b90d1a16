"""
The outbox of the catalogue: the ids of records of which the table does not know the present yet.

Triggers write it, so an id is there in the very transaction that changed the record, whatever code
changed it. What is to be written is read from the catalogue when it is (decision 46).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import apsw

from clawstate.sqlite import Migration

PART = "lancedb"
"""The name of these tables among the parts of the catalogue."""

STAMP = "stamp"
"""The version of the table that the catalogue knows all of."""

REMOVED = "removed"
"""How many rows left bytes behind in the files of the table."""
REFUSED = "refused"
"""How many rows of the table are no records that a memory could keep."""

MARKED = "marked"
"""Is there once the table has had the columns in which we keep what others have no column for."""

LEFT = "left"
"""The newest entry that a program left to the process that writes later."""

# A number is never given out again: whoever read an entry tells by it whether it is still that one.
_TABLES = """
CREATE TABLE lance_outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE lance_notes (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""
_TRIGGERS = """
CREATE TRIGGER lance_added AFTER INSERT ON memories BEGIN
    DELETE FROM lance_outbox WHERE id = new.id;
    INSERT INTO lance_outbox (id) VALUES (new.id);
END;
CREATE TRIGGER lance_changed AFTER UPDATE ON memories BEGIN
    DELETE FROM lance_outbox WHERE id IN (old.id, new.id);
    INSERT OR IGNORE INTO lance_outbox (id) VALUES (old.id), (new.id);
END;
CREATE TRIGGER lance_removed AFTER DELETE ON memories BEGIN
    DELETE FROM lance_outbox WHERE id = old.id;
    INSERT INTO lance_outbox (id) VALUES (old.id);
END;
"""


def _first(connection: apsw.Connection) -> None:
    connection.execute(_TABLES)
    if has_records(connection):  # always, in a file: only what stands for an absent one has none
        connection.execute(_TRIGGERS)
        mark_all(connection)  # records that came before there were triggers


MIGRATIONS: tuple[Migration, ...] = (_first,)


_MOST_CHARACTERS = 16 << 20


class Entry(NamedTuple):
    """One id that waits."""

    number: int
    id: str


def mark_all(connection: apsw.Connection) -> None:
    """Put every record of the catalogue into the outbox."""
    connection.execute("DELETE FROM lance_outbox WHERE id IN (SELECT id FROM memories)")
    connection.execute("INSERT INTO lance_outbox (id) SELECT id FROM memories ORDER BY docno")


def mark(connection: apsw.Connection, ids: Sequence[str]) -> None:
    """Put *ids* into the outbox."""
    drop(connection, ids)
    sql = "INSERT INTO lance_outbox (id) SELECT value FROM json_each(?)"
    connection.execute(sql, (json.dumps(list(ids)),))


def drop(connection: apsw.Connection, ids: Sequence[str]) -> None:
    """Take *ids* out of the outbox: what changed them came from the table."""
    sql = "DELETE FROM lance_outbox WHERE id IN (SELECT value FROM json_each(?))"
    connection.execute(sql, (json.dumps(list(ids)),))


def remove_triggers(connection: apsw.Connection) -> None:
    """Let changes be made that no table has to be told of, until `write_all_anew`."""
    for name in ("added", "changed", "removed"):
        connection.execute(f"DROP TRIGGER IF EXISTS lance_{name}")


def write_all_anew(connection: apsw.Connection) -> None:
    """Put all records into the outbox, and have what the table has beside them taken in."""
    connection.execute(_TRIGGERS)
    mark_all(connection)
    connection.execute("DELETE FROM lance_notes")


def start_anew(connection: apsw.Connection) -> None:
    """Forget all that waits, and what is known of the table."""
    connection.execute("DELETE FROM lance_outbox; DELETE FROM lance_notes")


def waiting_among(connection: apsw.Connection, ids: Sequence[str]) -> set[str]:
    """Return those of *ids* that are in the outbox."""
    sql = "SELECT id FROM lance_outbox WHERE id IN (SELECT value FROM json_each(?))"
    return {str(row[0]) for row in connection.execute(sql, (json.dumps(list(ids)),))}


def next_entries(connection: apsw.Connection, limit: int) -> list[Entry]:
    """Return the oldest *limit* entries, fewer where their texts are long."""
    sql = """
        SELECT o.number, o.id, coalesce(length(m.content), 0)
        FROM lance_outbox o LEFT JOIN memories m ON m.id = o.id ORDER BY o.number LIMIT ?
    """
    found: list[Entry] = []
    characters = 0
    for number, name, length in connection.execute(sql, (limit,)):
        found.append(Entry(number, name))
        characters += length
        if characters > _MOST_CHARACTERS:
            break
    return found


def settle(connection: apsw.Connection, entries: Sequence[Entry]) -> None:
    """Take out *entries*, which are in the table and on disk; a later change of one stays."""
    sql = "DELETE FROM lance_outbox WHERE number = ?"
    connection.executemany(sql, ((entry.number,) for entry in entries))


def count(connection: apsw.Connection) -> int:
    """Return how many ids wait."""
    found: int = connection.execute("SELECT count(*) FROM lance_outbox").get
    return found


def leave(connection: apsw.Connection) -> None:
    """Note that all that waits is left to the process that writes later."""
    newest: int = connection.execute("SELECT coalesce(max(number), 0) FROM lance_outbox").get
    note(connection, LEFT, str(newest))


def has_left(connection: apsw.Connection) -> bool:
    """Tell whether anything waits that was left to the process that writes later."""
    oldest: int | None = connection.execute("SELECT min(number) FROM lance_outbox").get
    return oldest is not None and oldest <= int(find_note(connection, LEFT) or 0)


def has_records(connection: apsw.Connection) -> bool:
    """Tell whether the tables of the memory are there."""
    sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'memories'"
    return bool(connection.execute(sql).get)


def count_removed(connection: apsw.Connection) -> int:
    """Return how many rows of forgotten or changed records the files of the table may hold."""
    if not has_records(connection):
        return 0
    sql = """
        SELECT coalesce((SELECT CAST(value AS INTEGER) FROM lance_notes WHERE key = ?), 0)
            + (SELECT count(*) FROM lance_outbox WHERE id NOT IN (SELECT id FROM memories))
    """
    found: int = connection.execute(sql, (REMOVED,)).get
    return found


def find_note(connection: apsw.Connection, key: str) -> str | None:
    """Return the note under *key*."""
    found: str | None = connection.execute(
        "SELECT value FROM lance_notes WHERE key = ?", (key,)
    ).get
    return found


def note(connection: apsw.Connection, key: str, value: str) -> None:
    """Note *value* under *key*."""
    connection.execute("INSERT OR REPLACE INTO lance_notes VALUES (?, ?)", (key, value))


def note_stamp(connection: apsw.Connection, stamp: str | None, *, marked: bool) -> None:
    """Note that the catalogue knows all of the version *stamp*; empty for one that nobody knows."""
    note(connection, STAMP, stamp or "")
    if marked:
        note(connection, MARKED, "1")


def add_removed(connection: apsw.Connection, amount: int) -> None:
    """Note that so many more rows left bytes behind."""
    if amount:
        note(connection, REMOVED, str(int(find_note(connection, REMOVED) or 0) + amount))
