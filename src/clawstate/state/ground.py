"""`Ground`: what every store of one state stands on, and the engines that keep its records."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from clawstate.clock import Clock
from clawstate.config.service import Config
from clawstate.errors import ClosedError, InvalidError, UnavailableError
from clawstate.files.lock_options import LockOptions
from clawstate.files.paths import StatePaths
from clawstate.records.contract import Backend
from clawstate.records.json_files import JsonFilesBackend

if TYPE_CHECKING:
    from clawstate.sealing.vault import Vault

FILE = "file"
SQLITE = "sqlite"
_POSTGRES = re.compile(r"postgres(ql)?://\S+")


@dataclass(frozen=True, slots=True)
class Ground:
    """What every store of one state stands on."""

    paths: StatePaths
    config: Config
    clock: Clock
    lock: LockOptions
    engines: Engines
    _vaults: list[Vault] = field(default_factory=list, init=False, repr=False, compare=False)
    _mutex: threading.Lock = field(
        default_factory=threading.Lock, init=False, repr=False, compare=False
    )

    @property
    def vault(self) -> Vault:
        """The keys of the encryption, the same for all who ask: they are unlocked once."""
        from clawstate.state.secrets import open_vault  # noqa: PLC0415 - few states have keys

        with self._mutex:
            if not self._vaults:
                self._vaults.append(open_vault(self))
            return self._vaults[0]


@dataclass(slots=True)
class Engines:
    """
    The engines of one state, each made when first asked for (decision 8).

    *store* is `file`, `sqlite` or an address `postgresql://...`; `None` leaves it to `state.store`.
    """

    paths: StatePaths
    config: Config
    lock: LockOptions
    store: str | None = None
    tenant: str = "default"
    _made: dict[object, Backend] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False

    def __post_init__(self) -> None:
        """Refuse a store that does not exist before anything is opened."""
        if self.store is not None:
            require_store(self.store)

    @property
    def choice(self) -> str:
        """Which engine keeps the records of this state."""
        if self.store is not None:
            return self.store
        return require_store(str(self.config.get("state.store", FILE)))

    def records(self, choice: str | None = None) -> Backend:
        """Return the engine *choice*, by default that of the whole state."""
        chosen = self.choice if choice is None else require_store(choice)
        if chosen == FILE:
            return self.files(self.paths.root)
        if chosen == SQLITE:
            return self._once(SQLITE, self._sqlite)
        problem = "this version keeps records in files and in SQLite"
        raise UnavailableError("the PostgreSQL engine", problem, "choose 'file' or 'sqlite'")

    def kinds(self, prefix: str) -> tuple[str, ...]:
        """Return the kinds of records that start with *prefix*, where one engine knows them all."""
        backend = self.records()
        return backend.kinds(prefix) if isinstance(backend, _Naming) else ()

    def files(self, root: Path, *, lock: LockOptions | None = None) -> Backend:
        """Return the engine of JSON files below *root*, with *lock* where another wait is due."""
        options = lock or self.lock
        return self._once((root, options), lambda: JsonFilesBackend(root, lock=options))

    def close(self) -> None:
        """Close every engine; a call after this raises `ClosedError`."""
        with self._mutex:
            self._closed = True
            for backend in self._made.values():
                backend.close()

    def require_open(self) -> None:
        """Raise `ClosedError` after `close`."""
        if self._closed:
            raise ClosedError(str(self.paths.root))

    def _once(self, key: object, make: Callable[[], Backend]) -> Backend:
        with self._mutex:
            self.require_open()
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]

    def _sqlite(self) -> Backend:
        from clawstate.records.sqlite import SqliteBackend  # noqa: PLC0415 - files do without

        timeout = self.lock.patience()
        return SqliteBackend(self.paths.records_db, tenant=self.tenant, lock_timeout=timeout)


@runtime_checkable
class _Naming(Protocol):
    """An engine that knows what is kept in it."""

    def kinds(self, prefix: str = "") -> tuple[str, ...]:
        """Return the kinds of the records there are."""


def require_store(choice: str) -> str:
    """Return *choice* if it names an engine; raises `InvalidError` that does not repeat it."""
    if choice in {FILE, SQLITE} or _POSTGRES.fullmatch(choice):
        return choice
    problem = "is no engine"  # not repeated: an address holds a password
    raise InvalidError("store", problem, "give 'file', 'sqlite' or 'postgresql://...'")


def placed(path: Path, root: Path) -> tuple[Path, PurePosixPath]:
    """Return where an engine of files is rooted for *path*, and the path below that."""
    inside = below(path, root)
    return (path.parent, PurePosixPath(path.name)) if inside is None else (root, inside)


def below(path: Path, root: Path) -> PurePosixPath | None:
    """Return *path* relative to *root*, or `None` if it does not lie below it."""
    try:
        return PurePosixPath(path.relative_to(root))
    except ValueError:
        return None
