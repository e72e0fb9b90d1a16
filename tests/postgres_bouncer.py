"""PgBouncer before a test's server: another connection with each transaction."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from clawstate.postgres.local_server import USER
from postgres_server import TestDatabase

_SETTINGS = """
[databases]
{name} = host={home} port=5432 dbname={name}
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = {place}
auth_type = scram-sha-256
auth_file = {place}/users
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 200
query_wait_timeout = 20
logfile = {place}/log
pidfile = {place}/pid
server_idle_timeout = 5
"""


@contextmanager
def pooled(database: TestDatabase, *, size: int = 6) -> Iterator[TestDatabase]:
    """Give *database* behind PgBouncer in transaction mode, with *size* connections to it."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None or database.server is None:
        pytest.skip("pgbouncer is not installed, or the server is not ours")
    place = Path(tempfile.mkdtemp(prefix="cs-pb-"))
    name = urlsplit(database.url).path.removeprefix("/")
    users = place / "users"
    users.touch(0o600)
    users.write_text(f'"{USER}" "{database.password}"\n')
    settings = place / "settings.ini"
    settings.write_text(
        _SETTINGS.format(home=database.server.home, name=name, place=place, size=size)
    )
    identity = {}
    if os.geteuid() == 0:  # it refuses to be root
        owner = pwd.getpwuid(database.server.home.stat().st_uid)
        for each in (place, users, settings):
            os.chown(each, owner.pw_uid, owner.pw_gid)
        identity = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    process = subprocess.Popen(
        [program, str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, **identity
    )
    try:
        end = time.monotonic() + 20.0
        while not (place / ".s.PGSQL.6432").exists():
            assert process.poll() is None, (place / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.02)
        yield replace(database, url=f"postgresql://{USER}@/{name}?host={place}&port=6432")
    finally:
        process.terminate()
        process.wait(20.0)
        shutil.rmtree(place, ignore_errors=True)
