"""The records of one kind as rows of a SQLite database."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from clawstate.interrupts import load_modules
from clawstate.paging import Position
from clawstate.records import sqlite_history
from clawstate.records.contract import (
    ANY,
    DELETE,
    Change,
    ChangedKeys,
    CollectionSpec,
    Json,
    Lease,
    Mark,
    Revision,
    Versioned,
    WholeChange,
)
from clawstate.records.rules import (
    ChangeGuard,
    is_key,
    normalise_value,
    require_expected,
    require_key,
    require_keys,
    require_limit,
    require_records,
)
from clawstate.records.sqlite_history import History
from clawstate.records.sqlite_rows import Row, Rows, Table, is_indexed, make_index
from clawstate.sqlite import Part

if TYPE_CHECKING:
    import apsw

    from clawstate.health import Finding
    from clawstate.sqlite.blocks import Writing

A = TypeVar("A")

Permit: TypeAlias = Callable[[bool], object]
"""Is told whether the transaction has begun."""


class SqliteCollection:
    """The records of one kind; see `Collection`."""

    def __init__(
        self,
        spec: CollectionSpec,
        database: Part,
        history: History,
        *,
        tenant: str,
        guard: ChangeGuard,
        permit: Permit,
        absent: Callable[[], object],
    ) -> None:
        self._permit = permit
        self._absent = absent
        self._spec = spec
        self._database = database
        self._history = history
        self._mine = (tenant, spec.kind)
        self._rows = Rows(database.rows, self._mine, database.path, secret_keys=spec.secret_keys)
        self._guard = guard
        self._at_rest = False
        self._indexed: int | None = None  # the generation of the database whose index was seen
        self._lease: Lease | None = None

    @property
    def spec(self) -> CollectionSpec:
        """What the collection was asked for with."""
        return self._spec

    def get(self, key: str) -> Versioned | None:
        """Return the record of *key*."""
        found = self._readable().find(key if is_key(key) else "")
        if found is None:
            self._absent()
            return None
        return found.record

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
        rows = self._readable().page(prefix, after=after, limit=limit)
        if not rows:
            self._absent()
        return (self._rows.read(row).record for row in rows)

    def latest(self, limit: int, *, after: Position | None = None) -> Iterator[Versioned]:
        """Give at most *limit* records, those with the greatest number in `spec.order` first."""
        require_limit(limit)
        self._guard.require_readable(self._spec.kind)
        with self._database.reading() as connection:
            indexed = self._spec.order is not None and is_indexed(connection, self._spec)
            mine = Table(connection, self._mine, self._database.path)
            rows = mine.latest(self._spec.order, limit, after, indexed=indexed)
        if not rows:
            self._absent()
        return (self._rows.read(row).record for row in rows)

    def count(self, prefix: str = "") -> int:
        """Return how many records have a key that starts with *prefix*."""
        found = self._readable().count(prefix)
        if not found:
            self._absent()
        return found

    def put(self, key: str, value: Json, *, expect: Revision | Mark = ANY) -> Versioned:
        """Keep *value* under *key* if the record there is as expected."""
        text, copy = normalise_value(self._spec, key, value)
        with self._writing() as connection:
            table = self._table(connection)
            found = table.find(key)
            require_expected(self._spec, key, _revision(found), expect)
            revision = self._write(table, key, text, found)
        return Versioned(key, copy, revision)

    def delete(self, key: str, *, expect: Revision | Mark = ANY) -> bool:
        """Remove *key*; False when it was not there."""
        require_key(key)
        self._guard.require_changeable()
        if not self._database.exists() and self._lease is None:
            require_expected(self._spec, key, None, expect)
            return False
        with self._writing() as connection:
            table = self._table(connection)
            found = table.find(key)
            require_expected(self._spec, key, _revision(found), expect)
            if found is not None:
                self._remove(table, [key])
        return found is not None

    def update(self, key: str, change: Change) -> Versioned | None:
        """Put what *change* makes of the value of *key*, and return it."""
        require_key(key)
        # Where the last update changed nothing, this one probably does not either: an optimistic
        # read before the writer lock, so that asking what is known waits for no writer.
        if self._at_rest and not self._lease and (same := self._read_same(key, change)) is not None:
            return same
        with self._writing() as connection:
            table = self._table(connection)
            found = table.find(key)
            value, error = self._try(change, None if found is None else found.record.value)
            if error is None and value is not DELETE:
                text, copy = normalise_value(self._spec, key, value)
                revision = self._write(table, key, text, found)
                self._at_rest = revision == _revision(found)
                return Versioned(key, copy, revision)
            if error is None and found is not None:
                self._remove(table, [key])
        if error is not None:
            raise error
        return None

    def change_all(self, change: WholeChange[A]) -> A:
        """Replace all records by what *change* makes of them, at once."""
        return self._change_rows(None, change)

    def change_some(self, keys: Iterable[str], change: WholeChange[A]) -> A:
        """Replace the records of *keys* by what *change* makes of them, at once."""
        return self._change_rows(require_keys(keys), change)

    def changes(self, since: str | None = None) -> ChangedKeys:
        """Return which keys moved after the cursor *since*, and a cursor of now."""
        self._guard.require_readable(self._spec.kind)
        with self._database.reading() as connection:
            return sqlite_history.changes(connection, *self._mine, since)

    def version(self) -> object:
        """Return what is equal as long as no record of the database is changed."""
        self._guard.require_readable(self._spec.kind)
        # The number grows with every change; where another file took the place of this one it may
        # be the same by chance, which the generation tells.
        found = self._database.rows("SELECT rev FROM history")
        return self._database.generation, found[0][0] if found else None

    def fenced(self, lease: Lease) -> SqliteCollection:
        """Return the same collection, for changes that raise `LeaseLostError` without *lease*."""
        load_modules("clawstate.records.leases")
        from clawstate.records.leases import require_lease  # noqa: PLC0415 - few programs need it

        other = copy.copy(self)
        other._lease = require_lease(lease)  # noqa: SLF001 - of the same class
        return other

    def check(self, *, deep: bool = False) -> Iterator[Finding]:
        """Give the rows that hold no record, each with a repair that puts it aside."""
        load_modules("clawstate.records.sqlite_check")
        from clawstate.records.sqlite_check import check_rows  # noqa: PLC0415 - for doctors alone

        secret = self._spec.secret_keys
        return check_rows(self._database, self._history, self._mine, secret_keys=secret, deep=deep)

    def _read_same(self, key: str, change: Change) -> Versioned | None:
        self._guard.require_changeable()
        found = self._readable().find(key)
        if found is None:
            return None
        value, error = self._try(change, found.record.value)
        if error is not None or value is DELETE:
            return None
        text, copy = normalise_value(self._spec, key, value)
        return Versioned(key, copy, found.record.revision) if found.says(text) else None

    def _readable(self) -> Rows:
        self._guard.require_readable(self._spec.kind)
        return self._rows

    def _change_rows(self, keys: list[str] | None, change: WholeChange[A]) -> A:
        with self._writing() as connection:
            table = self._table(connection)
            rows = table.all() if keys is None else table.some(keys)
            old = {row.record.key: row.record.value for row in rows}
            outcome, error = self._try(change, old)
            if error is None:
                records, answer = cast("tuple[Mapping[str, Json], A]", outcome)
                require_records(records, keys)
                self._replace(table, rows, records)
        if error is not None:
            raise error
        return answer

    def _writing(self) -> Writing:
        self._guard.require_changeable()
        self._permit(False)
        return self._database.writing()

    def _table(self, connection: apsw.Connection) -> Table:
        self._permit(True)
        if self._lease is not None:
            self._require_lease(connection, self._lease)
        if self._spec.order is not None and self._indexed != self._database.generation:
            if is_indexed(connection, self._spec):
                self._indexed = self._database.generation
            else:  # seen by the next change, if this one is committed
                make_index(connection, self._spec)
        secret = self._spec.secret_keys
        return Table(connection, self._mine, self._database.path, secret_keys=secret)

    def _require_lease(self, connection: apsw.Connection, lease: Lease) -> None:
        load_modules("clawstate.records.leases")
        from clawstate.records.leases import LEASES, require_granted  # noqa: PLC0415 - it is there

        # In the same transaction: nobody else is granted it before the commit.
        leases = Table(connection, (self._mine[0], LEASES.kind), self._database.path)
        found = leases.find(lease.name)
        require_granted(lease, None if found is None else found.record.value)

    def _try(
        self, change: Callable[[Any], Any], argument: Json
    ) -> tuple[Any, BaseException | None]:
        # An error of the change must not pass through the database, which would take some of them
        # for its own. As nothing is written yet, there is nothing to take back.
        try:
            with self._guard.running(self._spec.kind):
                return change(argument), None
        except BaseException as error:  # noqa: BLE001 - raised again behind the transaction
            return None, error

    def _write(self, table: Table, key: str, text: str, found: Row | None) -> Revision:
        if found is not None and found.says(text):
            return found.record.revision
        number = self._numbers(table, 1)
        table.write({key: text}, number)
        return str(number)

    def _remove(self, table: Table, keys: list[str]) -> None:
        table.remove(keys, self._numbers(table, len(keys)))
        sqlite_history.forget_removed(table.connection, len(keys))

    def _replace(self, table: Table, rows: list[Row], records: Mapping[str, Json]) -> None:
        same = {row.record.key for row in rows if row.is_left_alone(records)}
        new = {
            key: normalise_value(self._spec, key, value)[0]
            for key, value in records.items()
            if key not in same
        }
        gone = [row.record.key for row in rows if row.record.key not in records]
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
