"""Records as rows of one SQLite database, shared by threads and processes of one machine."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clawstate.interrupts import load_modules
from clawstate.records import sqlite_history
from clawstate.records.contract import Capability, CollectionSpec, Revision
from clawstate.records.rules import ChangeGuard, require_name
from clawstate.records.sqlite_collection import Permit, SqliteCollection
from clawstate.records.sqlite_history import History
from clawstate.records.sqlite_rows import Table
from clawstate.sqlite import Database, Migration, open_part

if TYPE_CHECKING:
    import apsw

    from clawstate.health import Finding
    from clawstate.records.leases import Leases, RecordLease, Ticks

_MOVED, _DAMAGED = "moved:", "damaged:"
_NO_KINDS = (_MOVED, _DAMAGED, "leases")  # rows that are no records of the state
_ASIDE = "FROM records WHERE substr(kind, 1, ?) = ?"  # of all tenants: they share the file

_CAPABILITIES: Final = frozenset(
    {Capability.DURABLE, Capability.SHARED, Capability.LASTING_CURSORS}
)


PART = "records"
"""The name of these tables among the parts of the database."""

_FORMAT_1 = """
CREATE TABLE records (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    rev INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX records_rev ON records (tenant, kind, rev);

-- Keys that were deleted, the newest of them: those up to the floor of the history are forgotten.
CREATE TABLE removed (
    rev INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL
) STRICT;
CREATE INDEX removed_kind ON removed (tenant, kind, rev);

-- One row. Every change of a record takes the next rev, whatever its tenant and kind.
CREATE TABLE history (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    rev INTEGER NOT NULL,
    floor INTEGER NOT NULL,
    removed INTEGER NOT NULL
) STRICT;
INSERT INTO history VALUES (1, 0, 0, 0);

-- Whoever starts to write begins an epoch. After a backup was restored the revs go on in another
-- epoch than those that were lost, so a cursor from there is recognised. An epoch starts at first,
-- when the last rev was before.
CREATE TABLE epochs (
    first INTEGER PRIMARY KEY,
    before INTEGER NOT NULL,
    epoch TEXT NOT NULL
) STRICT;
"""


def _first(connection: apsw.Connection) -> None:
    connection.execute(_FORMAT_1)


MIGRATIONS: tuple[Migration, ...] = (_first,)


class SqliteBackend:
    """
    The records of *tenant* in the database *place*, which the first change makes.

    One change is one transaction, on disk when it returns. A revision is a number that grows with
    every change of any record in the database. Of a path *lock_timeout* and *present* are those of
    its `Database`. *has_secret_keys* tells of kinds that nobody asked for here, as a spec would.
    """

    def __init__(
        self,
        place: Database | Path,
        *,
        tenant: str = "default",
        lock_timeout: float = 30.0,
        present: Callable[[], object] = lambda: None,
        has_secret_keys: Callable[[str], bool] = lambda _kind: False,
    ) -> None:
        require_name("tenant", tenant)
        self._is_secret = has_secret_keys
        self._secret_kinds: set[str] = set()
        self._tenant = tenant
        self._database = open_part(
            place, PART, MIGRATIONS, lock_timeout=lock_timeout, present=present
        )
        self._history = History()
        self._guard = ChangeGuard()
        self._permit: Permit = lambda _holding: None
        self._absent: Callable[[], object] = lambda: None
        self._leases: Leases | None = None

    def with_permit(self, permit: Permit, absent: Callable[[], object]) -> SqliteBackend:
        """
        Return the same engine for changes that *permit* allows.

        It is asked before each, and again in its transaction, and raises a `StateError`. *absent*
        is called when no record is found, and raises where they were moved elsewhere.
        """
        other = copy.copy(self)
        other._leases = None  # noqa: SLF001 - of the same class
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

    def clear_deleted(self, *, patience: float) -> bool:
        """
        Leave no byte of what was deleted in the database and its log; tell whether that was done.

        It is not while others read an older state, for *patience* (seconds). The next call does it.
        """
        if not self._database.exists():
            return True
        load_modules("clawstate.sqlite.compaction")
        from clawstate.sqlite.compaction import empty_log, rewrite  # noqa: PLC0415 - rarely needed

        is_rewritten = rewrite(self._database, patience=patience)
        return empty_log(self._database, patience=patience) and is_rewritten

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do beyond the contract."""
        return _CAPABILITIES

    def collection(self, spec: CollectionSpec) -> SqliteCollection:
        """Return the collection of *spec*; those of one kind are the same."""
        require_name("kind", spec.kind)
        if spec.secret_keys:
            self._secret_kinds.add(spec.kind)
        self._database.exists()  # raises when it is closed
        return SqliteCollection(
            spec,
            self._database,
            self._history,
            tenant=self._tenant,
            guard=self._guard,
            permit=self._permit,
            absent=self._absent,
        )

    def changes(self, since: str | None = None) -> tuple[str, list[tuple[str, str]] | None]:
        """Return what moved of all kinds; see `sqlite_history.changes_of_all`."""
        found = self._database.rows(sqlite_history.CURSOR)
        if since is not None and [since] == [f"{epoch or ''}.{rev}" for epoch, rev in found]:
            return since, []
        with self._database.reading() as connection:
            cursor, moved = sqlite_history.changes_of_all(connection, self._tenant, since)
        if moved is not None:
            moved = [(kind, key) for kind, key in moved if not kind.startswith(_NO_KINDS)]
        return cursor, moved

    def has_secret_keys(self, kind: str) -> bool:
        """Tell whether keys of *kind*, which may be set aside, belong into no message."""
        name = kind.removeprefix(_DAMAGED).removeprefix(_MOVED)
        return name in self._secret_kinds or self._is_secret(name)

    def kinds(self, prefix: str = "") -> tuple[str, ...]:
        """Return the kinds that start with *prefix* and have records, sorted."""
        sql = "SELECT DISTINCT kind FROM records WHERE tenant = ? AND substr(kind, 1, ?) = ?"
        with self._database.reading() as connection:
            found = connection.execute(sql, (self._tenant, len(prefix), prefix)).fetchall()
        return tuple(sorted(str(kind) for (kind,) in found if not str(kind).startswith(_NO_KINDS)))

    def lease(
        self, name: str, ttl: float, *, wait: float = 0.0, ticks: Ticks = time.monotonic
    ) -> RecordLease:
        """Return the lease *name*, held for *ttl* seconds from now."""
        load_modules("clawstate.records.leases")
        from clawstate.records.leases import LEASES, Leases  # noqa: PLC0415 - few programs need it

        if self._leases is None:
            self._leases = Leases(self.collection(LEASES))
        return self._leases.grant(name, ttl, wait=wait, ticks=ticks)

    def check(self, *, deep: bool = False) -> Iterator[Finding]:
        """Give what is wrong with the database and its rows, of all tenants."""
        load_modules("clawstate.records.sqlite_check")
        from clawstate.records.sqlite_check import check  # noqa: PLC0415 - for doctors alone

        return check(self._database, self._history, has_secret_keys=self.has_secret_keys, deep=deep)

    def close(self) -> None:
        """End the use of the database; a call after this raises `ClosedError`."""
        self._database.close()


def _count_aside(connection: apsw.Connection) -> int:
    sql = f"SELECT count(*) {_ASIDE}"
    ((count,),) = connection.execute(sql, (len(_MOVED), _MOVED)).fetchall()
    return int(str(count))
