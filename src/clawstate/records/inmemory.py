"""Records in the memory of one process: for tests, and for state that may be lost."""

from __future__ import annotations

import copy
import os
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from clawstate.errors import ClosedError
from clawstate.files.json_text import parse_json
from clawstate.health import Finding
from clawstate.interrupts import Mutex
from clawstate.paging import Position
from clawstate.records.contract import (
    ANY,
    DELETE,
    Capability,
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
from clawstate.records.leases import (
    LEASES,
    Leases,
    RecordLease,
    Ticks,
    require_granted,
    require_lease,
)
from clawstate.records.rules import (
    ChangeGuard,
    behind,
    key_range,
    normalise_value,
    position_of,
    require_expected,
    require_key,
    require_keys,
    require_limit,
    require_records,
)

A = TypeVar("A")

REMEMBERED = 10_000
"""The keys of a collection whose last change is remembered for `changes`."""

_WHERE = Path("memory")


class InMemoryBackend:
    """
    An engine that keeps JSON text in this process, and forgets it with it.

    A value comes back as its text says, as from a file: 1.0 as 1, NaN as null.
    """

    def __init__(self) -> None:
        self._name = os.urandom(8).hex()
        self._tables: dict[str, _Table] = {}
        self._tables_lock = Mutex()
        self._guard = ChangeGuard()
        self._closed = False
        self._leases = Leases(self.collection(LEASES))

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Nothing beyond the contract."""
        return frozenset()

    def collection(self, spec: CollectionSpec) -> InMemoryCollection:
        """Return the collection of *spec*; those of one kind are the same."""
        self.require_open()
        with self._tables_lock:
            table = self._tables.setdefault(spec.kind, _Table())
        return InMemoryCollection(spec, table, self._name, guard=self._guard, backend=self)

    def kinds(self, prefix: str = "") -> tuple[str, ...]:
        """Return the kinds of collections that hold something and start with *prefix*, sorted."""
        self.require_open()
        with self._tables_lock:
            found = [kind for kind, table in self._tables.items() if table.rows]
        return tuple(
            sorted(kind for kind in found if kind.startswith(prefix) and kind != LEASES.kind)
        )

    def lease(
        self, name: str, ttl: float, *, wait: float = 0.0, ticks: Ticks = time.monotonic
    ) -> RecordLease:
        """Return the lease *name*, held for *ttl* seconds from now."""
        return self._leases.grant(name, ttl, wait=wait, ticks=ticks)

    def check(self, *, deep: bool = False) -> Iterator[Finding]:  # noqa: ARG002 - see `Backend`
        """Give nothing: what this process alone can write is as it was written."""
        self.require_open()
        return iter(())

    def close(self) -> None:
        """Forget everything; a call after this raises `ClosedError`."""
        self._closed = True
        self._tables = {}

    def require_open(self) -> None:
        """Raise `ClosedError` after `close`."""
        if self._closed:
            raise ClosedError("the state in memory")


class InMemoryCollection:
    """The records of one kind; see `Collection`."""

    def __init__(
        self,
        spec: CollectionSpec,
        table: _Table,
        name: str,
        *,
        guard: ChangeGuard,
        backend: InMemoryBackend,
    ) -> None:
        self._spec = spec
        self.table = table
        self._name = name
        self._guard = guard
        self._backend = backend
        self._lease: Lease | None = None

    @property
    def spec(self) -> CollectionSpec:
        """What the collection was asked for with."""
        return self._spec

    def get(self, key: str) -> Versioned | None:
        """Return the record of *key*."""
        with self._reading():
            table = self.table
            found = table.rows.get(key)
        return None if found is None else found.record(key)

    def scan(
        self, prefix: str = "", *, after: str | None = None, limit: int | None = None
    ) -> Iterator[Versioned]:
        """Give the records of this moment whose keys start with *prefix*, in order."""
        require_limit(limit)
        with self._reading():
            table = self.table
            rows = sorted(_within(table, prefix, after).items())
        return (row.record(key) for key, row in rows[:limit])

    def latest(self, limit: int, *, after: Position | None = None) -> Iterator[Versioned]:
        """Give at most *limit* records, those with the greatest number in `spec.order` first."""
        with self._reading():
            records = {key: row.record(key) for key, row in self.table.rows.items()}
        ordered = sorted(position_of(self._spec, key, each.value) for key, each in records.items())
        return (records[key] for _, key in behind(ordered, after, limit))

    def count(self, prefix: str = "") -> int:
        """Return how many records have a key that starts with *prefix*."""
        with self._reading():
            table = self.table
            return len(_within(table, prefix, None))

    def put(self, key: str, value: Json, *, expect: Revision | Mark = ANY) -> Versioned:
        """Keep *value* under *key* if the record there is as expected."""
        text, _ = normalise_value(self._spec, key, value)
        with self._writing():
            table = self.table
            require_expected(self._spec, key, table.revision(key), expect)
            return self._apply({key: text})[key].record(key)

    def delete(self, key: str, *, expect: Revision | Mark = ANY) -> bool:
        """Remove *key*; False when it was not there."""
        require_key(key)
        with self._writing():
            table = self.table
            require_expected(self._spec, key, table.revision(key), expect)
            was_there = key in table.rows
            self._apply({key: None})
            return was_there

    def update(self, key: str, change: Change) -> Versioned | None:
        """Put what *change* makes of the value of *key*, and return it."""
        require_key(key)
        with self._writing():
            table = self.table
            found = table.rows.get(key)
            with self._guard.running(self._spec.kind):
                value = change(None if found is None else found.value())
            text = None if value is DELETE else normalise_value(self._spec, key, value)[0]
            applied = self._apply({key: text})
            return applied[key].record(key) if applied else None

    def change_all(self, change: WholeChange[A]) -> A:
        """Replace all records by what *change* makes of them, at once."""
        with self._writing():
            table = self.table
            return self._replace(sorted(table.rows), change)

    def change_some(self, keys: Iterable[str], change: WholeChange[A]) -> A:
        """Replace the records of *keys* by what *change* makes of them, at once."""
        wanted = require_keys(keys)
        with self._writing():
            table = self.table
            found = [key for key in wanted if key in table.rows]
            return self._replace(found, change, wanted)

    def changes(self, since: str | None = None) -> ChangedKeys:
        """Return which keys moved after the cursor *since*, and a cursor of now."""
        with self._reading():
            table = self.table
            cursor = f"{self._name}.{table.now}"
            if since is None:
                return ChangedKeys(cursor, frozenset())
            moment = self._moment(since)
            if moment is None or not table.floor <= moment <= table.now:
                return ChangedKeys(cursor, frozenset(), complete=False)
            return ChangedKeys(cursor, frozenset(table.moved_after(moment)))

    def version(self) -> object:
        """Return what is equal as long as no record is changed."""
        with self._reading():
            return self.table.now

    def fenced(self, lease: Lease) -> InMemoryCollection:
        """Return the same collection, for changes that raise `LeaseLostError` without *lease*."""
        other = copy.copy(self)
        other._lease = require_lease(lease)  # noqa: SLF001 - of the same class
        return other

    def check(self, *, deep: bool = False) -> Iterator[Finding]:
        """Give nothing, as the engine does."""
        return self._backend.check(deep=deep)

    def _replace(
        self, found: list[str], change: WholeChange[A], wanted: list[str] | None = None
    ) -> A:
        old = {key: self.table.rows[key].value() for key in found}
        with self._guard.running(self._spec.kind):
            records, answer = change(old)
        require_records(records, wanted)
        new = {key: normalise_value(self._spec, key, value)[0] for key, value in records.items()}
        self._apply({**dict.fromkeys(key for key in found if key not in new), **new})
        return answer

    def _moment(self, cursor: str) -> int | None:
        name, _, moment = cursor.partition(".")
        known = name == self._name and moment.isdecimal() and len(moment) < 20
        return int(moment) if known else None

    def _reading(self) -> Mutex:
        self._backend.require_open()
        self._guard.require_readable(self._spec.kind)
        return self.table.reading

    def _writing(self) -> Mutex:
        self._backend.require_open()
        self._guard.require_changeable()
        return self.table.writing

    def _apply(self, texts: Mapping[str, str | None]) -> dict[str, _Row]:
        self._backend.require_open()
        if self._lease is None:
            return self._put_all(texts)
        leases = self._backend.collection(LEASES).table
        with leases.reading:  # so nobody else is granted it meanwhile
            found = leases.rows.get(self._lease.name)
            require_granted(self._lease, None if found is None else found.value())
            return self._put_all(texts)

    def _put_all(self, texts: Mapping[str, str | None]) -> dict[str, _Row]:
        # A change runs without this lock, so that readers need not wait for it.
        with self.table.reading:
            for key, text in texts.items():
                self.table.put(key, text)
            return {key: self.table.rows[key] for key, text in texts.items() if text is not None}


@dataclass(frozen=True, slots=True)
class _Row:
    text: str
    moment: int

    def value(self) -> Json:
        return parse_json(self.text, path=_WHERE)

    def record(self, key: str) -> Versioned:
        return Versioned(key, self.value(), str(self.moment))


@dataclass(slots=True)
class _Table:
    rows: dict[str, _Row] = field(default_factory=dict)
    moved: OrderedDict[str, int] = field(default_factory=OrderedDict)  # the latest last
    now: int = 0
    floor: int = 0
    reading: Mutex = field(default_factory=Mutex)
    writing: Mutex = field(default_factory=Mutex)

    def revision(self, key: str) -> Revision | None:
        found = self.rows.get(key)
        return None if found is None else str(found.moment)

    def put(self, key: str, text: str | None) -> None:
        found = self.rows.get(key)
        if text == (None if found is None else found.text):
            return
        self.now += 1
        if text is None:
            del self.rows[key]
        else:
            self.rows[key] = _Row(text, self.now)
        self.moved[key] = self.now
        self.moved.move_to_end(key)
        if len(self.moved) > REMEMBERED:
            self.floor = self.moved.popitem(last=False)[1]

    def moved_after(self, moment: int) -> Iterator[str]:
        for key in reversed(self.moved):
            if self.moved[key] <= moment:
                return
            yield key


def _within(table: _Table, prefix: str, after: str | None) -> dict[str, _Row]:
    low, high = key_range(prefix, after)
    return {
        key: row for key, row in table.rows.items() if low <= key and (high is None or key < high)
    }
