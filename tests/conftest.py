from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

import clawstate
from manual_clock import ManualClock

hypothesis.settings.register_profile(
    "default",
    max_examples=50,
    deadline=None,
    print_blob=True,
    derandomize=bool(os.environ.get("CI")),
)
hypothesis.settings.register_profile("full", deadline=None, print_blob=True, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def state(tmp_path: Path, clock: ManualClock):
    with clawstate.open(tmp_path / "state", clock=clock) as opened:
        yield opened


@pytest.fixture
def memory(state):
    return state.memory


@pytest.fixture(params=["file", "sqlite", "postgresql"])
def each_engine(request, tmp_path: Path) -> dict[str, str]:
    """Return what `clawstate.open` is told for the records of one test, for each engine in turn."""
    store = request.param
    if store == "postgresql":
        store = request.getfixturevalue("postgres").full_url
    return {"store": store, "tenant": tmp_path.name}


@pytest.fixture(scope="session")
def postgres(tmp_path_factory, worker_id):
    """Give a database of this worker on the PostgreSQL server that all workers share."""
    from postgres_server import shared_server  # noqa: PLC0415 - few tests need it, and its driver

    base = tmp_path_factory.getbasetemp()
    with shared_server(base if worker_id == "master" else base.parent, worker_id) as database:
        yield database
