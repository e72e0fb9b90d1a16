"""Notices shorten the wait of who looks, come back after a loss, and stay away behind a pooler."""

from __future__ import annotations

import threading
import time
from uuid import uuid4

import pytest

import clawstate
from clawstate.postgres.database import Database
from clawstate.postgres.notices import POOLER, Announcer, payload_of
from postgres_bouncer import pooled

LONG = 60.0  # seconds between two looks: what is told sooner was told by a notice


class Told:
    """Notes what a subscription tells, and waits for it."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self._moved = threading.Condition()

    def __call__(self, changes) -> None:
        with self._moved:
            for each in changes.items:
                self.keys += each.keys or ()
            self._moved.notify_all()

    def wait_for(self, key: str) -> bool:
        with self._moved:
            return self._moved.wait_for(lambda: key in self.keys, timeout=20.0)


@pytest.fixture
def tenant():
    """Give a tenant that no other test has."""
    return uuid4().hex


def until(holds) -> bool:
    """Wait until *holds*, or ten seconds."""
    for _ in range(500):
        if holds():
            return True
        time.sleep(0.02)
    return False


def test_a_change_of_another_is_told_without_looking(postgres, tmp_path, tenant) -> None:
    """Each change of another process is told long before the next look, the last one as well."""
    told = Told()
    address = postgres.full_url
    with (
        clawstate.open(tmp_path / "a", store=address, tenant=tenant) as here,
        clawstate.open(tmp_path / "b", store=address, tenant=tenant) as there,
        here.subscribe(told, interval=LONG),
    ):
        for number in range(5):
            for _ in range(3):  # right behind each other: not each gives notice
                there.sessions.resolve(f"s{number}-{_}")
            key = there.memory.add(f"tea {number}")
            assert told.wait_for(f"s{number}-2")
            assert told.wait_for(key)


def test_who_listens_comes_back(database, tenant) -> None:
    """When the server ends the connection that listens, another one takes its place."""
    heard = threading.Event()
    end = database.notices.add(tenant, heard.set)
    listening = "SELECT pid FROM pg_stat_activity WHERE query = 'LISTEN clawstate' AND pid <> 0"
    assert heard.wait(20.0)
    ((pid, *_), *_) = database.rows(listening)
    heard.clear()

    database.rows("SELECT pg_terminate_backend(%s)", (pid,))

    assert heard.wait(20.0)  # it listens again
    heard.clear()
    database.attempt(lambda connection: Announcer().tell(connection, tenant))
    assert heard.wait(20.0)
    end()
    assert until(lambda: not database.rows(f"{listening} AND application_name <> 'x'"))


def test_notices_of_others_wake_nobody(database, tenant) -> None:
    """A notice is for who waits for that tenant, and shows nobody its name."""
    mine, other = threading.Event(), threading.Event()
    with_mine, with_other = (
        database.notices.add(tenant, mine.set),
        database.notices.add("another", other.set),
    )
    assert mine.wait(20.0)
    time.sleep(0.1)  # both looked at the beginning
    mine.clear()
    other.clear()
    database.attempt(lambda connection: Announcer().tell(connection, tenant))

    assert mine.wait(20.0)
    with_mine()
    assert tenant not in payload_of(tenant)
    with_other()


def test_behind_a_pooler_nobody_listens(postgres, tenant) -> None:
    """Where PgBouncer hands out connections none listens, and it is said; looking tells of all."""
    with pooled(postgres) as bouncer:
        database = Database(bouncer.address, patience=lambda: 20.0)
        end = database.notices.add(tenant, lambda: None)
        assert until(lambda: database.notices.problem == POOLER)
        end()
        database.close()
