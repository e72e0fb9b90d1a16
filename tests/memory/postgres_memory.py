"""A memory in PostgreSQL for tests: each has a tenant of its own in the database of the worker."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from clawstate.clock import Clock, system_clock
from clawstate.memory.backends.postgres import PostgresMemory
from clawstate.memory.service import Memory
from clawstate.postgres.address import Address
from clawstate.postgres.database import Database
from clawstate.testing.memory_hooks import HashEmbedder

PASSWORD = "CLAWSTATE_TEST_PASSWORD"


def tenant_of(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:24]


class OwnMemory(PostgresMemory):
    """One with a database of its own, which ends with it."""

    def close(self) -> None:
        super().close()
        self._part.database.close()


def open_engine(postgres, path: Path, clock: Clock = system_clock, **settings) -> OwnMemory:
    database = Database(postgres.address, patience=lambda: 20.0)
    return OwnMemory(database, tenant=tenant_of(path), clock=clock, **settings)


def environment(postgres) -> dict[str, str]:
    return {**os.environ, PASSWORD: postgres.password or ""}


def main() -> None:
    """Add records to a tenant from another process, and delete each third of them."""
    url, tenant, name, count = sys.argv[1:]
    database = Database(Address(url, password=lambda: os.environ[PASSWORD] or None))
    memory = Memory(OwnMemory(database, tenant=tenant), embedder=HashEmbedder())
    for number in range(int(count)):
        record = {"text": f"lobster {name}{number} sleeps", "id": f"{name}{number}"}
        memory.add_many([{**record, "tags": [name]}])
        if number % 3 == 2:
            memory.delete(f"{name}{number}")
    memory.close()


if __name__ == "__main__":
    main()
