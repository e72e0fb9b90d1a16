"""`BackendRegistry`: what keeps the records of one state, and where they must not be written."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import get_ident
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar, cast

from clawstate.config.service import Config
from clawstate.config.settings import MEMORY_TYPE, STORE, STORE_PASSWORD
from clawstate.errors import ClosedError, InvalidError, LockLostError, UnavailableError
from clawstate.files.lock import FileLock
from clawstate.files.lock_options import LockOptions
from clawstate.files.paths import StatePaths
from clawstate.files.place import Place
from clawstate.interrupts import Mutex, Use, load_modules
from clawstate.openclaw.owner import Era, Ownership
from clawstate.records.contract import Backend, Capability, CollectionSpec
from clawstate.records.json_files import JsonFilesBackend
from clawstate.state.engines import (
    ENGINES,
    FILE,
    SQLITE,
    Engine,
    engine_of,
    require_store,
    shown_choice,
)

if TYPE_CHECKING:
    from clawstate.postgres.database import Database as PostgresDatabase
    from clawstate.records.postgres import PostgresBackend
    from clawstate.records.sqlite import SqliteBackend
    from clawstate.sqlite import Database
    from clawstate.sqlite.database import Audit

B = TypeVar("B", bound=Backend)


@dataclass(slots=True)
class BackendRegistry:
    """
    The engines of one state, each made when first asked for (decision 10).

    *store* is `file`, `sqlite` or an address `postgresql://...`; `None` leaves it to `state.store`.
    In a directory of OpenClaw's SQLite era records lie in rows of our own, whatever the setting:
    a file of the old kind stops or empties that OpenClaw (decision 27).
    """

    paths: StatePaths
    config: Config
    locks: Callable[[], LockOptions]
    store: str | None = None
    tenant: str = "default"
    place: Place | None = None
    ownership: Ownership = field(init=False)
    _moving: Path = field(init=False)
    _move_lock: str = field(init=False)
    _rows_place: str = field(init=False)
    _sessions_place: str = field(init=False)
    _made: dict[object, Backend] = field(default_factory=dict)
    _databases: dict[str, Database] = field(default_factory=dict)
    _servers: dict[str, PostgresDatabase] = field(default_factory=dict)
    _mutex: Mutex = field(default_factory=Mutex)
    _mover: Use | None = None
    _closed: bool = False

    def __post_init__(self) -> None:
        """Refuse a store that does not exist before anything is opened."""
        self.ownership = Ownership(self.paths.root)
        # As text, and made once: these are on the way of every change.
        self._moving = self.paths.locks_dir / "store"
        self._move_lock = f"{self._moving}.lock"
        self._rows_place = str(self.paths.records_db)
        self._sessions_place = f"{self.paths.sessions_dir}{os.sep}"
        if self.store is not None and require_store(self.store) == FILE:
            self._require_files()

    @property
    def choice(self) -> str:
        """Which engine keeps the records of this state; raises `InvalidError`."""
        if self.ownership.now().era is not Era.SQLITE:
            return self.store or require_store(STORE.of(self.config.view()))
        if self.store == FILE:
            self._require_files()
        chosen = self.store or require_store(STORE.of(self.config.view()))
        # No setting leads back to files there: a file of the old kind stops OpenClaw's gateway
        # (decision 27).
        return SQLITE if chosen == FILE else chosen

    @property
    def engine(self) -> Engine:
        """The engine that keeps the records of this state; raises `InvalidError`."""
        return engine_of(self.choice)

    def records(self, choice: str | None = None, *, root: Path | None = None) -> Backend:
        """
        Return the engine *choice*, by default that of the whole state.

        Files, if it keeps any, lie below *root*, by default the state directory. A change in the
        engine of the whole state raises `UnavailableError` once another was chosen.
        """
        engine = self.engine if choice is None else engine_of(choice)
        return engine.open(self, root or self.paths.root, choice)

    def others(self, engine: Engine) -> tuple[Engine, ...]:
        """Return the engines that may keep records of this state as well, from earlier."""
        return tuple(each for each in ENGINES if each is not engine and each.is_there(self))

    def kinds(self, prefix: str, *, engine: Engine | None = None) -> tuple[str, ...]:
        """Return the kinds of records that start with *prefix*, if *engine* has no files."""
        is_chosen = engine is None or engine is self.engine
        backend = self.records(None if engine is None or is_chosen else engine.name)
        # Whoever asks sees files by their names already, which is cheaper than to read them all.
        return () if Capability.FILES in backend.capabilities else backend.kinds(prefix)

    @property
    def has_rows(self) -> bool:
        """Whether our own database is there, as far as it can be seen."""
        return os.path.exists(self._rows_place)  # noqa: PTH110 - this never raises

    def rows(self) -> SqliteBackend:
        """Return the rows of our own database, whichever engine is chosen."""
        return self._once(SQLITE, self._sqlite)

    def chosen_rows(self) -> SqliteBackend:
        """Return these rows as the engine of the state: no longer written once another is."""
        return self._once("chosen rows", self._permitting_rows)

    @property
    def has_server(self) -> bool:
        """Whether a PostgreSQL database is chosen for the records."""
        return bool(self.engine.schemes)

    def server(self, address: str) -> PostgresBackend:
        """Return the records in the PostgreSQL database at *address*, whichever is chosen."""
        return self._once(("server", address), partial(self._postgres, address))

    def chosen_server(self) -> PostgresBackend:
        """Return those at the chosen address: no longer written once another engine is chosen."""
        address = self.choice

        def make() -> PostgresBackend:
            absent = partial(self._require_chosen, address, shown_choice(address))
            permit = partial(self._permit_server, address)
            return self.server(address).with_permit(permit, absent)

        return self._once(("chosen server", address), make)

    def server_database(self, address: str) -> PostgresDatabase:
        """
        Return the one object through which this state uses the PostgreSQL database at *address*.

        Whoever keeps something there has a part of it, and closes that part alone.
        """
        with self._mutex:
            self.require_open()
            if address not in self._servers:
                load_modules("clawstate.postgres")
                from clawstate.postgres import require_driver  # noqa: PLC0415 - few have one

                require_driver()
                load_modules("clawstate.postgres.database")
                from clawstate.postgres.address import Address  # noqa: PLC0415 - see above
                from clawstate.postgres.database import Database  # noqa: PLC0415 - see above

                known = Address(address, password=self._password)
                patience = lambda: self.locks().patience()  # noqa: E731 - read anew each time
                self._servers[address] = Database(known, patience=patience)
            return self._servers[address]

    def files(
        self, root: Path, *, lock: LockOptions | None = None, chosen: bool = False
    ) -> JsonFilesBackend:
        """
        Return the engine of JSON files below *root*, with *lock* where another wait is due.

        Where it is the one *chosen* for the state, its files are no longer written once another is.
        """
        options = lock or self.locks()

        def make() -> JsonFilesBackend:
            present = self.require_place
            known = catalogue if root == self.paths.root else tuple
            engine = partial(JsonFilesBackend, root, lock=options, present=present, catalogue=known)
            if not chosen:
                return engine(permit=self._permit)
            absent = partial(self._require_chosen, FILE, str(root))
            return engine(permit=self._permit_chosen, absent=absent)

        return self._once((root, options, chosen), make)

    def database(self, path: Path) -> Database:
        """
        Return the one object through which this state uses the database at *path*.

        Whoever keeps something there has a part of it, and closes that part alone.
        """
        # One object a file, whatever it is called: only then is there one queue of its writers.
        key = os.path.realpath(path)
        with self._mutex:
            self.require_open()
            if key not in self._databases:
                load_modules("clawstate.sqlite.database")
                from clawstate.sqlite import Database  # noqa: PLC0415 - files do without

                patience = self.locks().patience()
                self._databases[key] = Database(
                    path,
                    lock_timeout=patience,
                    present=self.require_place,
                    audit=_audit_chain,
                    may_make=partial(self._require_here, str(path)),
                )
            return self._databases[key]

    def _require_here(self, path: str) -> None:
        # A program from before a move to a server would hide the memory there by making a file.
        if path == self._rows_place or self.is_moving:
            return
        if self.has_server and MEMORY_TYPE.of(self.config.view()) == MEMORY_TYPE.default:
            problem = f"the memory lies in {shown_choice(self.choice)} now"
            raise UnavailableError(path, problem, "open the state again")

    def close(self) -> None:
        """Close every engine and database; a call after this raises `ClosedError`."""
        with self._mutex:
            self._closed = True
            for backend in self._made.values():
                backend.close()
            for database in self._databases.values():
                database.close()
            for server in self._servers.values():
                server.close()

    def require_open(self) -> None:
        """Raise `ClosedError` after `close`."""
        if self._closed:
            raise ClosedError(str(self.paths.root))

    def require_place(self) -> None:
        """Raise `UnavailableError` if the directory is not the one that was opened."""
        if self.place is not None:
            self.place.require()

    def _require_files(self) -> None:
        """Raise `InvalidError` where records must not lie in files."""
        if self.ownership.now().era is Era.SQLITE:
            problem = f"'file' would harm the OpenClaw that keeps {self.paths.root} in SQLite"
            hint = "leave it out: records of ours go to state/records.db there"
            raise InvalidError("store", problem, hint)

    def moving(self) -> Moving:
        """Let this thread alone write records, of all threads and processes, for a block."""
        return Moving(self, FileLock(self._moving, options=self.locks()))

    def moves(self, mover: Use | None) -> None:
        """Note that records are moved from now on by *mover*, a `with` block, or by nobody."""
        self._mover = mover

    @property
    def is_moving(self) -> bool:
        """Whether this object moves records just now."""
        mover = self._mover
        # Twice: see `Use.is_over`.
        return mover is not None and not (mover.is_over() and mover.is_over())

    def _permit_chosen(self, path: Path, holding: bool) -> None:  # noqa: FBT001 - see `Permit`
        """Do what `_permit` does; raise `UnavailableError` once another engine was chosen."""
        self._permit(path, holding)
        self._require_chosen(FILE, str(path))

    def _permit_rows(self, holding: bool) -> None:  # noqa: FBT001 - see `Permit`
        self._await_mover(self._rows_place, holding=holding)
        self._require_chosen(SQLITE, self._rows_place)

    def _permit_server(self, address: str) -> None:
        self._await_mover(address, holding=False)
        self._require_chosen(address, shown_choice(address))

    def _require_chosen(self, engine: str, place: str) -> None:
        # A write to the engine that was left would be acknowledged, and found by nobody.
        if self.store is None and not self.is_moving and self.choice != engine:
            problem = "records of this state were moved to another engine"
            raise UnavailableError(place, problem, "open the state again")

    def _await_mover(self, place: str, *, holding: bool) -> None:
        """Wait while records are moved; raise `LockLostError` for who holds what is moved."""
        # One look at a name for each change; nobody moves records on most days.
        if not os.path.lexists(self._move_lock):
            return
        mover = self._mover
        # It writes the records that it moves.
        if mover is not None and mover.thread == get_ident() and not mover.is_over():
            return
        # The mover waits for that very lock: whoever holds it gives it back, and asks again
        # afterwards.
        if holding:
            raise LockLostError(place)
        with FileLock(self._moving, options=self.locks()):
            pass

    def _permit(self, path: Path, holding: bool) -> None:  # noqa: FBT001 - see `Permit`
        """Raise `UnavailableError` for the file *path* of a directory that OpenClaw took over."""
        place = str(path)
        self._await_mover(place, holding=holding)
        era = self.ownership.now().era
        if era is Era.NOBODY and place.startswith(self._sessions_place):
            era = self.ownership.again().era  # an OpenClaw may have moved in
            if era is Era.FILES:
                problem = "lies where every OpenClaw takes it away, and one lives here now"
                hint = "open the state again; 'clawstate doctor --fix' moves what is there"
                raise UnavailableError(str(path), problem, hint)
        if era is Era.SQLITE:
            problem = "is no place for records any more, for OpenClaw keeps its state in SQLite now"
            hint = "open the state again; 'clawstate status' tells where records are"
            raise UnavailableError(str(path), problem, hint)

    def _once(self, key: object, make: Callable[[], B]) -> B:
        known = self._made.get(key)
        if known is not None and not self._closed:
            return cast("B", known)
        with self._mutex:
            self.require_open()
            if key not in self._made:
                self._made[key] = make()
            return cast("B", self._made[key])

    def _permitting_rows(self) -> SqliteBackend:
        absent = partial(self._require_chosen, SQLITE, self._rows_place)
        return self.rows().with_permit(self._permit_rows, absent)

    def _sqlite(self) -> SqliteBackend:
        load_modules("clawstate.records.sqlite")
        from clawstate.records.sqlite import SqliteBackend  # noqa: PLC0415 - files do without

        database = self.database(self.paths.records_db)
        return SqliteBackend(database, tenant=self.tenant, has_secret_keys=_has_secret_keys)

    def _postgres(self, address: str) -> PostgresBackend:
        database = self.server_database(address)
        load_modules("clawstate.records.postgres")
        from clawstate.records.postgres import PostgresBackend  # noqa: PLC0415 - few have a server

        return PostgresBackend(database, tenant=self.tenant, has_secret_keys=_has_secret_keys)

    def _password(self) -> str | None:
        """Return the password of the address, where the configuration refers to one."""
        if STORE_PASSWORD.of(self.config.view()) is None:
            return None
        return str(self.config.secret(STORE_PASSWORD.path))


class Moving:
    """See `BackendRegistry.moving`; over with its block, also where that was cut off."""

    def __init__(self, engines: BackendRegistry, lock: FileLock) -> None:
        self._engines = engines
        self._lock = lock

    def __enter__(self) -> None:
        use = Use()
        self._lock.enter(use)
        self._engines.moves(use)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._engines.moves(None)
        self._lock.__exit__(kind, error, trace)


def _has_secret_keys(kind: str) -> bool:
    load_modules("clawstate.state.catalogue")
    from clawstate.state.catalogue import has_secret_keys  # noqa: PLC0415 - it knows all stores

    return has_secret_keys(kind)


def _audit_chain() -> Audit:
    load_modules("clawstate.state.watched_rows")
    from clawstate.state.watched_rows import chain_of_state  # noqa: PLC0415 - few states are audited

    return chain_of_state()


def catalogue() -> tuple[CollectionSpec, ...]:
    """Return the specs of all documents that the stores of a state keep."""
    load_modules("clawstate.state.catalogue")
    from clawstate.state.catalogue import specs  # noqa: PLC0415 - it knows all stores

    return specs()
