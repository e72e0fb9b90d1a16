"""The records of one kind as rows of a PostgreSQL database."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from clawstate.interrupts import load_modules
from clawstate.paging import Position
from clawstate.postgres.connection import Connection
from clawstate.postgres.part import Part
from clawstate.records import postgres_rows as rows
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
from clawstate.records.postgres_history import History
from clawstate.records.postgres_ranks import rank_rows
from clawstate.records.postgres_rows import Row, RowKeys, all_of
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

if TYPE_CHECKING:
    from clawstate.health import Finding

A = TypeVar("A")

Permit: TypeAlias = Callable[[], object]
"""Raises a `StateError` where no record may be written now."""

_OPTIMISTIC = 3  # attempts: the server lets those who wait for a row in by turns, and no other way
_MOST = 1 << 62  # what PostgreSQL can take as a limit


@dataclass(frozen=True, slots=True)
class Shared:
    """What the collections of one engine have together."""

    part: Part
    history: History
    guard: ChangeGuard
    permit: Permit
    absent: Callable[[], object]
    changed: Callable[[], object]


class PostgresCollection:
    """The records of one kind; see `Collection`."""

    def __init__(self, spec: CollectionSpec, shared: Shared, keys: RowKeys) -> None:
        self._spec = spec
        self._shared = shared
        self._keys = keys
        self._part = shared.part
        self._lease: Lease | None = None
        self._has_kind = False

    @property
    def spec(self) -> CollectionSpec:
        """What the collection was asked for with."""
        return self._spec

    def get(self, key: str) -> Versioned | None:
        """Return the record of *key*."""
        self._require_readable()
        found = self._find(key) if is_key(key) else None
        if found is None:
            self._shared.absent()
            return None
        return found.record

    def scan(
        self, prefix: str = "", *, after: str | None = None, limit: int | None = None
    ) -> Iterator[Versioned]:
        """
        Give the records of this moment whose keys start with *prefix*, in order.

        Their text is fetched at once, and each is parsed when its turn comes. Use *limit* and
        *after* for more than memory holds; each page is then of a moment of its own.
        """
        require_limit(limit)
        self._require_readable()
        condition, bound = self._keys.within(prefix, after)
        sql = f"SELECT {rows.COLUMNS} FROM clawstate.records WHERE {condition} ORDER BY id, rest"
        if limit is not None:
            sql, bound = f"{sql} LIMIT %(limit)s", {**bound, "limit": min(limit, _MOST)}
        return self._records(self._part.rows(sql, bound))

    def latest(self, limit: int, *, after: Position | None = None) -> Iterator[Versioned]:
        """Give at most *limit* records, those with the greatest number in `spec.order` first."""
        require_limit(limit)
        self._require_readable()
        rank_rows(self._part, self._keys)
        sql, bound = self._keys.latest(min(limit, _MOST), after)
        return self._records(self._part.rows(sql, bound))

    def count(self, prefix: str = "") -> int:
        """Return how many records have a key that starts with *prefix*."""
        self._require_readable()
        condition, bound = self._keys.within(prefix, None)
        sql = f"SELECT count(*) FROM clawstate.records WHERE {condition}"
        ((found,),) = self._part.rows(sql, bound)
        if not found:
            self._shared.absent()
        return int(found)

    def put(self, key: str, value: Json, *, expect: Revision | Mark = ANY) -> Versioned:
        """Keep *value* under *key* if the record there is as expected."""
        text, same = normalise_value(self._spec, key, value)

        def decide(found: Row | None) -> tuple[str, Json]:
            require_expected(self._spec, key, _revision(found), expect)
            return text, same

        return cast("Versioned", self._change_one(key, decide)[0])

    def delete(self, key: str, *, expect: Revision | Mark = ANY) -> bool:
        """Remove *key*; False when it was not there."""
        require_key(key)

        def decide(found: Row | None) -> None:
            require_expected(self._spec, key, _revision(found), expect)

        return self._change_one(key, decide)[1]

    def update(self, key: str, change: Change) -> Versioned | None:
        """Put what *change* makes of the value of *key*, and return it."""
        require_key(key)

        def decide(found: Row | None) -> tuple[str, Json] | None:
            with self._shared.guard.running(self._spec.kind):
                value = change(None if found is None else found.record.value)
            return None if value is DELETE else normalise_value(self._spec, key, value)

        return self._change_one(key, decide)[0]

    def change_all(self, change: WholeChange[A]) -> A:
        """Replace all records by what *change* makes of them, at once."""
        return self._change_rows(None, change)

    def change_some(self, keys: Iterable[str], change: WholeChange[A]) -> A:
        """Replace the records of *keys* by what *change* makes of them, at once."""
        return self._change_rows(require_keys(keys), change)

    def changes(self, since: str | None = None) -> ChangedKeys:
        """Return which keys moved after the cursor *since*, and a cursor of now."""
        self._require_readable()
        cursor, moved = self._shared.history.changes(since)
        if moved is None:
            return ChangedKeys(cursor, frozenset(), complete=False)
        return ChangedKeys(cursor, frozenset(key for kind, key in moved if kind == self._spec.kind))

    def version(self) -> object:
        """Return what is equal as long as no record of the state is changed."""
        self._require_readable()
        return self._shared.history.version()

    def fenced(self, lease: Lease) -> PostgresCollection:
        """Return the same collection, for changes that raise `LeaseLostError` without *lease*."""
        load_modules("clawstate.records.leases")
        from clawstate.records.leases import require_lease  # noqa: PLC0415 - few programs need it

        other = copy.copy(self)
        other._lease = require_lease(lease)  # noqa: SLF001 - of the same class
        return other

    def check(self, *, deep: bool = False) -> Iterator[Finding]:  # noqa: ARG002 - see `Collection`
        """Give the rows that hold no record, each with a repair that puts it aside."""
        load_modules("clawstate.records.postgres_check")
        from clawstate.records.postgres_check import check_rows  # noqa: PLC0415 - for doctors alone

        return check_rows(self._part, self._keys)

    def _records(self, found: list[tuple[Any, ...]]) -> Iterator[Versioned]:
        if not found:
            self._shared.absent()
        return (self._keys.read(each).record for each in found)

    def _find(self, key: str) -> Row | None:
        found = self._part.rows(rows.FIND, self._keys.one(key))
        return self._keys.read(found[0]) if found else None

    def _require_readable(self) -> None:
        self._shared.guard.require_readable(self._spec.kind)

    def _change_one(
        self, key: str, decide: Callable[[Row | None], tuple[str, Json] | None]
    ) -> tuple[Versioned | None, bool]:
        """
        Put what *decide* makes of the row of *key*, and return it and whether there was one.

        By compare-and-set, so nothing is locked while *decide* works; who was too late does it
        again, and who is too late again and again waits in the queue for the row.
        """
        self._shared.guard.require_changeable()
        if self._lease is not None:
            return self._change_queued(key, decide)
        for _ in range(_OPTIMISTIC):
            self._shared.permit()
            found = self._find(key)
            new = decide(found)
            if found is None and new is None:
                return None, False
            if found is not None and new is not None and found.says(new[0]):
                return Versioned(key, new[1], found.record.revision), True
            if found is None:
                self._make_kind()
            sql, bound, put = self._statement(key, found, new)
            if self._part.change_once(sql, bound):
                self._note(removed=new is None)
                return put, found is not None
            self._has_kind = False  # somebody else was faster, or removed all tables
        return self._change_queued(key, decide)

    def _change_queued(
        self, key: str, decide: Callable[[Row | None], tuple[str, Json] | None]
    ) -> tuple[Versioned | None, bool]:
        def change(old: dict[str, Row]) -> tuple[dict[str, tuple[str, Json] | None], bool]:
            return {key: decide(old.get(key))}, key in old

        put, was_there = self._change_locked([key], change)
        return put.get(key), was_there

    def _change_rows(self, keys: list[str] | None, change: WholeChange[A]) -> A:
        self._shared.guard.require_changeable()

        def decide(old: dict[str, Row]) -> tuple[dict[str, tuple[str, Json] | None], A]:
            values = {key: row.record.value for key, row in old.items()}
            with self._shared.guard.running(self._spec.kind):
                records, answer = change(values)
            require_records(records, keys)
            new: dict[str, tuple[str, Json] | None] = {
                key: normalise_value(self._spec, key, value) for key, value in records.items()
            }
            return {**dict.fromkeys(key for key in old if key not in new), **new}, answer

        return self._change_locked(keys, decide)[1]

    def _change_locked(
        self,
        keys: list[str] | None,
        decide: Callable[[dict[str, Row]], tuple[Mapping[str, tuple[str, Json] | None], A]],
    ) -> tuple[dict[str, Versioned], A]:
        """
        Put what *decide* makes of the rows of *keys* (`None`: all), which are locked meanwhile.

        Return what was put, and its answer.
        """
        self._shared.permit()
        put: dict[str, Versioned] = {}
        removed = 0

        def work(connection: Connection) -> A:
            nonlocal removed
            put.clear()
            removed = 0
            self._require_lease(connection)
            connection.execute(rows.ADD_KIND, self._keys.mine)
            if keys is None:
                connection.execute(rows.LOCK_KIND, self._keys.mine)
            columns = connection.execute(*all_of(self._keys, keys)).fetchall()
            old = {row.record.key: row for row in map(self._keys.read, columns)}
            if keys is not None:
                old = {key: old[key] for key in keys if key in old}
            new, answer = self._decide(decide, old)
            for key, value in new.items():
                found = old.get(key)
                if found is not None and value is not None and found.says(value[0]):
                    put[key] = Versioned(key, value[1], found.record.revision)
                elif found is not None or value is not None:
                    put.update(self._write(connection, key, found, value))
                    removed += value is None
            return answer

        try:
            answer = self._part.change(work)
        except _ChangeError as error:
            raise error.error from None
        self._note(removed=removed)
        return put, answer

    def _decide(self, decide: Callable[[dict[str, Row]], A], old: dict[str, Row]) -> A:
        # An error of the change must not pass through the database, which would take some of them
        # for its own.
        try:
            return decide(old)
        except Exception as error:
            raise _ChangeError(error) from error

    def _write(
        self,
        connection: Connection,
        key: str,
        found: Row | None,
        value: tuple[str, Json] | None,
    ) -> dict[str, Versioned]:
        if value is None:
            assert found is not None  # noqa: S101 - see where it is called
            bound = {**self._keys.one(key), "found": int(found.record.revision)}
            connection.execute(rows.REMOVE, bound)
            return {}
        rev, bound = self._keys.value(key, *value)
        if found is not None:
            connection.execute(rows.REPLACE, {**bound, "found": int(found.record.revision)})
        elif connection.execute(rows.ADD, bound).fetchone() is None:
            # Added by another since the rows were locked: this one begins again.
            raise _added_meanwhile()
        return {key: Versioned(key, value[1], rev)}

    def _statement(
        self, key: str, found: Row | None, new: tuple[str, Json] | None
    ) -> tuple[str, dict[str, Any], Versioned | None]:
        if new is None:
            assert found is not None  # noqa: S101 - see where it is called
            bound = {**self._keys.one(key), "found": int(found.record.revision)}
            return rows.REMOVE_ALONE, bound, None
        rev, bound = self._keys.value(key, *new)
        put = Versioned(key, new[1], rev)
        if found is None:
            return rows.ADD_ALONE, bound, put
        return rows.REPLACE_ALONE, {**bound, "found": int(found.record.revision)}, put

    def _require_lease(self, connection: Connection) -> None:
        if self._lease is None:
            return
        load_modules("clawstate.records.leases")
        from clawstate.records.leases import LEASES, require_granted  # noqa: PLC0415 - it is there

        # Locked against another grant until the commit, and looked at by the clock of the server.
        mine = RowKeys(self._keys.tenant, LEASES.kind, LEASES, self._keys.place)
        found = connection.execute(f"{rows.FIND} FOR SHARE", mine.one(self._lease.name)).fetchone()
        try:
            require_granted(self._lease, None if found is None else mine.read(found).record.value)
        except Exception as error:
            raise _ChangeError(error) from error

    def _make_kind(self) -> None:
        if not self._has_kind:
            self._part.make()
            self._part.database.attempt(
                lambda connection: connection.execute(rows.ADD_KIND, self._keys.mine)
            )
            self._has_kind = True

    def _note(self, *, removed: int) -> None:
        self._shared.changed()
        if removed:
            self._shared.history.forget_some(removed)


class _ChangeError(Exception):
    """Carries what a change raised through a transaction, which it ends."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def _added_meanwhile() -> Exception:
    import psycopg  # noqa: PLC0415 - seldom

    return psycopg.errors.SerializationFailure("a record was added meanwhile")


def _revision(found: Row | None) -> Revision | None:
    return None if found is None else found.record.revision
