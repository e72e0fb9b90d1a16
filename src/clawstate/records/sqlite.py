"""Records as rows of one SQLite database, shared by threads and processes of one machine."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

from clawstate.errors import InvalidError
from clawstate.paging import Position
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
    require_keys,
    require_limit,
    require_records,
)
from clawstate.records.sqlite_history import History
from clawstate.records.sqlite_rows import Row, Rows, Table, is_indexed, make_index
from clawstate.records.sqlite_schema import MIGRATIONS
from clawstate.sqlite import Database

if TYPE_CHECKING:
    import apsw

    from clawstate.sqlite.blocks import Writing

A = TypeVar("A")

Permit: TypeAlias = Callable[[bool], object]
"""Is told whether the transaction has begun."""

_MOVED = "moved:"
_ASIDE = "FROM records WHERE substr(kind, 1, ?) = ?"  # of all tenants: they share the file

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

    def __init__(
        self,
        path: Path,
        *,
        tenant: str = "default",
        lock_timeout: float = 30.0,
        present: Callable[[], object] = lambda: None,
    ) -> None:
        _require_name("tenant", tenant)
        self._tenant = tenant
        self._database = Database(
            path, migrations=MIGRATIONS, lock_timeout=lock_timeout, present=present
        )
        self._history = History()
        self._guard = ChangeGuard()
        self._permit: Permit = lambda _holding: None
        self._absent: Callable[[], object] = lambda: None

    def permitting(self, permit: Permit, absent: Callable[[], object]) -> SqliteBackend:
        """
        Return the same engine for changes that *permit* allows.

        It is asked before each, and again in its transaction, and raises a `StateError`. *absent*
        is called when no record is found, and raises where they were moved elsewhere.
        """
        other = copy.copy(self)
        other._absent = absent  # noqa: SLF001 - of the same class
        other._permit = permit  # noqa: SLF001 - of the same class
        return other

    def set_aside(self, kind: str, revisions: Mapping[str, Revision]) -> bool:
        """
        Put the records of *kind*, whose *revisions* these are, where no collection finds them.

        False if some were changed since. They stay in the database, as kind `moved:<kind>`.
        """
        with self._database.writing() as connection:
            table = Table(connection, (self._tenant, kind), self._database.path)
            rows = table.all()
            if {row.record.key: row.record.revision for row in rows} != dict(revisions):
                return False
            texts = {row.record.key: row.body for row in rows}
            first = self._history.advance(connection, 2 * len(texts), self._database.generation)
            aside = Table(connection, (self._tenant, f"{_MOVED}{kind}"), self._database.path)
            aside.write(texts, first)
            table.remove(list(texts), first + len(texts))
            sqlite_history.forget_removed(connection, len(texts))
        return True

    def count_aside(self) -> int:
        """Return how many records were set aside, of all tenants."""
        with self._database.reading() as connection:
            return _count_aside(connection)

    def remove_aside(self) -> int:
        """Remove what was set aside of all tenants, and return how many records that were."""
        with self._database.writing() as connection:
            count = _count_aside(connection)
            connection.execute(f"DELETE {_ASIDE}", (len(_MOVED), _MOVED))
        return count

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do beyond the contract."""
        return _CAPABILITIES

    def collection(self, shape: Shape) -> SqliteCollection:
        """Return the collection of *shape*; those of one kind are the same."""
        _require_name("kind", shape.kind)
        self._database.exists()  # raises when it is closed
        return SqliteCollection(
            shape,
            self._database,
            self._history,
            tenant=self._tenant,
            guard=self._guard,
            permit=self._permit,
            absent=self._absent,
        )

    def kinds(self, prefix: str = "") -> tuple[str, ...]:
        """Return the kinds that start with *prefix* and have records, sorted."""
        sql = "SELECT DISTINCT kind FROM records WHERE tenant = ? AND substr(kind, 1, ?) = ?"
        with self._database.reading() as connection:
            found = connection.execute(sql, (self._tenant, len(prefix), prefix)).fetchall()
        return tuple(sorted(str(kind) for (kind,) in found))

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
        permit: Permit,
        absent: Callable[[], object],
    ) -> None:
        self._permit = permit
        self._absent = absent
        self._shape = shape
        self._database = database
        self._history = history
        self._mine = (tenant, shape.kind)
        self._rows = Rows(database.rows, self._mine, database.path)
        self._guard = guard
        self._at_rest = False
        self._indexed: int | None = None  # the generation of the database whose index was seen

    @property
    def shape(self) -> Shape:
        """What the collection was asked for with."""
        return self._shape

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
        """Give at most *limit* records, those with the greatest number in `shape.order` first."""
        require_limit(limit)
        self._guard.require_readable(self._shape.kind)
        with self._database.reading() as connection:
            indexed = self._shape.order is not None and is_indexed(connection, self._shape)
            mine = Table(connection, self._mine, self._database.path)
            rows = mine.latest(self._shape.order, limit, after, indexed=indexed)
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
        text, copy = kept(self._shape, key, value)
        with self._writing() as connection:
            table = self._table(connection)
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
        with self._writing() as connection:
            table = self._table(connection)
            found = table.find(key)
            require_expected(self._shape, key, _revision(found), expect)
            if found is not None:
                self._remove(table, [key])
        return found is not None

    def update(self, key: str, change: Change) -> Versioned | None:
        """Put what *change* makes of the value of *key*, and return it."""
        require_key(key)
        # Where the last one changed nothing, this one may not either: a read waits for nobody.
        if self._at_rest and (same := self._unchanged(key, change)) is not None:
            return same
        with self._writing() as connection:
            table = self._table(connection)
            found = table.find(key)
            value, error = self._tried(change, None if found is None else found.record.value)
            if error is None and value is not DELETE:
                text, copy = kept(self._shape, key, value)
                revision = self._written(table, key, text, found)
                self._at_rest = revision == _revision(found)
                return Versioned(key, copy, revision)
            if error is None and found is not None:
                self._remove(table, [key])
        if error is not None:
            raise error
        return None

    def change_all(self, change: WholeChange[A]) -> A:
        """Replace all records by what *change* makes of them, at once."""
        return self._replaced(None, change)

    def change_some(self, keys: Iterable[str], change: WholeChange[A]) -> A:
        """Replace the records of *keys* by what *change* makes of them, at once."""
        return self._replaced(require_keys(keys), change)

    def changes(self, since: str | None = None) -> Changes:
        """Return which keys moved after the cursor *since*, and a cursor of now."""
        self._guard.require_readable(self._shape.kind)
        with self._database.reading() as connection:
            return sqlite_history.changes(connection, *self._mine, since)

    def _unchanged(self, key: str, change: Change) -> Versioned | None:
        self._guard.require_changeable()
        found = self._readable().find(key)
        if found is None:
            return None
        value, error = self._tried(change, found.record.value)
        if error is not None or value is DELETE:
            return None
        text, copy = kept(self._shape, key, value)
        return Versioned(key, copy, found.record.revision) if found.says(text) else None

    def _readable(self) -> Rows:
        self._guard.require_readable(self._shape.kind)
        return self._rows

    def _replaced(self, keys: list[str] | None, change: WholeChange[A]) -> A:
        with self._writing() as connection:
            table = self._table(connection)
            rows = table.all() if keys is None else table.some(keys)
            old = {row.record.key: row.record.value for row in rows}
            outcome, error = self._tried(change, old)
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
        if self._shape.order is not None and self._indexed != self._database.generation:
            if is_indexed(connection, self._shape):
                self._indexed = self._database.generation
            else:  # seen by the next change, if this one is committed
                make_index(connection, self._shape)
        return Table(connection, self._mine, self._database.path)

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
        same = {row.record.key for row in rows if row.is_left_alone(records)}
        new = {
            key: kept(self._shape, key, value)[0]
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


def _require_name(name: str, value: str) -> None:
    if not is_key(value):
        problem = f"{value!r} is not 1 to 1,024 characters of text"
        raise InvalidError(name, problem, "choose another one")


def _count_aside(connection: apsw.Connection) -> int:
    sql = f"SELECT count(*) {_ASIDE}"
    ((count,),) = connection.execute(sql, (len(_MOVED), _MOVED)).fetchall()
    return int(str(count))
