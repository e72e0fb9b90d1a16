from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from openclaw_package import AbsentError, OpenClaw, find, install
from peer import NodePeer


@pytest.fixture(scope="session")
def openclaw(request: pytest.FixtureRequest) -> OpenClaw:
    """Return the installed package; it is installed only for those who ask for these tests."""

    def say(line: str) -> None:
        sys.__stderr__.write(f"{line}\n")  # past the capture: it may take a minute

    try:
        return install(say) if "interop" in request.config.option.markexpr else find()
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
