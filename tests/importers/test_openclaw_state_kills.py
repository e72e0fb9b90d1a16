from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path

import pytest
from openclaw_fixtures import contents, moved
from openclaw_home import OpenClawHome, fingerprint

import clawstate
from clawstate.importers.openclaw import import_openclaw
from faults import strace
from faults.victim import Victim
from manual_clock import ManualClock
from openclaw.openclaw_databases import OpenClawDatabases
from seeds import seed

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
KILLS = 400 if FULL else 8
SEED = seed()
# Calls by which something may come to be there.
_CHANGING = {
    *("openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat", "renameat2"),
    *("link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "ftruncate", "fchmod", "flock"),
}

pytestmark = [
    pytest.mark.crash,
    pytest.mark.timeout(3600 if FULL else 300),
    pytest.mark.filterwarnings("ignore::clawstate.errors.StateWarning"),
]


@pytest.fixture(scope="module", params=[OpenClawHome, OpenClawDatabases])
def home(request, tmp_path_factory) -> OpenClawHome | OpenClawDatabases:
    now = ManualClock()()
    return request.param(tmp_path_factory.mktemp("source") / "openclaw", now).everything()


@pytest.fixture(scope="module")
def expected(home, tmp_path_factory):
    """Return what an import leaves that nobody kills."""
    return imported(tmp_path_factory.mktemp("whole") / "state", home)


def imported(root: Path, home: OpenClawHome | OpenClawDatabases):
    with clawstate.open(root, clock=ManualClock()) as state:
        report = import_openclaw(state, home.root, archives=True, secrets=True)
        assert not report.has_failed(), report.remarks
        again = import_openclaw(state, home.root, archives=True, secrets=True)
        assert moved(again) == 0
        return contents(state)


def test_a_killed_import_is_completed_by_the_next(home, expected, tmp_path) -> None:
    """Killed at any call, an import leaves what the next one completes, and nothing is doubled."""
    if reason := strace.available():
        pytest.skip(reason)
    sys.stdout.write(f"seed {SEED}\n")
    before = fingerprint(home.root)
    with Victim(Path(__file__).with_name("openclaw_victim.py"), timeout=120) as victim:
        points = strace.trace(victim, tmp_path / "traced", home.root)
        points = tuple(each for each in points if each.call in _CHANGING)
        killed = []

        def kill(numbered):
            # Threads have points of the same name and ordinal.
            number, point = numbered
            root = tmp_path / f"{number}-{point.call}{point.ordinal}"
            outcome = strace.run_killed(victim, point, root, home.root)
            killed.append(outcome.killed)
            assert imported(root, home) == expected, point
            shutil.rmtree(root)

        strace.spread(kill, enumerate(some(points)))

    assert fingerprint(home.root) == before
    assert sum(killed) >= 0.4 * len(killed) > 0
    sys.stdout.write(f"killed at {len(killed)} of {len(points)} points\n")


def some(points):
    """Return some of *points*, spread over all of them."""
    if len(points) <= KILLS:
        return points
    chance, step = random.Random(SEED), len(points) / KILLS
    return [points[int((number + chance.random()) * step)] for number in range(KILLS)]
