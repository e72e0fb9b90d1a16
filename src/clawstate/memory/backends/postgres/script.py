"""`Script`: several statements in one round trip."""

from __future__ import annotations

from typing import Any

from psycopg import ClientCursor
from psycopg.pq import TransactionStatus

from clawstate.postgres.blocks import SNAPSHOT
from clawstate.postgres.connection import Connection
from clawstate.postgres.transaction import Row


class Script:
    """
    Statements that are sent together, and whose rows come together.

    They begin the transaction where none runs. Values are put in by the driver, since the protocol
    takes several statements at once only without parameters; nothing is prepared on the server, so
    this is also right behind a pooler.
    """

    def __init__(self, connection: Connection, tenant: str) -> None:
        self._connection = connection
        self._tenant = tenant
        self._cursor = ClientCursor(connection)
        self._parts: list[str] = []
        self._wanted: list[int] = []
        if connection.pgconn.transaction_status == TransactionStatus.IDLE:
            self._parts.append(SNAPSHOT)

    def run(self, sql: str) -> None:
        """Add a statement that gives no rows."""
        self._parts.append(sql)

    def ask(self, sql: str, **bound: Any) -> int:
        """Add a statement; returns the number of its rows in what `send` returns."""
        self._wanted.append(len(self._parts))
        values = {name: _plain(each) for name, each in bound.items()}
        self._parts.append(self._cursor.mogrify(sql, {"tenant": self._tenant, **values}))
        return len(self._wanted) - 1

    def send(self) -> list[list[Row]]:
        """Return the rows of each statement that was asked."""
        cursor = self._cursor
        cursor.execute(";".join(self._parts))
        found: list[list[Row]] = []
        for number in range(len(self._parts)):
            if number in self._wanted:
                found.append(cursor.fetchall())
            cursor.nextset()
        return found


def _plain(value: Any) -> Any:
    """Return a list of numbers as PostgreSQL writes it, which the driver does one by one."""
    if isinstance(value, list) and value and type(value[0]) is int:
        return "{" + ",".join(map(str, value)) + "}"
    return value
