"""Many rows at once inside a transaction: read in steps, and numbers that go on behind theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from clawstate.postgres.transaction import Row, Transaction

_STEP: Final = 2_000  # rows
_DRAWN: Final = 100_000  # numbers of one statement
_LAST = "SELECT nextval(pg_get_serial_sequence(%(table)s, %(column)s))"
_DRAW = """
SELECT max(k) FROM (SELECT nextval(pg_get_serial_sequence(%(table)s, %(column)s)) AS k
    FROM generate_series(1, %(count)s)) drawn
"""


def rows_in_steps(within: Transaction, sql: str, **bound: Any) -> Iterator[Row]:
    """Give the rows of one statement, a few thousand of them in memory at a time."""
    # A cursor of the transaction, which holds behind a pooler: it ends with it.
    with within.connection.cursor("steps") as cursor:
        cursor.execute(sql, {"tenant": within.tenant, **bound})
        while rows := cursor.fetchmany(_STEP):
            within.go_on()
            yield from rows


def draw_numbers(within: Transaction, table: str, column: str, highest: int) -> None:
    """Let the numbers of *column* go on above *highest*."""
    # Drawn and not set: others draw from the same sequence meanwhile, and it must never go back.
    place = {"table": table, "column": column}
    last: int = within.one(_LAST, **place)
    while last < highest:
        last = within.one(_DRAW, count=min(highest - last, _DRAWN), **place)
        within.go_on()
