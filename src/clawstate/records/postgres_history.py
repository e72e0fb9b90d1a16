"""Cursors and what moved in a PostgreSQL database of records."""

from __future__ import annotations

from typing import Any, Final

import psycopg

from clawstate.postgres.change_log import forget_rows, known_cursor
from clawstate.postgres.connection import Connection
from clawstate.postgres.cursors import MOVED, VERSION, Cursor, cursor_of_now, parse_cursor
from clawstate.postgres.names import decode_text
from clawstate.postgres.part import Part

REMEMBERED: Final = 10_000
"""The deleted keys that `changes` can tell of; a cursor from before them is forgotten."""

_LOG = "removed"
_EACH_FORGETS = 256  # deletions of a process

_LAST = """
SELECT max(xact) FROM (
    (SELECT xact FROM clawstate.records WHERE tenant = %(tenant)s
     AND xact < pg_snapshot_xmax(pg_current_snapshot()) ORDER BY xact DESC LIMIT 1)
    UNION ALL
    (SELECT xact FROM clawstate.removed WHERE tenant = %(tenant)s
     AND xact < pg_snapshot_xmax(pg_current_snapshot()) ORDER BY xact DESC LIMIT 1)
) AS each
"""
_VERSION = VERSION.format(last=_LAST)
_MOVED = f"""
SELECT kind, id, rest, xact FROM clawstate.records WHERE tenant = %(tenant)s AND {MOVED}
UNION ALL
SELECT kind, id, rest, xact FROM clawstate.removed WHERE tenant = %(tenant)s AND {MOVED}
ORDER BY xact
"""


class History:
    """What moved in the records of *part*."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._since_forgotten = 0

    def version(self) -> object:
        """Return what is equal as long as no record of the tenant is changed."""
        found = self._part.rows(_VERSION, {"tenant": self._part.tenant})
        return tuple(map(str, found[0]))

    def changes(self, since: str | None) -> tuple[str, list[tuple[str, str]] | None]:
        """
        Return a cursor of now, and kind and key of what moved after *since*, the last one last.

        `None` in the place of these if *since* is a cursor that is not known.
        """
        if since is not None or not self._part.exists():
            # Not within a transaction, where there may be tables for this look alone.
            now = self._part.database.attempt(cursor_of_now)
            if since is None or str(now) == since:
                return str(now), []  # the same transactions were seen, so nothing was committed
            if not self._part.exists():
                return str(now), None if parse_cursor(since, now) is None else []

        def look(connection: Connection) -> tuple[str, list[tuple[str, str]] | None]:
            now = cursor_of_now(connection)
            if since is None:
                return str(now), []
            start = known_cursor(connection, self._part.tenant, _LOG, since, now)
            return str(now), None if start is None else self._read_moved(connection, start)

        return self._part.read(look)

    def forget_some(self, removed: int) -> None:
        """Note that *removed* keys were deleted, and forget the oldest of them now and then."""
        self._since_forgotten += removed
        if self._since_forgotten < _EACH_FORGETS:
            return
        self._since_forgotten = 0
        tenant = self._part.tenant
        self._part.change(
            lambda connection: forget_rows(connection, "removed", tenant, _LOG, REMEMBERED)
        )

    def _read_moved(
        self, connection: psycopg.Connection[Any], start: Cursor
    ) -> list[tuple[str, str]]:
        bound = {"tenant": self._part.tenant, "snapshot": start.snapshot}
        found = connection.execute(_MOVED, bound)
        return [(decode_text(kind), decode_text(head + rest)) for kind, head, rest, _ in found]
