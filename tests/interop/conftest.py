from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fake_model import FakeModel
from masters import Masters
from openclaw_package import FILES, RELEASES, AbsentError, OpenClaw, Release, find, install
from peer import NodePeer
from real_state import free_port

# A gateway as a process, which the tests of the gateway have.
sys.path.append(str(Path(__file__).parents[1] / "gateway"))


@pytest.fixture(scope="session")
def openclaw(request: pytest.FixtureRequest) -> OpenClaw:
    """Return the installed package of the file era, which most of these tests are about."""
    return installed(request, FILES)


@pytest.fixture(scope="session")
def openclaws(request: pytest.FixtureRequest) -> dict[Release, OpenClaw]:
    """Return both installed packages."""
    return {release: installed(request, release) for release in RELEASES}


@pytest.fixture(scope="session")
def package(request: pytest.FixtureRequest) -> Callable[[Release], OpenClaw]:
    """Return what gives an installed package by its release."""
    return lambda release: installed(request, release)


@pytest.fixture(scope="session")
def masters(
    openclaws: dict[Release, OpenClaw], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Masters]:
    """Return the states that both OpenClaws make; each is made when it is first asked for."""
    with FakeModel() as model:
        yield Masters(tmp_path_factory.mktemp("masters"), openclaws, model, free_port())


def installed(request: pytest.FixtureRequest, release: Release) -> OpenClaw:
    """Return the package; it is installed only for those who ask for these tests."""

    def say(line: str) -> None:
        sys.__stderr__.write(f"{line}\n")  # past the capture: it may take a minute

    try:
        if "interop" in request.config.option.markexpr:
            return install(say, release)
        return find(release)
    except AbsentError as error:
        pytest.skip(str(error))


@pytest.fixture
def start_peers(openclaw, tmp_path) -> Iterator[Callable[[int], list[NodePeer]]]:
    """Return a starter of processes, which load at the same time and end with the test."""
    home = tmp_path / "home"
    home.mkdir()
    with ExitStack() as stack:

        def start(count: int) -> list[NodePeer]:
            peers = [NodePeer(openclaw, home) for _ in range(count)]
            for peer in peers:
                stack.callback(peer.close)
            for peer in peers:
                peer.wait_until_ready()
            return peers

        yield start


@pytest.fixture(scope="module")
def peer(openclaw, tmp_path_factory) -> Iterator[NodePeer]:
    """Return a process that all tests of a module ask."""
    with NodePeer(openclaw, tmp_path_factory.mktemp("home")) as process:
        yield process


@pytest.fixture
def tell(capsys, record_property) -> Callable[[str], None]:
    """Return what puts a measurement before the eyes of who runs the test, and into its record."""

    def aloud(line: str) -> None:
        record_property("told", line)
        with capsys.disabled():
            sys.stdout.write(f"\n  {line}\n")

    return aloud
