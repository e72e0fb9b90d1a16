from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from clawstate.errors import LockTimeoutError
from clawstate.postgres.address import Address
from clawstate.postgres.database import Database
from clawstate.records import postgres_history
from clawstate.records.leases import LEASES
from clawstate.records.postgres import PostgresBackend
from clawstate.testing.collection_machine import collection_machine
from clawstate.testing.collection_suite import NOTES, RANKED, CollectionSuite
from clawstate.testing.hooks import ManualTime
from postgres_bouncer import pooled

_URL, _PASSWORD = "CLAWSTATE_SUITE_URL", "CLAWSTATE_SUITE_PASSWORD"


def tenant_of(path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()


def open_backend(path) -> PostgresBackend:
    # By the environment: other processes of a law open it as well.
    address = Address(os.environ[_URL], password=lambda: os.environ.get(_PASSWORD))
    return PostgresBackend(Database(address), tenant=tenant_of(path))


@pytest.fixture(autouse=True, scope="module")
def _server(postgres):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(_URL, postgres.url)
        patch.setenv(_PASSWORD, postgres.password or "")
        yield


class TestPostgres(CollectionSuite):
    """Records in PostgreSQL keep every law."""

    asks_again = 5

    @pytest.fixture(autouse=True)
    def _database(self, postgres):
        self.postgres = postgres

    def make(self, tmp_path: Path) -> PostgresBackend:
        return open_backend(tmp_path)

    def place(self, tmp_path):  # noqa: ARG002 - see the hook
        return str(Address(os.environ[_URL]))

    def raw_read(self, tmp_path, spec):
        sql = "SELECT id || rest, body FROM clawstate.records WHERE tenant = %s AND kind = %s"
        rows = self.around(sql, (tenant_of(tmp_path), spec.kind)).fetchall()
        return {key: json.loads(body) for key, body in rows}

    def raw_damage(self, tmp_path, spec, key):
        sql = "UPDATE clawstate.records SET body = '{' WHERE tenant = %s AND kind = %s AND id = %s"
        self.around(sql, (tenant_of(tmp_path), spec.kind, key))

    def around(self, sql, bound):
        with self.postgres.connect() as connection:
            return connection.execute(sql, bound)


class TestPostgresMachine(collection_machine(open_backend).TestCase):
    """Records in PostgreSQL answer every call as a dict would."""


@pytest.mark.slow
class TestPostgresPooled(TestPostgres):
    """Behind PgBouncer in transaction mode records in PostgreSQL keep every law as well."""

    @pytest.fixture(autouse=True, scope="class")
    @staticmethod
    def _pooled(postgres):
        with pooled(postgres, size=4) as behind, pytest.MonkeyPatch.context() as patch:
            patch.setenv(_URL, behind.url)
            yield


class _Keys:
    """Keys whose first 200 characters are the same, or that are longer than an index holds."""

    long = tuple(f"{'x' * 300}{each}" for each in ("", "\0", "\1", "a", "b", "\U0010ffff"))
    wide = ("\U0010ffff" * 1024, "\U0010ffff" * 1023 + "a", "\U0010ffff" * 200)


def test_long_keys_keep_their_order(tmp_path) -> None:
    """Keys that no index holds are told apart, found by what they begin with, and sorted."""
    backend = open_backend(tmp_path)
    notes = backend.collection(NOTES)
    keys = sorted((*_Keys.long, *_Keys.wide, "x" * 200, "x" * 199, "y"))
    notes.change_all(lambda _: ({key: number for number, key in enumerate(keys)}, None))

    assert [each.key for each in notes.scan()] == keys
    for number, key in enumerate(keys):
        assert notes.get(key).value == number
        assert [each.key for each in notes.scan(after=key, limit=2)] == keys[number + 1 :][:2]
    assert [each.key for each in notes.scan("x" * 300)] == sorted(_Keys.long)
    assert notes.delete(keys[3])
    assert notes.count() == len(keys) - 1
    backend.close()


def test_records_of_another_order_are_ranked_anew(tmp_path) -> None:
    """When the order of a collection changed, the latest are those by the new one."""
    backend = open_backend(tmp_path)
    plain = backend.collection(replace(RANKED, order=None))
    plain.change_all(lambda _: ({str(n): {"at": n, "size": -n} for n in range(20)}, None))

    latest = backend.collection(RANKED).latest(3)
    assert [each.key for each in latest] == ["19", "18", "17"]
    other = backend.collection(replace(RANKED, order="size")).latest(3)
    assert [each.key for each in other] == ["0", "1", "2"]
    backend.close()


def test_tenants_do_not_see_each_other(tmp_path) -> None:
    """What one tenant keeps another neither reads nor hears of."""
    one, two = open_backend(tmp_path / "1"), open_backend(tmp_path / "2")
    cursor = two.collection(NOTES).changes().cursor
    one.collection(NOTES).put("a", 1)

    assert two.collection(NOTES).get("a") is None
    assert two.kinds() == ()
    assert two.changes(cursor)[1] == []
    one.close()
    two.close()


def test_what_was_set_aside_is_no_record(tmp_path) -> None:
    """Records that are set aside are found by no collection, told as moved, and can be removed."""
    backend = open_backend(tmp_path)
    notes = backend.collection(NOTES)
    cursor = notes.changes().cursor
    for number in range(2):
        put = notes.put("a", number)
        assert not backend.set_aside("notes", {"a": "1"})
        assert backend.set_aside("notes", {"a": put.revision})
        assert notes.get("a") is None
    assert (backend.count_aside(), backend.kinds()) == (1, ())
    assert notes.changes(cursor).keys == {"a"}

    assert backend.remove_aside() == 1
    assert backend.count_aside() == 0
    backend.close()


def test_only_so_many_deleted_keys_are_remembered(tmp_path, monkeypatch) -> None:
    """A cursor from before what is remembered is unknown; a later one is known."""
    monkeypatch.setattr(postgres_history, "REMEMBERED", 5)
    monkeypatch.setattr(postgres_history, "_EACH_FORGETS", 10)
    backend = open_backend(tmp_path)
    notes = backend.collection(NOTES)
    old = notes.changes().cursor
    for number in range(10):
        notes.put(str(number), 1)
        notes.delete(str(number))

    def known(number) -> bool:
        # Not while a transaction of somebody else still runs that is older than what was forgotten.
        new = notes.changes().cursor
        notes.put("a", number)
        return notes.changes(new).keys == {"a"}

    assert not notes.changes(old).complete
    assert any(known(number) for number in range(200))
    backend.close()


def test_a_lease_goes_by_the_clock_of_the_server(tmp_path, monkeypatch) -> None:
    """A holder on another machine has its time by the server's clock, seen or not."""
    backend = open_backend(tmp_path)
    held = backend.lease("import", 30.0)
    leases = backend.collection(LEASES)
    elsewhere = {"host": "elsewhere", "bootId": "another", "pid": 1}
    leases.update("import", lambda old: {**old, **elsewhere})
    with pytest.raises(LockTimeoutError):
        backend.lease("import", 30.0)

    leases.update("import", lambda old: {**old, "ticks": old["ticks"] - 30_000})

    assert backend.lease("import", 30.0).fence == held.fence + 1 == 2
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert backend.lease("index", 30.0).is_held()
    backend.close()


def test_a_fence_holds_on_while_a_change_runs(tmp_path) -> None:
    """Nobody is granted a lease between the look at it and the commit of a change that needs it."""
    clock = ManualTime()
    backend, other = open_backend(tmp_path), open_backend(tmp_path)
    lease = backend.lease("import", 30.0, ticks=clock)
    granted = []

    def change(_):
        clock.now += 31.0
        taking = threading.Thread(
            target=lambda: granted.append(other.lease("import", 30.0, ticks=clock).fence)
        )
        taking.start()
        taking.join(0.5)
        assert granted == []
        threads.append(taking)
        return 1

    threads = []
    backend.collection(NOTES).fenced(lease).update("a", change)
    threads[0].join()

    assert granted == [2]
    assert backend.collection(NOTES).get("a").value == 1
    backend.close()
    other.close()
