"""Records as rows of a PostgreSQL database, shared by threads, processes and machines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from clawstate.interrupts import load_modules
from clawstate.postgres.connection import Connection
from clawstate.postgres.database import Database
from clawstate.postgres.names import decode_text, encode_name
from clawstate.postgres.part import Part
from clawstate.postgres.rewriting import rewrite_tables
from clawstate.postgres.server_clock import ServerClock
from clawstate.records import postgres_rows as rows
from clawstate.records.contract import Capability, CollectionSpec, Revision
from clawstate.records.layouts import MapLayout
from clawstate.records.postgres_collection import Permit, PostgresCollection, Shared
from clawstate.records.postgres_history import History
from clawstate.records.postgres_rows import MIGRATIONS, PART, RowKeys
from clawstate.records.rules import ChangeGuard, require_name

if TYPE_CHECKING:
    from clawstate.health import Finding
    from clawstate.records.leases import Leases, RecordLease, Ticks

_MOVED, _DAMAGED = "moved:", "damaged:"
_NO_KINDS = (_MOVED, _DAMAGED, "leases")  # rows that are no records of the state

_CAPABILITIES: Final = frozenset(
    {Capability.DURABLE, Capability.SHARED, Capability.LASTING_CURSORS}
)
_KINDS = """
SELECT kind FROM clawstate.kinds AS known WHERE tenant = %(tenant)s AND EXISTS (
    SELECT 1 FROM clawstate.records WHERE tenant = known.tenant AND kind = known.kind
)
"""
_MOVE = f"UPDATE clawstate.records SET kind = %(aside)s WHERE {rows.MINE}"
_IN_ASIDE = "FROM clawstate.records WHERE tenant = %(tenant)s AND starts_with(kind, %(aside)s)"


class PostgresBackend:
    """
    The records of *tenant* in *database*, whose tables the first change makes.

    A change of one record is one statement, compared and set; one of several is a transaction that
    locks them. Either is on disk when it returns, once, whatever becomes of the connection.
    *has_secret_keys* tells of kinds that nobody asked for here, as a spec would; *changed* is
    called after each change.
    """

    def __init__(
        self,
        database: Database,
        *,
        tenant: str = "default",
        has_secret_keys: Callable[[str], bool] = lambda _kind: False,
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        require_name("tenant", tenant)
        self._is_secret = has_secret_keys
        self._secret_kinds: set[str] = set()
        self._part = Part(database, PART, MIGRATIONS, tenant=tenant)
        self._clock = ServerClock(database)
        self._shared = Shared(
            self._part,
            History(self._part),
            ChangeGuard(),
            permit=lambda: None,
            absent=lambda: None,
            changed=changed,
        )
        self._leases: Leases | None = None

    def with_permit(self, permit: Permit, absent: Callable[[], object]) -> PostgresBackend:
        """
        Return the same engine for changes that *permit* allows, asked before each.

        *absent* is called when no record is found, and raises where they were moved elsewhere.
        """
        other = PostgresBackend.__new__(PostgresBackend)
        other.__dict__.update(self.__dict__)
        other._leases = None  # noqa: SLF001 - of the same class
        other._shared = replace(self._shared, permit=permit, absent=absent)  # noqa: SLF001 - see above
        return other

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do beyond the contract."""
        return _CAPABILITIES

    def collection(self, spec: CollectionSpec) -> PostgresCollection:
        """Return the collection of *spec*; those of one kind are the same."""
        require_name("kind", spec.kind)
        if spec.secret_keys:
            self._secret_kinds.add(spec.kind)
        self._part.database.pool.require_open()
        return PostgresCollection(spec, self._shared, self._keys(spec))

    def changes(self, since: str | None = None) -> tuple[str, list[tuple[str, str]] | None]:
        """Return what moved of all kinds; see `History.changes`."""
        cursor, moved = self._shared.history.changes(since)
        if moved is not None:
            moved = [(kind, key) for kind, key in moved if not kind.startswith(_NO_KINDS)]
        return cursor, moved

    def has_secret_keys(self, kind: str) -> bool:
        """Tell whether keys of *kind*, which may be set aside, belong into no message."""
        name = kind.removeprefix(_DAMAGED).removeprefix(_MOVED)
        return name in self._secret_kinds or self._is_secret(name)

    def kinds(self, prefix: str = "") -> tuple[str, ...]:
        """Return the kinds that start with *prefix* and have records, sorted."""
        found = (decode_text(kind) for (kind,) in self._part.rows(_KINDS, self._mine))
        return tuple(
            sorted(
                each for each in found if each.startswith(prefix) and not each.startswith(_NO_KINDS)
            )
        )

    def lease(
        self, name: str, ttl: float, *, wait: float = 0.0, ticks: Ticks = time.monotonic
    ) -> RecordLease:
        """
        Return the lease *name*, held for *ttl* seconds from now.

        Time is that of the server, the same for all machines, unless *ticks* is given.
        """
        load_modules("clawstate.records.leases")
        from clawstate.records.leases import LEASES, Leases  # noqa: PLC0415 - few programs need it

        if self._leases is None:
            self._leases = Leases(self.collection(LEASES), shared_clock=self._clock)
        is_given = ticks is not time.monotonic
        return self._leases.grant(name, ttl, wait=wait, ticks=ticks if is_given else self._clock)

    def set_aside(self, kind: str, revisions: Mapping[str, Revision]) -> bool:
        """
        Put the records of *kind*, whose *revisions* these are, where no collection finds them.

        False if some were changed since. They stay in the database, as kind `moved:<kind>`.
        """
        spec = CollectionSpec(kind, PurePosixPath(kind), MapLayout())
        keys = self._keys(spec)
        aside = encode_name("kind", f"{_MOVED}{kind}")

        def move(connection: Connection) -> bool:
            connection.execute(rows.ADD_KIND, keys.mine)
            connection.execute(rows.ADD_KIND, {**keys.mine, "kind": aside})
            connection.execute(rows.LOCK_KIND, keys.mine)
            found = [
                keys.read(each).record
                for each in connection.execute(*rows.all_of(keys, None)).fetchall()
            ]
            if {each.key: each.revision for each in found} != dict(revisions):
                return False
            # What an earlier move left there gives way.
            connection.execute(
                f"DELETE FROM clawstate.records AS old WHERE {rows.MINE} AND EXISTS (SELECT 1"
                " FROM clawstate.records AS new WHERE new.tenant = old.tenant"
                " AND new.kind = %(moved)s AND new.id = old.id AND new.digest = old.digest)",
                {**keys.mine, "kind": aside, "moved": keys.kind},
            )
            connection.execute(rows.NOTE_ALL_REMOVED, keys.mine)
            connection.execute(_MOVE, {**keys.mine, "aside": aside})
            return True

        return self._part.change(move)

    def count_aside(self) -> int:
        """Return how many records were set aside."""
        ((found,),) = self._part.rows(
            f"SELECT count(*) {_IN_ASIDE}", {**self._mine, "aside": _MOVED}
        )
        return int(found)

    def remove_aside(self) -> int:
        """Remove what was set aside, and return how many records that were."""
        sql, bound = f"DELETE {_IN_ASIDE}", {**self._mine, "aside": _MOVED}
        return self._part.change(lambda connection: connection.execute(sql, bound).rowcount)

    def clear_deleted(self, *, patience: float) -> bool:
        """
        Leave no byte of what was deleted in the tables; tell whether that was done.

        It is not while others read an older state, for *patience* (seconds). What the server keeps
        in its write-ahead log, and what backups keep of it, goes with their own time.
        """
        if not self._part.exists():
            return True
        return rewrite_tables(self._part.database, ("records", "removed"), patience=patience)

    def check(self, *, deep: bool = False) -> Iterator[Finding]:
        """Give what is wrong with the server and the rows of the tenant."""
        load_modules("clawstate.records.postgres_check")
        from clawstate.records.postgres_check import check  # noqa: PLC0415 - for doctors alone

        return check(self._part, has_secret_keys=self.has_secret_keys, deep=deep)

    def close(self) -> None:
        """End the use of the database; a call after this raises `ClosedError`."""
        self._part.close()
        self._part.database.close()

    @property
    def _mine(self) -> dict[str, str]:
        return {"tenant": self._part.tenant}

    def _keys(self, spec: CollectionSpec) -> RowKeys:
        kind = encode_name("kind", spec.kind)
        return RowKeys(self._part.tenant, kind, spec, self._part.place)
