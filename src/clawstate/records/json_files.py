"""
Records in JSON files of the specification's exact shape, shared with OpenClaw.

Each change locks, reads, applies, checks that the lock is still held, writes the file whole and
durably, and releases; a change that lost its lock is applied again to what is there then. Reading
takes no lock. A revision is a digest of the value.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TypeAlias, TypeVar

from clawstate.errors import (
    ClosedError,
    CorruptError,
    InvalidError,
    LockLostError,
    UnavailableError,
)
from clawstate.files.lock import FileLock
from clawstate.files.lock_options import LockOptions
from clawstate.interrupts import Mutex
from clawstate.paging import Position
from clawstate.records import replacing
from clawstate.records.contract import (
    ABSENT,
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
from clawstate.records.document_file import DocumentFile, Snapshot
from clawstate.records.rules import (
    ChangeGuard,
    behind,
    is_key,
    kept,
    require_expected,
    require_key,
    require_keys,
    require_limit,
    require_records,
)

A = TypeVar("A")

_REMEMBERED = 16  # states whose cursors are known
_ATTEMPTS = 50  # a lock can be lost again, but not for ever

Permit: TypeAlias = Callable[[Path, bool], object]
"""Is told the file, and whether its lock is held."""


class JsonFilesBackend:
    """
    Collections in files below the directory *root*; *lock* tells how long a change may wait.

    *permit* is asked before each change, and again under its lock: it raises a `StateError` where
    that file must not be written any more, `LockLostError` under the lock to be asked once more.
    *present* is called before each use, and raises where the state is not the one it was; *absent*
    when a file is not there, and raises where its records were moved elsewhere.
    """

    capabilities = frozenset({Capability.DURABLE, Capability.SHARED, Capability.FILES})

    def __init__(
        self,
        root: Path,
        *,
        lock: LockOptions | None = None,
        permit: Permit = lambda *_: None,
        present: Callable[[], object] = lambda: None,
        absent: Callable[[], object] = lambda: None,
    ) -> None:
        self._root = root
        self.absent = absent
        self._present = present
        self._lock = lock or LockOptions()
        self.permit = permit
        self._guard = ChangeGuard()
        self._closed = False

    def collection(self, shape: Shape) -> JsonFileCollection:
        """Return the collection of *shape*; raises `InvalidError` for a path that leads out."""
        self.require_open()
        _require_inside(shape.path)
        return JsonFileCollection(self, DocumentFile(self._root, shape), shape, self._lock)

    def close(self) -> None:
        """Let go of everything; a call after this raises `ClosedError`."""
        self._closed = True

    def require_open(self) -> None:
        """Raise `ClosedError` after `close`, and what *present* raises."""
        if self._closed:
            raise ClosedError(str(self._root))
        self._present()

    @property
    def guard(self) -> ChangeGuard:
        """Tells which changes run."""
        return self._guard


class JsonFileCollection:
    """The `Collection` that lies in one JSON file."""

    def __init__(
        self, backend: JsonFilesBackend, file: DocumentFile, shape: Shape, lock: LockOptions
    ) -> None:
        self._backend = backend
        self._file = file
        self._shape = shape
        self._options = lock
        self._states: OrderedDict[str, dict[str, Revision]] = OrderedDict()
        self._mutex = Mutex()

    @property
    def shape(self) -> Shape:
        """What the collection was asked for with."""
        return self._shape

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
        """Give at most *limit* records, those with the greatest number in `shape.order` first."""
        snapshot = self._read()
        wanted = behind(snapshot.ordered(self._shape), after, limit)
        found = (snapshot.get(key) for _, key in wanted)
        return (record for record in found if record is not None)

    def count(self, prefix: str = "") -> int:
        """Return how many records have a key that starts with *prefix*."""
        return sum(key.startswith(prefix) for key in self._read().keys())  # noqa: SIM118

    def put(self, key: str, value: Json, *, expect: Revision | Mark = ANY) -> Versioned:
        """Keep *value* under *key* if the record there is as expected."""
        text, copy = kept(self._shape, key, value)

        def change(snapshot: Snapshot) -> tuple[Mapping[str, Json] | None, Versioned]:
            found = snapshot.revision(key)
            require_expected(self._shape, key, found, expect)
            return replacing.one(snapshot, key, text, copy)

        return self._changed(change)

    def delete(self, key: str, *, expect: Revision | Mark = ANY) -> bool:
        """Remove *key*; False when it was not there."""
        require_key(key)

        def change(snapshot: Snapshot) -> tuple[Mapping[str, Json] | None, bool]:
            found = snapshot.revision(key)
            if found is None and expect in {ANY, ABSENT}:
                return None, False
            require_expected(self._shape, key, found, expect)
            return replacing.without(snapshot, key), True

        return self._changed(change)

    def update(self, key: str, change: Change) -> Versioned | None:
        """Put what *change* makes of the value of *key*, and return it."""
        require_key(key)

        def apply(snapshot: Snapshot) -> tuple[Mapping[str, Json] | None, Versioned | None]:
            found = snapshot.get(key)
            with self._backend.guard.running(self._shape.kind):
                value = change(None if found is None else found.value)
            if value is DELETE:
                return (None if found is None else replacing.without(snapshot, key)), None
            text, copy = kept(self._shape, key, value)
            return replacing.one(snapshot, key, text, copy)

        return self._changed(apply)

    def change_all(self, change: WholeChange[A]) -> A:
        """Replace all records by what *change* makes of them, at once, and return its answer."""
        return self._replaced(None, change)

    def change_some(self, keys: Iterable[str], change: WholeChange[A]) -> A:
        """Replace the records of *keys* by what *change* makes of them, at once."""
        return self._replaced(require_keys(keys), change)

    def changes(self, since: str | None = None) -> Changes:
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
            return Changes(cursor, frozenset())
        if before is None:
            return Changes(cursor, frozenset(), complete=False)
        moved = dict(before.items() ^ revisions.items())
        return Changes(cursor, frozenset(moved))

    def damage(self) -> CorruptError | None:
        """Return why the file cannot be read, or `None`."""
        return self._file.damage()

    def is_readable_otherwise(self) -> bool:
        """Tell whether a damaged file is whole in another form, which `repair` writes as JSON."""
        return self._file.is_readable_otherwise()

    def repair(self) -> Path | None:
        """
        Move a damaged file into quarantine and restore its last good state (decision 3).

        One that is whole, but JSON5 or in another encoding, is written again as JSON instead.
        Returns where the damaged file lies now, or `None` if nothing was wrong.
        """
        self._backend.permit(self._file.path, False)
        self._file.require_real_folders()
        return self._locked(lambda lock: self._file.repair(fence=lock.confirm))

    def _read(self) -> Snapshot:
        self._backend.require_open()
        self._backend.guard.require_readable(self._shape.kind)
        snapshot = self._file.read()
        if not snapshot.raw:
            self._backend.absent()
        return snapshot

    def _replaced(self, keys: list[str] | None, change: WholeChange[A]) -> A:
        def apply(snapshot: Snapshot) -> tuple[Mapping[str, Json] | None, A]:
            found = {key: snapshot.get(key) for key in (snapshot.keys() if keys is None else keys)}
            values = {key: record.value for key, record in found.items() if record is not None}
            with self._backend.guard.running(self._shape.kind):
                records, answer = change(values)
            require_records(records, keys)
            make = replacing.whole if keys is None else replacing.parts
            return make(self._shape, snapshot, values, records), answer

        return self._changed(apply)

    def _changed(self, change: Callable[[Snapshot], tuple[Mapping[str, Json] | None, A]]) -> A:
        self._backend.require_open()
        self._backend.guard.require_changeable()
        self._backend.permit(self._file.path, False)  # before a lock file is made beside it
        self._file.require_real_folders()
        for _ in range(_ATTEMPTS):
            try:
                return self._locked(lambda lock: self._applied(change, lock))
            except LockLostError:
                continue  # somebody changed the file meanwhile: once more, on what is there now
        raise LockLostError(str(self._file.path))

    def _locked(self, work: Callable[[FileLock], A]) -> A:
        done: list[A] = []
        try:
            with FileLock(self._file.path, options=self._options) as lock:
                done.append(work(lock))
        except UnavailableError:
            # Behind the work only the lock file can have stayed, and that is marked as left.
            if not done:
                raise
        return done[0]

    def _applied(
        self, change: Callable[[Snapshot], tuple[Mapping[str, Json] | None, A]], lock: FileLock
    ) -> A:
        self._backend.permit(self._file.path, True)
        before = self._file.require()
        records, answer = change(before)
        if records is not None:
            self._file.write(before, records, fence=lock.confirm, release=lambda: _released(lock))
        return answer


def _released(lock: FileLock) -> None:
    # What can have stayed is the lock file, and that is marked as left.
    with contextlib.suppress(UnavailableError):
        lock.release()


def _require_inside(path: PurePosixPath) -> None:
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise InvalidError(str(path), "is no path below the state directory", "give a relative one")
