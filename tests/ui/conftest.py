from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import browsing
import pytest
from playwright.sync_api import Browser, sync_playwright
from running_gateway import Gateway
from seeding import seed_small


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """
    Start Debian's Chromium, which the tests of a module share.

    While it runs, its loop of events does so too: no other test of the process could have one.
    """
    if not Path(browsing.CHROMIUM).exists():
        pytest.skip(f"{browsing.CHROMIUM} is missing: make system installs it")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=browsing.CHROMIUM, args=browsing.ARGUMENTS
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Start a gateway on a small state, which the tests of a module share."""
    root = tmp_path_factory.mktemp("ui") / "state"
    seed_small(root)
    with Gateway(root) as started:
        yield started


@pytest.fixture
def run_on() -> Callable[..., str]:
    """Return what runs a command on a state."""

    def run_command(root: Path, *words: str) -> str:
        command = [sys.executable, "-m", "clawstate", "--state-dir", str(root), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return run_command


@pytest.fixture
def run(gateway: Gateway, run_on: Callable[..., str]) -> Callable[..., str]:
    """Return what runs a command on the state of the gateway."""
    return partial(run_on, gateway.root)


@pytest.fixture
def sight(
    browser: Browser, gateway: Gateway
) -> Callable[..., AbstractContextManager[browsing.Sight]]:
    """Return what opens a page on the gateway, at a size and with scopes."""
    return partial(browsing.sight, browser, gateway)
