from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from running_gateway import Gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Start a gateway that the tests of a module share."""
    with Gateway(tmp_path_factory.mktemp("gateway") / "state") as started:
        yield started


@pytest.fixture
def run(gateway: Gateway) -> Callable[..., str]:
    """Return what runs a command on the state of the gateway, and gives what it prints."""

    def run_command(*words: str) -> str:
        command = [sys.executable, "-m", "clawstate", "--state-dir", str(gateway.root), "--json"]
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=True)
        return done.stdout

    return run_command
