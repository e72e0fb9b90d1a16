"""The records of one JSON file; see `json_files`."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from clawstate.errors import CorruptError, LockLostError, UnavailableError
from clawstate.files.lock import FileLock
from clawstate.files.lock_options import LockOptions
from clawstate.interrupts import Mutex, load_modules
from clawstate.paging import Position
from clawstate.records.contract import (
    ABSENT,
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
from clawstate.records.document_file import DocumentFile, Snapshot, revision_of
from clawstate.records.rules import (
    ChangeGuard,
    behind,
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

_REMEMBERED = 16  # states whose cursors are known
_ATTEMPTS = 50  # a lock can be lost again, but not for ever


class Directory(Protocol):
    """What a collection asks of its engine, the `JsonFilesBackend`."""

    permit: Callable[[Path, bool], object]
    absent: Callable[[], object]

    @property
    def guard(self) -> ChangeGuard:
        """Tells which changes run."""

    def require_open(self) -> None:
        """Raise `ClosedError` after the engine was closed."""

    def open_unlisted(self, spec: CollectionSpec) -> JsonFileCollection:
        """Return another collection."""


class JsonFileCollection:
    """The `Collection` that lies in one JSON file."""

    def __init__(
        self, backend: Directory, file: DocumentFile, spec: CollectionSpec, lock: LockOptions
    ) -> None:
        self._backend = backend
        self._file = file
        self._spec = spec
        self._options = lock
        self._states: OrderedDict[str, dict[str, Revision]] = OrderedDict()
        self._mutex = Mutex()
        self._lease: Lease | None = None

    @property
    def spec(self) -> CollectionSpec:
        """What the collection was asked for with."""
        return self._spec

    @property
    def path(self) -> Path:
        """Its file."""
        return self._file.path

    def get(self, key: str) -> Versioned | None:
        """Return the record of *key*."""
        snapshot = self._read()
        return snapshot.get(key) if is_key(key) else None

    def scan(
        self, prefix: str = "", *, after: str | None = None, limit: int | None = None
    ) -> Iterator[Versioned]:
        """Give the records whose keys start with *prefix*, by code point of their keys."""
        require_limit(limit)
        snapshot = self._read()
        keys = sorted(
            key
            for key in snapshot.records
            if key.startswith(prefix) and (after is None or key > after) and is_key(key)
        )
        found = (snapshot.get(key) for key in keys[:limit])
        return (record for record in found if record is not None)

    def latest(self, limit: int, *, after: Position | None = None) -> Iterator[Versioned]:
        """Give at most *limit* records, those with the greatest number in `spec.order` first."""
        snapshot = self._read()
        wanted = behind(snapshot.order_by(self._spec), after, limit)
        found = (snapshot.get(key) for _, key in wanted)
        return (record for record in found if record is not None)

    def count(self, prefix: str = "") -> int:
        """Return how many records have a key that starts with *prefix*."""
        return sum(key.startswith(prefix) for key in self._read().keys())  # noqa: SIM118

    def put(self, key: str, value: Json, *, expect: Revision | Mark = ANY) -> Versioned:
        """Keep *value* under *key* if the record there is as expected."""
        text, copy = normalise_value(self._spec, key, value)

        def change(snapshot: Snapshot) -> tuple[Mapping[str, Json] | None, Versioned]:
            found = snapshot.revision(key)
            require_expected(self._spec, key, found, expect)
            return _with(snapshot, key, text, copy)

        return self._change(change)

    def delete(self, key: str, *, expect: Revision | Mark = ANY) -> bool:
        """Remove *key*; False when it was not there."""
        require_key(key)

        def change(snapshot: Snapshot) -> tuple[Mapping[str, Json] | None, bool]:
            found = snapshot.revision(key)
            if found is None and expect in {ANY, ABSENT}:
                return None, False
            require_expected(self._spec, key, found, expect)
            return _without(snapshot, key), True

        return self._change(change)

    def update(self, key: str, change: Change) -> Versioned | None:
        """Put what *change* makes of the value of *key*, and return it."""
        require_key(key)

        def apply(snapshot: Snapshot) -> tuple[Mapping[str, Json] | None, Versioned | None]:
            found = snapshot.get(key)
            with self._backend.guard.running(self._spec.kind):
                value = change(None if found is None else found.value)
            if value is DELETE:
                return (None if found is None else _without(snapshot, key)), None
            text, copy = normalise_value(self._spec, key, value)
            return _with(snapshot, key, text, copy)

        return self._change(apply)

    def change_all(self, change: WholeChange[A]) -> A:
        """Replace all records by what *change* makes of them, at once, and return its answer."""
        return self._replace(None, change)

    def change_some(self, keys: Iterable[str], change: WholeChange[A]) -> A:
        """Replace the records of *keys* by what *change* makes of them, at once."""
        return self._replace(require_keys(keys), change)

    def changes(self, since: str | None = None) -> ChangedKeys:
        """Return which keys moved after the cursor *since*, and a cursor of now."""
        snapshot = self._read()
        revisions = {key: snapshot.revision(key) or "" for key in snapshot.keys()}  # noqa: SIM118
        cursor = hashlib.blake2b(snapshot.raw, digest_size=16).hexdigest()
        with self._mutex:
            before = self._states.get(since) if since is not None else None
            self._states[cursor] = revisions
            self._states.move_to_end(cursor)
            while len(self._states) > _REMEMBERED:
                self._states.popitem(last=False)
        if since is None or since == cursor:
            return ChangedKeys(cursor, frozenset())
        if before is None:
            return ChangedKeys(cursor, frozenset(), complete=False)
        moved = dict(before.items() ^ revisions.items())
        return ChangedKeys(cursor, frozenset(moved))

    def version(self) -> object:
        """Return what is equal as long as the file holds the same; costs one stat."""
        return self._read().token

    def fenced(self, lease: Lease) -> JsonFileCollection:
        """Return the same collection, for changes that raise `LeaseLostError` without *lease*."""
        load_modules("clawstate.records.leases")
        from clawstate.records.leases import require_lease  # noqa: PLC0415 - few programs need it

        other = copy.copy(self)
        other._lease = require_lease(lease)  # noqa: SLF001 - of the same class
        return other

    def check(self, *, deep: bool = False) -> Iterator[Finding]:
        """Give the damage of the file, with a repair that brings back its last good copy."""
        load_modules("clawstate.records.json_check")
        from clawstate.records.json_check import check_document  # noqa: PLC0415 - for doctors

        return check_document(self, self._file.path, deep=deep)

    def damage(self) -> CorruptError | None:
        """Return why the file cannot be read, or `None`."""
        return self._file.damage()

    def is_readable_otherwise(self) -> bool:
        """Tell whether a damaged file is whole in another form, which `repair` writes as JSON."""
        return self._file.is_readable_otherwise()

    def repair(self) -> Path | None:
        """
        Move a damaged file into quarantine and restore its last good state (decision 10).

        One that is whole, but JSON5 or in another encoding, is written again as JSON instead.
        Returns where the damaged file lies now, or `None` if nothing was wrong.
        """
        self._backend.permit(self._file.path, False)
        self._file.require_real_folders()
        return self._with_lock(lambda lock: self._file.repair(fence=lock.confirm))

    def _read(self) -> Snapshot:
        self._backend.require_open()
        self._backend.guard.require_readable(self._spec.kind)
        snapshot = self._file.read()
        if not snapshot.raw:
            self._backend.absent()
        return snapshot

    def _replace(self, keys: list[str] | None, change: WholeChange[A]) -> A:
        def apply(snapshot: Snapshot) -> tuple[Mapping[str, Json] | None, A]:
            found = {key: snapshot.get(key) for key in (snapshot.keys() if keys is None else keys)}
            values = {key: record.value for key, record in found.items() if record is not None}
            with self._backend.guard.running(self._spec.kind):
                records, answer = change(values)
            require_records(records, keys)
            make = _replace_all if keys is None else _replace_some
            return make(self._spec, snapshot, values, records), answer

        return self._change(apply)

    def _change(self, change: Callable[[Snapshot], tuple[Mapping[str, Json] | None, A]]) -> A:
        self._backend.require_open()
        self._backend.guard.require_changeable()
        self._backend.permit(self._file.path, False)  # before a lock file is made beside it
        self._file.require_real_folders()
        for _ in range(_ATTEMPTS):
            try:
                return self._with_lock(lambda lock: self._under_lease(change, lock))
            except LockLostError:
                continue  # somebody took the lock: apply the change to what they left
        raise LockLostError(str(self._file.path))

    def _with_lock(self, work: Callable[[FileLock], A]) -> A:
        done: list[A] = []
        try:
            with FileLock(self._file.path, options=self._options) as lock:
                done.append(work(lock))
        except UnavailableError:
            # The work is done and durable: only the removal of the lock file can have failed, and
            # that file is marked as left, so nobody waits for it.
            if not done:
                raise
        return done[0]

    def _under_lease(
        self, change: Callable[[Snapshot], tuple[Mapping[str, Json] | None, A]], lock: FileLock
    ) -> A:
        lease = self._lease
        if lease is None:
            return self._apply(change, lock, lock.confirm)
        load_modules("clawstate.records.leases")
        from clawstate.records.leases import LEASES, require_granted  # noqa: PLC0415 - it is there

        leases = self._backend.open_unlisted(LEASES)

        def fence() -> None:
            found = leases.get(lease.name)
            require_granted(lease, None if found is None else found.value)
            lock.confirm()

        # Under the lock of the leases nobody else is granted it between the look and the write.
        with FileLock(leases.path, options=self._options):
            fence()
            return self._apply(change, lock, fence)

    def _apply(
        self,
        change: Callable[[Snapshot], tuple[Mapping[str, Json] | None, A]],
        lock: FileLock,
        fence: Callable[[], object],
    ) -> A:
        self._backend.permit(self._file.path, True)
        before = self._file.require()
        records, answer = change(before)
        if records is not None:
            self._file.write(before, records, fence=fence, release=lambda: _release(lock))
        return answer


def _release(lock: FileLock) -> None:
    # What can have stayed is the lock file, and that is marked as left.
    with contextlib.suppress(UnavailableError):
        lock.release()


def _with(
    snapshot: Snapshot, key: str, text: str, copy: Json
) -> tuple[Mapping[str, Json] | None, Versioned]:
    """Return the records with *copy*, whose JSON is *text*, under *key*, and that record."""
    record = Versioned(key, json.loads(text), revision_of(copy))
    if snapshot.revision(key) == record.revision:
        return None, record
    return {**snapshot.records, key: copy}, record


def _without(snapshot: Snapshot, key: str) -> Mapping[str, Json]:
    """Return the records without that of *key*."""
    return {each: value for each, value in snapshot.records.items() if each != key}


def _replace_all(
    spec: CollectionSpec, snapshot: Snapshot, _: Iterable[str], records: Mapping[str, Json]
) -> Mapping[str, Json] | None:
    """Return *records*, in their order, in the place of all."""
    arranged = {key: value for key, value in snapshot.records.items() if not is_key(key)}
    same = len(arranged) + len(records) == len(snapshot.records)
    for key, value in records.items():
        _, copy = normalise_value(spec, key, value)
        if snapshot.revision(key) == revision_of(copy):
            copy = snapshot.records[key]  # the same object need not be written out again
        else:
            same = False
        arranged[key] = copy
    return None if same else arranged


def _replace_some(
    spec: CollectionSpec, snapshot: Snapshot, found: Iterable[str], records: Mapping[str, Json]
) -> Mapping[str, Json] | None:
    """Return *records* in the place of those that were *found*, and all others as they are."""
    gone = {key for key in found if key not in records}
    new = {key: normalise_value(spec, key, value)[1] for key, value in records.items()}
    moved = {key: copy for key, copy in new.items() if snapshot.revision(key) != revision_of(copy)}
    left = {key: value for key, value in snapshot.records.items() if key not in gone}
    return {**left, **moved} if moved or gone else None
