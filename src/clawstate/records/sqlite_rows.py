"""The rows of one collection in a SQLite database of records."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import apsw

from clawstate.errors import CorruptError
from clawstate.files.json_text import dump_compact, parse_json
from clawstate.paging import Position
from clawstate.records.contract import CollectionSpec, Json, Versioned
from clawstate.records.rules import key_range, name_record

_MINE = "tenant = ? AND kind = ?"
_FIND = f"SELECT id, rev, body FROM records WHERE {_MINE} AND id = ?"
_WRITE = """
INSERT INTO records VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET rev = excluded.rev, body = excluded.body
"""
_DELETE = f"DELETE FROM records WHERE {_MINE} AND id = ?"
_SCALARS = frozenset({int, float, str, bool, type(None)})
_MOST = 1 << 62  # what SQLite can take as a limit

_ORDERED = "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name = ?"

Fetch: TypeAlias = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
"""Returns the rows of a statement with its bindings."""


@dataclass(frozen=True, slots=True)
class Row:
    """A record that was found, and its text in the database at *path*."""

    record: Versioned
    body: str = field(repr=False)
    path: Path

    def is_left_alone(self, records: Mapping[str, Json]) -> bool:
        """Tell whether *records* hold the very value that was read, and nobody can have altered."""
        value = self.record.value
        return value.__class__ in _SCALARS and records.get(self.record.key, records) is value

    def says(self, text: str) -> bool:
        """Tell whether the row holds the value whose JSON text is *text*."""
        # The record may have been altered by a change; a body of another program's may be laid
        # out in another way.
        return self.body == text or dump_compact(parse_json(self.body, path=self.path)) == text


class Rows:
    """
    The rows of the tenant and kind *mine*, as *fetch* reads them from the database at *path*.

    With *secret_keys* errors name no key.
    """

    def __init__(
        self, fetch: Fetch, mine: tuple[str, str], path: Path, *, secret_keys: bool = False
    ) -> None:
        self._fetch = fetch
        self._mine = mine
        self._path = path
        self._secret_keys = secret_keys

    def find(self, key: str) -> Row | None:
        """Return the row of *key*."""
        rows = self._fetch(_FIND, (*self._mine, key))
        return self.read(rows[0]) if rows else None

    def page(
        self, prefix: str = "", *, after: str | None = None, limit: int | None = None
    ) -> list[tuple[Any, ...]]:
        """Return the columns of all rows of a scan, by key."""
        condition, bound = self._within(prefix, after)
        sql = f"SELECT id, rev, body FROM records WHERE {condition} ORDER BY id LIMIT ?"
        return self._fetch(sql, (*bound, -1 if limit is None else min(limit, _MOST)))

    def count(self, prefix: str) -> int:
        """Return how many keys start with *prefix*."""
        condition, bound = self._within(prefix, None)
        return int(self._fetch(f"SELECT count(*) FROM records WHERE {condition}", bound)[0][0])

    def latest(
        self, order: str | None, limit: int, after: Position | None, *, indexed: bool
    ) -> list[tuple[Any, ...]]:
        """Return the columns of *limit* rows behind *after*, by their ranks and keys."""
        rank, key = after or (-math.inf, "")
        tenant, kind = self._mine
        source = f"records INDEXED BY {_index(kind, order)}" if indexed else "records"
        # A literal: SQLite uses a partial index where it can prove that the rows are in it.
        found = f"SELECT id, rev, body FROM {source} WHERE tenant = ? AND kind = {_quote(kind)}"
        by = _rank(order)
        # Two statements, each of which the index answers alone; SQLite uses it for no `OR`, and
        # for no pair that is greater than a pair.
        same = f"{found} AND {by} = ? AND id > ? ORDER BY id LIMIT ?"
        rows = self._fetch(same, (tenant, rank, key, min(limit, _MOST)))
        if len(rows) < limit:
            rest = f"{found} AND {by} > ? ORDER BY {by}, id LIMIT ?"
            rows += self._fetch(rest, (tenant, rank, min(limit, _MOST) - len(rows)))
        return rows

    def read(self, row: tuple[Any, ...]) -> Row:
        """Return the row with these columns; raises `CorruptError` when its body is not JSON."""
        key, number, body = row
        try:
            value = parse_json(body, path=self._path)
        except CorruptError as error:
            name = name_record(key, self._mine[1], is_secret=self._secret_keys)
            raise CorruptError(str(self._path), f"{name} {error.problem}") from error
        return Row(Versioned(key, value, str(number)), body, self._path)

    def _within(self, prefix: str, after: str | None) -> tuple[str, tuple[str, ...]]:
        low, high = key_range(prefix, after)
        condition, bound = f"{_MINE} AND id >= ?", (*self._mine, low)
        return (condition, bound) if high is None else (f"{condition} AND id < ?", (*bound, high))


class Table(Rows):
    """Rows inside a transaction that writes."""

    def __init__(
        self,
        connection: apsw.Connection,
        mine: tuple[str, str],
        path: Path,
        *,
        secret_keys: bool = False,
    ) -> None:
        super().__init__(
            lambda sql, bound: connection.execute(sql, bound).fetchall(),
            mine,
            path,
            secret_keys=secret_keys,
        )
        self.connection = connection

    def all(self) -> list[Row]:
        """Return all rows, by key."""
        return [self.read(row) for row in self.page()]

    def some(self, keys: Iterable[str]) -> list[Row]:
        """Return the rows of those *keys* that are there, in their order."""
        return [row for row in map(self.find, keys) if row is not None]

    def write(self, texts: Mapping[str, str], number: int) -> None:
        """Put *texts* by key, the first with the revision *number*, the next with the next."""
        for place, (key, text) in enumerate(texts.items()):
            self.connection.execute(_WRITE, (*self._mine, key, number + place, text))

    def remove(self, keys: list[str], number: int) -> None:
        """Delete *keys* and remember it under the revisions from *number* on."""
        for place, key in enumerate(keys):
            self.connection.execute(_DELETE, (*self._mine, key))
            row = (number + place, *self._mine, key)
            self.connection.execute("INSERT INTO removed VALUES (?, ?, ?, ?)", row)


def is_indexed(connection: apsw.Connection, spec: CollectionSpec) -> bool:
    """Tell whether the latest records of *spec* are found by an index."""
    return bool(connection.execute(_ORDERED, (_index_name(spec.kind, spec.order),)).get)


def make_index(connection: apsw.Connection, spec: CollectionSpec) -> None:
    """
    Let an index find the latest records of *spec*, in the running transaction.

    It is no format of its own: whoever does not know it keeps it right all the same, because
    SQLite does, and reading without it is only slower.
    """
    connection.execute(
        f"CREATE INDEX IF NOT EXISTS {_index(spec.kind, spec.order)} "
        f"ON records (tenant, kind, {_rank(spec.order)}, id) WHERE kind = {_quote(spec.kind)}"
    )


def _rank(order: str | None) -> str:
    if order is None:
        return "9e999"
    # As `position_of` has it. A body that is no JSON must not keep the index from being made.
    path = _quote(f'$."{order}"')
    # Minus the number, so that one ascending order goes by number and by key.
    return (
        "(CASE WHEN NOT json_valid(body) THEN 9e999 "
        f"WHEN json_type(body, {path}) IN ('integer', 'real') "
        f"THEN -CAST(json_extract(body, {path}) AS REAL) ELSE 9e999 END)"
    )


def _index(kind: str, order: str | None) -> str:
    return '"' + _index_name(kind, order).replace('"', '""') + '"'


def _index_name(kind: str, order: str | None) -> str:
    return f"records_latest:{kind}:{order}"


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
