"""What a server can do, tried out and not concluded from its version (decision 20)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import psycopg

from clawstate.errors import UnavailableError
from clawstate.postgres.address import Address
from clawstate.postgres.connection import Connection, is_direct
from clawstate.postgres.database import Database

_NEEDED = "use PostgreSQL 15 or newer, or a service that is one"

_SNAPSHOTS = "SELECT pg_visible_in_snapshot(pg_current_xact_id(), pg_current_snapshot())"
_TRIALS: Final[dict[str, str]] = {
    "snapshots": _SNAPSHOTS,
    "history": "SELECT system_identifier FROM pg_control_system()",
    "notify": "SELECT pg_notify('clawstate', '')",
    "vector": "SELECT '[1,2]'::vector <=> '[1,2]'::vector",
    "halfvec": "SELECT '[1,2]'::halfvec <=> '[1,2]'::halfvec",
    "iterative_scan": "SET LOCAL hnsw.iterative_scan = relaxed_order",
    "vector_available": "SELECT 1 / count(*) FROM pg_available_extensions WHERE name = 'vector'",
    "may_create": (
        "SELECT 1 / (has_database_privilege(current_database(), 'CREATE')::integer"
        " + (to_regnamespace('clawstate') IS NOT NULL)::integer)"
    ),
}


@dataclass(frozen=True, slots=True)
class ServerAbilities:
    """
    What the server of a database can do.

    *vector* to *iterative_scan* are of the extension pgvector where it is made in this database;
    *vector_available* tells whether it could be. *clock_offset* in seconds is how much the server's
    clock is ahead of ours. *is_direct*: no pooler stands between, so notices of changes are heard.
    """

    version: str
    encoding: str
    is_standby: bool
    clock_offset: float
    can: frozenset[str]
    refused: tuple[tuple[str, str], ...] = ()
    is_direct: bool = True

    def require(self, address: Address) -> None:
        """Raise `UnavailableError` if clawstate cannot use this server, saying why."""
        place = str(address)
        if self.encoding != "UTF8":
            problem = f"its database is encoded in {self.encoding}, which does not hold all text"
            raise UnavailableError(place, problem, "create it with ENCODING 'UTF8'")
        for needed in ("snapshots", "history"):
            if needed not in self.can:
                words = dict(self.refused).get(needed, "")
                raise UnavailableError(place, f"lacks what tells changes apart: {words}", _NEEDED)


def probe(database: Database) -> ServerAbilities:
    """Return what the server of *database* can do; each trial is rolled back."""
    return database.attempt(_look)


def _look(connection: Connection) -> ServerAbilities:
    import time  # noqa: PLC0415 - asked once a process at most

    before = time.time()
    version, encoding, is_standby, now = connection.execute(
        "SELECT current_setting('server_version'), current_setting('server_encoding'),"
        " pg_is_in_recovery(), extract(epoch FROM clock_timestamp())::float8"
    ).fetchone()  # type: ignore[misc]
    ours = (before + time.time()) / 2
    can, refused = set(), []
    for name, sql in _TRIALS.items():
        problem = _try(connection, sql)
        if problem is None:
            can.add(name)
        else:
            refused.append((name, problem))
    return ServerAbilities(
        version,
        encoding,
        is_standby,
        now - ours,
        frozenset(can),
        tuple(refused),
        is_direct(connection),
    )


def _try(connection: Connection, sql: str) -> Any:
    connection.execute("BEGIN")
    try:
        connection.execute(sql)
    except psycopg.Error as error:
        if connection.closed:
            raise
        return (error.diag.message_primary or str(error)).splitlines()[0]
    finally:
        if not connection.closed:
            connection.execute("ROLLBACK")
    return None
