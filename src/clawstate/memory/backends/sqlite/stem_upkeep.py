"""
Stems for the records of an older state: given in small steps, from the newest records down.

Until then those records are found by their words as they stand, and all others by stems as well.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import apsw

from clawstate.errors import StateError
from clawstate.interrupts import load_modules
from clawstate.memory.analysis import VERSION
from clawstate.memory.backends.sqlite import word_index
from clawstate.memory.backends.sqlite.postings import SqlitePostings

if TYPE_CHECKING:
    from clawstate.sqlite import Part

_LEFT = word_index.WITHOUT_STEMS
AT_ONCE = 128
"""How many records a step after a write looks at: what it costs it costs that write."""

_AT_FIRST = 2_048  # records that get them with the change of format, and in each step of many


def begin(connection: apsw.Connection) -> None:
    """Note, in the transaction that raises the format, which records have no stems."""
    one = connection.execute
    if one("SELECT analysis FROM word_totals").get == VERSION:
        return  # it has just got its index, by the present terms
    # A step puts documents into blocks, and none may be in the tail as well.
    fold = word_index.plan_fold(connection)
    if fold is not None:
        SqlitePostings(connection).publish(fold)
    one("UPDATE word_totals SET analysis = ?", (VERSION,))
    newest = one("SELECT max(docno) FROM memories").get
    if newest:
        one("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_LEFT, str(newest)))
        step(connection, _AT_FIRST)


def step(connection: apsw.Connection, limit: int) -> int:
    """Give the newest *limit* of those records stems; return the docno of the next, 0 for none."""
    highest = word_index.without_stems(connection)
    if not highest:
        return 0
    lowest = word_index.stem_older(connection, highest, limit)
    if lowest:
        sql = "UPDATE meta SET value = ? WHERE key = ?"
        connection.execute(sql, (str(lowest), _LEFT))
    else:
        connection.execute("DELETE FROM meta WHERE key = ?", (_LEFT,))
    return lowest


def go_on(database: Part) -> None:
    """Do one step in a transaction of its own, unless somebody is in the way."""
    # Nothing is lost where it fails: the next write tries again.
    with suppress(StateError, ValueError), database.writing() as connection:
        step(connection, AT_ONCE)


def finish(database: Part) -> None:
    """Give all of those records stems, a step in each transaction."""
    load_modules("clawstate.memory.postings.folding")
    with database.reading() as connection:
        left = word_index.without_stems(connection)
    while left:
        with database.writing() as connection:
            left = step(connection, _AT_FIRST)
