from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from uuid import uuid4

import pytest

import clawstate
from clawstate.errors import StateError
from clawstate.postgres.address import Address
from clawstate.postgres.database import Database
from clawstate.postgres.local_server import LocalServer
from clawstate.records.postgres import PostgresBackend
from clawstate.testing.collection_hooks import NOTES

SOURCE = Path(clawstate.__file__).parents[1]
OPEN = """
import os, sys
from clawstate.postgres.address import Address
from clawstate.postgres.database import Database
from clawstate.records.postgres import PostgresBackend
from clawstate.records.contract import ABSENT
from clawstate.errors import ConflictError
from clawstate.testing.collection_hooks import NOTES

address = Address(os.environ["URL"], password=lambda: os.environ.get("SECRET"))
database = Database(address, patience=lambda: 120.0)
notes = PostgresBackend(database, tenant=os.environ["TENANT"]).collection(NOTES)
"""
COUNT = """
for _ in range(int(sys.argv[1])):
    notes.update("counter", lambda old: (old or 0) + 1)
"""
MARK = """
won = 0
for number in range(int(sys.argv[1])):
    try:
        notes.put(f"mark-{number}", os.getpid(), expect=ABSENT)
    except ConflictError:
        continue
    won += 1
print(won)
"""


def start(database, tenant, work, count):
    environment = {
        **os.environ,
        "PYTHONPATH": str(SOURCE),
        "URL": database.url,
        "SECRET": database.password or "",
        "TENANT": tenant,
    }
    command = [sys.executable, "-c", OPEN + work, str(count)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def finish(processes) -> list[str]:
    told = [each.communicate(timeout=600)[0] for each in processes]
    assert [each.returncode for each in processes] == [0] * len(processes)
    return told


def opened(database, tenant, **options) -> PostgresBackend:
    address = Address(database.url, password=lambda: database.password)
    return PostgresBackend(Database(address, **options), tenant=tenant)


@pytest.fixture
def tenant():
    return uuid4().hex


@pytest.mark.parametrize(
    ("processes", "updates"), [(3, 30), pytest.param(8, 500, marks=pytest.mark.slow)]
)
def test_no_update_of_processes_is_lost(postgres, tenant, processes, updates) -> None:
    """Processes that count in one record at once lose none and count none twice."""
    finish([start(postgres, tenant, COUNT, updates) for _ in range(processes)])

    backend = opened(postgres, tenant)
    assert backend.collection(NOTES).get("counter").value == processes * updates
    backend.close()


@pytest.mark.parametrize(
    ("processes", "marks"), [(3, 30), pytest.param(6, 500, marks=pytest.mark.slow)]
)
def test_each_mark_has_one_winner(postgres, tenant, processes, marks) -> None:
    """Of processes that make the same marks at once each mark is new to exactly one."""
    told = finish([start(postgres, tenant, MARK, marks) for _ in range(processes)])

    assert sum(map(int, told)) == marks


@pytest.mark.slow
def test_300_terminated_backends(postgres, tenant) -> None:
    """Of 4,000 updates during 300 terminations at random statements none is lost or doubled."""
    backend = opened(postgres, tenant, patience=lambda: 120.0)
    backend.collection(NOTES).put("counter", 0)
    done = threading.Event()
    ended = 0

    def terminate() -> None:
        nonlocal ended
        sql = (
            "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            " ORDER BY random() LIMIT 1) AS one"
        )
        with postgres.connect() as connection:
            while not done.wait(0.05):
                ended += connection.execute(sql).fetchone()[0]

    killer = threading.Thread(target=terminate)
    killer.start()
    rounds = 0
    try:
        while ended < 300:
            finish([start(postgres, tenant, COUNT, 250) for _ in range(4)])
            rounds += 1
    finally:
        done.set()
        killer.join()

    assert backend.collection(NOTES).get("counter").value == rounds * 1000
    backend.close()


@pytest.mark.slow
def test_a_restart_under_load(postgres, tenant, tmp_path) -> None:
    """While the server is restarted, and then killed, writers wait and lose nothing."""
    # A server of its own: others use the shared one. It must be durable, as it is killed.
    if postgres.server is None:
        pytest.skip("a server that is not ours is not restarted")
    server = LocalServer(postgres.server.home.parent / f"restarted-{os.getpid()}")
    server.start()
    database = type(postgres)(server.url("postgres"), server.password(), server)
    try:
        workers = [start(database, tenant, COUNT, 400) for _ in range(4)]
        for end in (server.stop, server.kill):
            time.sleep(1.0)
            end()
            server.start()
        finish(workers)
        backend = opened(database, tenant)
        assert backend.collection(NOTES).get("counter").value == 1600
        backend.close()
    finally:
        server.stop()


def test_a_server_that_is_away_is_told_in_time(postgres, tenant, tmp_path) -> None:
    """Without a server each call ends with a typed error, and goes on when it is back."""
    if postgres.server is None:
        pytest.skip("a server that is not ours is not stopped")
    home = str(postgres.server.home)
    link = tmp_path / "link"
    link.symlink_to(home)
    url = postgres.url.replace(home, str(link))
    address = Address(url, password=lambda: postgres.password)
    backend = PostgresBackend(Database(address, patience=lambda: 1.0), tenant=tenant)
    notes = backend.collection(NOTES)
    notes.put("a", 1)
    link.unlink()
    backend._part.database.pool.drop_idle()

    begun = time.monotonic()
    with pytest.raises(StateError):
        notes.put("a", 2)
    assert time.monotonic() - begun < 10.0
    link.symlink_to(home)

    assert notes.put("a", 3).value == 3
    backend.close()
