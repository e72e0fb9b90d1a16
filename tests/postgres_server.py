"""One PostgreSQL server for all tests of a run, with a database for each worker."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from clawstate.postgres.address import Address
from clawstate.postgres.local_server import LocalServer

ADDRESS = "CLAWSTATE_TEST_DSN"
"""Names a server to use instead of one of our own; its user must be allowed to make databases."""

# Durability is PostgreSQL's own; what it does without power is no law of ours.
_QUICK = {"fsync": "off", "full_page_writes": "off", "max_connections": 200}


@dataclass(frozen=True)
class TestDatabase:
    """An empty database on the server, and how to get there."""

    url: str
    password: str | None = None
    server: LocalServer | None = None
    __test__ = False

    @property
    def address(self) -> Address:
        return Address(self.url, password=lambda: self.password)

    @property
    def full_url(self) -> str:
        """The address with the password, as a user may write it."""
        if self.password is None:
            return self.url
        return self.url.replace("@", f":{self.password}@", 1)

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.url, password=self.password, autocommit=True)


@contextmanager
def shared_server(base: Path, worker: str) -> Iterator[TestDatabase]:
    """Give a database of *worker* on the server below *base*, which the first worker starts."""
    if (given := os.environ.get(ADDRESS)) is not None:
        yield _own_database(given, None, None, worker)
        return
    # Not below *base*: a server of another user cannot go there, and sockets have short names.
    note = base / "postgres-home"
    users = base / "postgres-users"
    users.mkdir(exist_ok=True)
    with _locked(base):
        if not note.exists():
            outside = Path(tempfile.mkdtemp(prefix="clawstate-pg-"))
            outside.chmod(0o711)
            note.write_text(str(outside))
        server = LocalServer(Path(note.read_text()) / "server")
        server.start(_QUICK)
        (users / worker).touch()
    try:
        yield _own_database(server.url("postgres"), server.password(), server, worker)
    finally:
        with _locked(base):
            (users / worker).unlink()
            if not any(users.iterdir()):
                server.stop()
                shutil.rmtree(note.read_text(), ignore_errors=True)
                note.unlink()


def _own_database(
    url: str, password: str | None, server: LocalServer | None, worker: str
) -> TestDatabase:
    name = f"clawstate_{worker}_{os.getpid()}"
    with psycopg.connect(url, password=password, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8'")
    parts = urlsplit(url)
    return TestDatabase(urlunsplit(parts._replace(path=f"/{name}")), password, server)


@contextmanager
def _locked(base: Path) -> Iterator[None]:
    with (base / "postgres-lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
