"""The rows of one collection in a SQLite database of records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from clawstate.errors import CorruptError
from clawstate.files.json_text import dump_compact, parse_json
from clawstate.records.contract import Versioned
from clawstate.records.rules import key_range

_MINE = "tenant = ? AND kind = ?"
_MOST = 1 << 62  # what SQLite can take as a limit


@dataclass(frozen=True, slots=True)
class Row:
    """A record that was found, and its text in the database at *path*."""

    record: Versioned
    body: str
    path: Path

    def says(self, text: str) -> bool:
        """Tell whether the row holds the value whose JSON text is *text*."""
        # The record may have been altered by a change; a body of another program's may be laid
        # out in another way.
        return self.body == text or dump_compact(parse_json(self.body, path=self.path)) == text


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of the tenant and kind *mine*, inside a transaction on the database at *path*."""

    connection: apsw.Connection
    mine: tuple[str, str]
    path: Path

    def find(self, key: str) -> Row | None:
        """Return the row of *key*."""
        sql = f"SELECT id, rev, body FROM records WHERE {_MINE} AND id = ?"
        rows = self.connection.execute(sql, (*self.mine, key)).fetchall()
        return self.read(rows[0]) if rows else None

    def rows(
        self, prefix: str = "", *, after: str | None = None, limit: int | None = None
    ) -> list[tuple[Any, ...]]:
        """Return the columns of all rows of a scan, by key."""
        condition, bound = self._within(prefix, after)
        sql = f"SELECT id, rev, body FROM records WHERE {condition} ORDER BY id LIMIT ?"
        most = -1 if limit is None else min(limit, _MOST)
        return self.connection.execute(sql, (*bound, most)).fetchall()

    def count(self, prefix: str) -> int:
        """Return how many keys start with *prefix*."""
        condition, bound = self._within(prefix, None)
        return int(
            self.connection.execute(f"SELECT count(*) FROM records WHERE {condition}", bound).get
        )

    def read(self, row: tuple[Any, ...]) -> Row:
        """Return the row with these columns; raises `CorruptError` when its body is not JSON."""
        key, number, body = row
        try:
            value = parse_json(body, path=self.path)
        except CorruptError as error:
            problem = f"the record {key!r} of {self.mine[1]!r} {error.problem}"
            raise CorruptError(str(self.path), problem) from error
        return Row(Versioned(key, value, str(number)), body, self.path)

    def write(self, texts: Mapping[str, str], number: int) -> None:
        """Put *texts* by key, the first with the revision *number*, the next with the next."""
        self.connection.executemany(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET rev = excluded.rev, body = excluded.body",
            [(*self.mine, key, number + n, text) for n, (key, text) in enumerate(texts.items())],
        )

    def remove(self, keys: list[str], number: int) -> None:
        """Delete *keys* and remember it under the revisions from *number* on."""
        self.connection.executemany(
            f"DELETE FROM records WHERE {_MINE} AND id = ?", [(*self.mine, key) for key in keys]
        )
        self.connection.executemany(
            "INSERT INTO removed VALUES (?, ?, ?, ?)",
            [(number + place, *self.mine, key) for place, key in enumerate(keys)],
        )

    def _within(self, prefix: str, after: str | None) -> tuple[str, tuple[str, ...]]:
        low, high = key_range(prefix, after)
        condition, bound = f"{_MINE} AND id >= ?", (*self.mine, low)
        return (condition, bound) if high is None else (f"{condition} AND id < ?", (*bound, high))
