"""Records as rows of one SQLite database, shared by threads and processes of one machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from clawstate.errors import InvalidError
from clawstate.records import sqlite_history
from clawstate.records.contract import (
    ANY,
    DELETE,
    Capability,
    Change,
    Changes,
    Json,
    Mark,
    Revision,
    Shape,
    Versioned,
    WholeChange,
)
from clawstate.records.rules import (
    ChangeGuard,
    is_key,
    kept,
    require_expected,
    require_key,
    require_limit,
    require_records,
)
from clawstate.records.sqlite_history import History
from clawstate.records.sqlite_rows import Row, Table
from clawstate.records.sqlite_schema import MIGRATIONS
from clawstate.sqlite import Database

A = TypeVar("A")

_CAPABILITIES: Final = frozenset(
    {Capability.DURABLE, Capability.SHARED, Capability.LASTING_CURSORS}
)


class SqliteBackend:
    """
    The records of *tenant* in the database at *path*, which the first change makes.

    One change is one transaction, on disk when it returns. A writer that others keep waiting for
    *lock_timeout* seconds raises `LockTimeoutError`. A revision is a number that grows with every
    change of any record in the database.
    """

    def __init__(self, path: Path, *, tenant: str = "default", lock_timeout: float = 30.0) -> None:
        _require_name("tenant", tenant)
        self._tenant = tenant
        self._database = Database(path, migrations=MIGRATIONS, lock_timeout=lock_timeout)
        self._history = History()
        self._guard = ChangeGuard()

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do beyond the contract."""
        return _CAPABILITIES

    def collection(self, shape: Shape) -> SqliteCollection:
        """Return the collection of *shape*; those of one kind are the same."""
        _require_name("kind", shape.kind)
        self._database.exists()  # raises when it is closed
        return SqliteCollection(
            shape, self._database, self._history, tenant=self._tenant, guard=self._guard
        )

    def close(self) -> None:
        """Close the database; a call after this raises `ClosedError`."""
        self._database.close()


class SqliteCollection:
    """The records of one kind; see `Collection`."""

    def __init__(
        self,
        shape: Shape,
        database: Database,
        history: History,
        *,
        tenant: str,
        guard: ChangeGuard,
    ) -> None:
        self._shape = shape
        self._database = database
        self._history = history
        self._mine = (tenant, shape.kind)
        self._guard = guard

    @property
    def shape(self) -> Shape:
        """What the collection was asked for with."""
        return self._shape

    def get(self, key: str) -> Versioned | None:
        """Return the record of *key*."""
        with self._reading() as table:
            found = table.find(key) if is_key(key) else None
            return None if found is None else found.record

    def scan(
        self, prefix: str = "", *, after: str | None = None, limit: int | None = None
    ) -> Iterator[Versioned]:
        """
        Give the records of this moment whose keys start with *prefix*, in order.

        Their text is fetched at once, and each is parsed when its turn comes: so no transaction
        stays open, and memory grows with what is found. Use *limit* and *after* for more than
        memory holds; each page is then of a moment of its own.
        """
        require_limit(limit)
        with self._reading() as table:
            rows = table.rows(prefix, after=after, limit=limit)
        return (table.read(row).record for row in rows)

    def count(self, prefix: str = "") -> int:
        """Return how many records have a key that starts with *prefix*."""
        with self._reading() as table:
            return table.count(prefix)

    def put(self, key: str, value: Json, *, expect: Revision | Mark = ANY) -> Versioned:
        """Keep *value* under *key* if the record there is as expected."""
        text, copy = kept(self._shape, key, value)
        with self._writing() as table:
            found = table.find(key)
            require_expected(self._shape, key, _revision(found), expect)
            revision = self._written(table, key, text, found)
        return Versioned(key, copy, revision)

    def delete(self, key: str, *, expect: Revision | Mark = ANY) -> bool:
        """Remove *key*; False when it was not there."""
        require_key(key)
        self._guard.require_changeable()
        if not self._database.exists():
            require_expected(self._shape, key, None, expect)
            return False
        with self._writing() as table:
            found = table.find(key)
            require_expected(self._shape, key, _revision(found), expect)
            if found is not None:
                self._remove(table, [key])
        return found is not None

    def update(self, key: str, change: Change) -> Versioned | None:
        """Put what *change* makes of the value of *key*, and return it."""
        require_key(key)
        with self._writing() as table:
            found = table.find(key)
            value, error = self._tried(change, None if found is None else found.record.value)
            if error is None and value is not DELETE:
                text, copy = kept(self._shape, key, value)
                return Versioned(key, copy, self._written(table, key, text, found))
            if error is None and found is not None:
                self._remove(table, [key])
        if error is not None:
            raise error
        return None

    def change_all(self, change: WholeChange[A]) -> A:
        """Replace all records by what *change* makes of them, at once."""
        with self._writing() as table:
            rows = [table.read(row) for row in table.rows()]
            old = {row.record.key: row.record.value for row in rows}
            outcome, error = self._tried(change, old)
            if error is None:
                records, answer = cast("tuple[Mapping[str, Json], A]", outcome)
                self._replace(table, rows, records)
        if error is not None:
            raise error
        return answer

    def changes(self, since: str | None = None) -> Changes:
        """Return which keys moved after the cursor *since*, and a cursor of now."""
        with self._reading() as table:
            return sqlite_history.changes(table.connection, *self._mine, since)

    @contextmanager
    def _reading(self) -> Iterator[Table]:
        self._guard.require_readable(self._shape.kind)
        with self._database.reading() as connection:
            yield Table(connection, self._mine, self._database.path)

    @contextmanager
    def _writing(self) -> Iterator[Table]:
        self._guard.require_changeable()
        with self._database.writing() as connection:
            yield Table(connection, self._mine, self._database.path)

    def _tried(
        self, change: Callable[[Any], Any], argument: Json
    ) -> tuple[Any, BaseException | None]:
        # An error of the change must not pass through the database, which would take some of them
        # for its own. As nothing is written yet, there is nothing to take back.
        try:
            with self._guard.running(self._shape.kind):
                return change(argument), None
        except BaseException as error:  # noqa: BLE001 - raised again behind the transaction
            return None, error

    def _written(self, table: Table, key: str, text: str, found: Row | None) -> Revision:
        if found is not None and found.says(text):
            return found.record.revision
        number = self._numbers(table, 1)
        table.write({key: text}, number)
        return str(number)

    def _remove(self, table: Table, keys: list[str]) -> None:
        table.remove(keys, self._numbers(table, len(keys)))
        sqlite_history.forget_removed(table.connection, len(keys))

    def _replace(self, table: Table, rows: list[Row], records: Mapping[str, Json]) -> None:
        require_records(records)
        new = {key: kept(self._shape, key, value)[0] for key, value in records.items()}
        gone = [row.record.key for row in rows if row.record.key not in new]
        for row in rows:
            if row.record.key in new and row.says(new[row.record.key]):
                del new[row.record.key]
        if new:
            table.write(new, self._numbers(table, len(new)))
        if gone:
            self._remove(table, gone)

    def _numbers(self, table: Table, count: int) -> int:
        return self._history.advance(table.connection, count, self._database.generation)


def _revision(found: Row | None) -> Revision | None:
    return None if found is None else found.record.revision


def _require_name(name: str, value: str) -> None:
    if not is_key(value):
        problem = f"{value!r} is not 1 to 1,024 characters of text"
        raise InvalidError(name, problem, "choose another one")
