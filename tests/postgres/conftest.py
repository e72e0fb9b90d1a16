from __future__ import annotations

from uuid import uuid4

import pytest

from clawstate.postgres.address import Address
from clawstate.postgres.database import Database
from clawstate.postgres.part import Part
from postgres_counters import counters
from postgres_proxy import Proxy


@pytest.fixture
def database(postgres):
    database = Database(postgres.address, patience=lambda: 20.0)
    yield database
    database.close()


@pytest.fixture
def part(database):
    """Give an empty part with counters; its tenant is nobody else's."""
    return Part(database, "counters", [counters], tenant=uuid4().hex)


@pytest.fixture
def proxy(postgres):
    """Give a way to the server that can lose answers."""
    if postgres.server is None:
        pytest.skip("the proxy stands before a server of our own alone")
    proxy = Proxy(postgres.server.home)
    yield proxy
    proxy.close()


@pytest.fixture
def through(postgres, proxy):
    """Give the database as it is reached through the proxy."""
    url = postgres.url.replace(str(postgres.server.home), str(proxy.directory))
    database = Database(Address(url, password=lambda: postgres.password), patience=lambda: 20.0)
    yield database
    database.close()
