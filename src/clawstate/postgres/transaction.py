"""`Transaction`: statements of one tenant inside a running transaction, by names."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from clawstate.postgres.connection import Connection

Row: TypeAlias = tuple[Any, ...]

Note: TypeAlias = Callable[[Connection, str, Sequence[str]], object]
"""Notes in the feed, inside a transaction, that keys of a part moved."""

STEP: Final = 30.0
"""Seconds that a step of long work may take."""


class Transaction:
    """The statements of *tenant* on *connection*; `%(tenant)s` in each stands for it."""

    def __init__(self, connection: Connection, tenant: str, note: Note = lambda *_: None) -> None:
        self.connection = connection
        self.tenant = tenant
        self._note = note

    def rows(self, sql: str, **bound: Any) -> list[Row]:
        """Return the rows of one statement."""
        return self.connection.execute(sql, {"tenant": self.tenant, **bound}).fetchall()

    def one(self, sql: str, **bound: Any) -> Any:
        """Return the first column of the first row, `None` where there is none."""
        row = self.connection.execute(sql, {"tenant": self.tenant, **bound}).fetchone()
        return None if row is None else row[0]

    def run(self, sql: str, **bound: Any) -> int:
        """Run one statement, and return how many rows it changed."""
        return self.connection.execute(sql, {"tenant": self.tenant, **bound}).rowcount

    def note(self, part: str, keys: Sequence[str]) -> None:
        """Note in the feed that *keys* of *part* moved."""
        self._note(self.connection, part, keys)

    def go_on(self, seconds: float = STEP) -> None:
        """Give the statements to come *seconds* from now at least: the work goes on."""
        # Much work is no server that does not answer.
        late = time.monotonic() + seconds
        self.connection.deadline = max(self.connection.deadline, late)
