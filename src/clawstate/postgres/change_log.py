"""
What moved in parts that say so: one row for each transaction, see `cursors`.

The row is written in the transaction of the change, so whoever reads it can read the change.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import psycopg

from clawstate.postgres.cursors import MOVED, Cursor, cursor_of_now, parse_cursor
from clawstate.postgres.migrations import Migration
from clawstate.postgres.part import Part

PART: Final = "changes"
"""The name of the log among the parts of the database."""

REMEMBERED: Final = 10_000
"""The rows of a tenant that the log can tell of, or some more; older cursors are forgotten."""

MOST_KEYS: Final = 1_000
"""The keys that one transaction notes; of more it says that anything may have moved."""

Moved: TypeAlias = dict[str, dict[str, None] | None]
"""By part the keys that moved, the last one last; `None` where nobody knows which."""

_FORMAT_1 = """
CREATE TABLE clawstate.changes (
    tenant text NOT NULL,
    xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
    part text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    keys text
);
CREATE INDEX changes_xact ON clawstate.changes (tenant, xact)
"""
_NOTE = "INSERT INTO clawstate.changes (tenant, part, keys) VALUES (%s, %s, %s)"
_SINCE = f"""
SELECT part, keys FROM clawstate.changes WHERE tenant = %(tenant)s AND {MOVED} ORDER BY at
"""
_FLOOR = "SELECT xact::text FROM clawstate.floors WHERE tenant = %s AND log = %s"
_RAISE = """
INSERT INTO clawstate.floors AS known VALUES (%(tenant)s, %(log)s, %(xact)s::text::xid8)
ON CONFLICT (tenant, log) DO UPDATE SET xact = greatest(known.xact, excluded.xact)
"""


@dataclass(frozen=True, slots=True)
class Logged:
    """What moved since a cursor; with *complete* false anything may have, and *moved* is empty."""

    cursor: str
    moved: Moved
    complete: bool = True


def _first(connection: psycopg.Connection[Any]) -> None:
    connection.execute(_FORMAT_1)


MIGRATIONS: Final[tuple[Migration, ...]] = (_first,)


def note_changes(
    connection: psycopg.Connection[Any], tenant: str, part: str, keys: Collection[str]
) -> None:
    """
    Note that the records *keys* of *part* moved, in the transaction that moves them.

    The part of the log must have been made, see `change_log_of`.
    """
    # An import of 100,000 records would carry megabytes of ids, which nobody reads one by one.
    text = json.dumps(list(keys)) if len(keys) <= MOST_KEYS else None
    connection.execute(_NOTE, (tenant, part, text))


def read_changes(log: Part, since: str | None) -> Logged:
    """Return what moved after the cursor *since* in the database of *log*, and a cursor of now."""

    def look(connection: psycopg.Connection[Any]) -> Logged:
        now = cursor_of_now(connection)
        if since is None:
            return Logged(str(now), {})
        start = known_cursor(connection, log.tenant, PART, since, now)
        if start is None:
            return Logged(str(now), {}, complete=False)
        moved: Moved = {}
        bound = {"tenant": log.tenant, "snapshot": start.snapshot}
        for part, keys in connection.execute(_SINCE, bound):
            _add(moved, part, keys)
        return Logged(str(now), moved)

    if not log.exists():  # not within a transaction, where there may be tables for this look alone
        now = log.database.attempt(cursor_of_now)
        return Logged(str(now), {}, since is None or parse_cursor(since, now) is not None)
    return log.read(look)


def forget_changes(log: Part) -> None:
    """Forget all but the last changes; for whoever writes to call now and then."""

    def forget(connection: psycopg.Connection[Any]) -> None:
        forget_rows(connection, "changes", log.tenant, PART, REMEMBERED)

    log.change(forget)


def known_cursor(
    connection: psycopg.Connection[Any], tenant: str, log: str, since: str, now: Cursor
) -> Cursor | None:
    """Return the cursor *since* if *log* still knows all that came after it."""
    start = parse_cursor(since, now)
    if start is None:
        return None
    floor = connection.execute(_FLOOR, (tenant, log)).fetchone()
    return start if floor is None or start.oldest > int(floor[0]) else None


def forget_rows(
    connection: psycopg.Connection[Any], table: str, tenant: str, log: str, remembered: int
) -> None:
    """Forget the rows of *tenant* in *table* but the last *remembered*; their end is the floor."""
    oldest = connection.execute(
        f"SELECT xact::text FROM clawstate.{table} WHERE tenant = %s"
        " ORDER BY xact DESC OFFSET %s LIMIT 1",
        (tenant, remembered),
    ).fetchone()
    if oldest is None:
        return
    connection.execute(_RAISE, {"tenant": tenant, "log": log, "xact": oldest[0]})
    connection.execute(
        f"DELETE FROM clawstate.{table} WHERE tenant = %s AND xact <= %s::text::xid8",
        (tenant, oldest[0]),
    )


def _add(moved: Moved, part: str, keys: str | None) -> None:
    if keys is None or moved.get(part, ()) is None:
        moved[part] = None
        return
    known = moved.setdefault(part, {})
    assert known is not None  # noqa: S101 - see above
    for key in json.loads(keys):
        known.pop(key, None)
        known[key] = None
