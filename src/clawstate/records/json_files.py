"""
Records in JSON files of the specification's exact form, shared with OpenClaw.

Each change locks, reads, applies, checks that the lock is still held, writes the file whole and
durably, and releases; a change that lost its lock is applied again to what is there then. Reading
takes no lock. A revision is a digest of the value.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

from clawstate.errors import ClosedError, InvalidError
from clawstate.files.lock_options import LockOptions
from clawstate.interrupts import load_modules
from clawstate.records.contract import Capability, CollectionSpec
from clawstate.records.document_file import DocumentFile
from clawstate.records.json_collection import JsonFileCollection
from clawstate.records.rules import ChangeGuard

if TYPE_CHECKING:
    from clawstate.health import Finding
    from clawstate.records.leases import Leases, RecordLease, Ticks

Permit: TypeAlias = Callable[[Path, bool], object]
"""Is told the file, and whether its lock is held."""


class JsonFilesBackend:
    """
    Collections in files below the directory *root*; *lock* tells how long a change may wait.

    *permit* is asked before each change, and again under its lock: it raises a `StateError` where
    that file must not be written any more, `LockLostError` under the lock to be asked once more.
    *present* is called before each use, and raises where the state is not the one it was; *absent*
    when a file is not there, and raises where its records were moved elsewhere.

    A file does not tell of what kind its records are, so `kinds` and `check` know the collections
    that were asked for, and those of *catalogue*. A `*` in a path there, and in its kind, stands
    for any name, as in `agents/*/agent/auth-profiles.json`.
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
        catalogue: Callable[[], Iterable[CollectionSpec]] = tuple,
    ) -> None:
        self._root = root
        self.absent = absent
        self._present = present
        self._lock = lock or LockOptions()
        self.permit = permit
        self._guard = ChangeGuard()
        self._closed = False
        self._catalogue = catalogue
        self._asked: dict[tuple[str, PurePosixPath], CollectionSpec] = {}
        self._leases: Leases | None = None

    def collection(self, spec: CollectionSpec) -> JsonFileCollection:
        """Return the collection of *spec*; raises `InvalidError` for a path that leads out."""
        self.require_open()
        _require_inside(spec.path)
        self._asked[spec.kind, spec.path] = spec
        return self.open_unlisted(spec)

    def open_unlisted(self, spec: CollectionSpec) -> JsonFileCollection:
        """Return the collection of *spec* without noting that somebody asked for it."""
        return JsonFileCollection(self, DocumentFile(self._root, spec), spec, self._lock)

    def kinds(self, prefix: str = "") -> tuple[str, ...]:
        """Return the kinds of known collections that hold something and start with *prefix*."""
        self.require_open()
        load_modules("clawstate.records.json_check")
        from clawstate.records.json_check import kinds  # noqa: PLC0415 - for few programs

        return kinds(self.open_unlisted, self._root, self._known_specs(), prefix)

    def lease(
        self, name: str, ttl: float, *, wait: float = 0.0, ticks: Ticks = time.monotonic
    ) -> RecordLease:
        """Return the lease *name*, held for *ttl* seconds from now."""
        load_modules("clawstate.records.leases")
        from clawstate.records.leases import LEASES, Leases  # noqa: PLC0415 - few programs need it

        if self._leases is None:
            self._leases = Leases(self.open_unlisted(LEASES))
        return self._leases.grant(name, ttl, wait=wait, ticks=ticks)

    def check(self, *, deep: bool = False) -> Iterator[Finding]:
        """Give damaged documents, also of unknown kind, and what killed writers left."""
        self.require_open()
        load_modules("clawstate.records.json_check")
        from clawstate.records.json_check import check  # noqa: PLC0415 - for doctors alone

        return check(self.open_unlisted, self._root, self._known_specs(), deep=deep)

    def _known_specs(self) -> list[CollectionSpec]:
        return [*self._asked.copy().values(), *self._catalogue()]

    def close(self) -> None:
        """Close the engine; a call after this raises `ClosedError`."""
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


def _require_inside(path: PurePosixPath) -> None:
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise InvalidError(str(path), "is no path below the state directory", "give a relative one")
