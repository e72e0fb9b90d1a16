"""
Cursors: what a reader had seen, as the snapshot of its transaction.

A number from a sequence is not in the order of commits: who reads up to 7 may miss 5, which is
committed later. A snapshot says exactly which transactions were seen, so each row bears the number
of its transaction (`xact`), and what moved are the rows of those that the snapshot had not seen. No
row is waited for by all writers, as a counter would be (decision 065).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import psycopg

_SNAPSHOT: Final = re.compile(r"\d{1,20}:\d{1,20}:(?:\d{1,20}(?:,\d{1,20})*)?")
_MOST_CHARACTERS: Final = 64_000  # of a cursor, which may come from anybody

# The cluster, its timeline and the very table tell one history from all others: after a restored
# backup numbers of transactions are given out a second time.
_HISTORY = """
(SELECT system_identifier FROM pg_control_system())
|| '.' || CASE WHEN pg_is_in_recovery() THEN '' ELSE
left(pg_walfile_name(pg_current_wal_lsn()), 8) END
|| '.' || coalesce(to_regclass('clawstate.operations')::oid::bigint, 0)
"""
NOW: Final = f"SELECT {_HISTORY} || '/' || pg_current_snapshot()::text"
"""Gives the cursor of now."""

MOVED: Final = """
xact >= pg_snapshot_xmin(%(snapshot)s::pg_snapshot)
AND xact < pg_snapshot_xmax(pg_current_snapshot())
AND NOT pg_visible_in_snapshot(xact, %(snapshot)s::pg_snapshot)
"""
"""Whether a row was committed after the snapshot; numbers of a future come with a copy."""

VERSION: Final = """
SELECT last, (
    SELECT string_agg(x::text, ',') FROM pg_snapshot_xip(pg_current_snapshot()) AS x WHERE x < last
) FROM (SELECT ({last}) AS last) AS found
"""
"""Gives what moves with every commit: the last transaction, and those before it that still run."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A moment of one *history* of the database, as *snapshot* has it."""

    history: str
    snapshot: str

    @property
    def oldest(self) -> int:
        """The first transaction that may not have been seen."""
        return int(self.snapshot.partition(":")[0])

    def __str__(self) -> str:
        return f"{self.history}/{self.snapshot}"


def cursor_of_now(connection: psycopg.Connection[Any]) -> Cursor:
    """Return the cursor of what *connection* sees."""
    ((text,),) = connection.execute(NOW).fetchall()
    history, _, snapshot = text.partition("/")
    return Cursor(history, snapshot)


def parse_cursor(text: str, now: Cursor) -> Cursor | None:
    """Return the cursor *text*; `None` if it is not of the past that led to *now*."""
    history, _, snapshot = text.partition("/")
    is_whole = len(text) <= _MOST_CHARACTERS and _SNAPSHOT.fullmatch(snapshot) is not None
    cluster, _, table = history.rpartition(".")
    # From before there was any table: all that is there came later.
    is_known = history == now.history or (
        table == "0" and cluster == now.history.rpartition(".")[0]
    )
    if not is_whole or not is_known:
        return None
    oldest, next_one = map(int, snapshot.split(":")[:2])
    if not 0 < oldest <= next_one <= int(now.snapshot.split(":")[1]):
        return None
    running = [int(each) for each in snapshot.split(":")[2].split(",") if each]
    if running != sorted(set(running)) or not all(oldest <= each < next_one for each in running):
        return None
    return Cursor(history, snapshot)
