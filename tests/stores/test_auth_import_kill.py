from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import clawstate
from faults import strace
from faults.victim import Victim

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
POINTS = None if FULL else 12
OLD = {
    "openai": {"type": "api_key", "key": "sk-1"},
    "xai": {"type": "token", "token": "t"},
}
NAMES = {f"{provider}:default" for provider in OLD}

pytestmark = pytest.mark.crash


@pytest.fixture(scope="module")
def victim():
    if (reason := strace.available()) is not None:
        pytest.skip(reason)
    with Victim(Path(__file__).with_name("auth_import_victim.py")) as warm:
        yield warm


def make(root: Path) -> Path:
    path = root / "agents/main/agent/auth.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(OLD))
    return root


def test_a_removal_that_was_promised_survives_a_kill(victim, tmp_path) -> None:
    """Killed at any point of the first import, no removed profile is back and no other is gone."""
    points = strace.trace(victim, make(tmp_path / "whole"))
    step = 1 if POINTS is None else max(1, len(points) // POINTS)
    killed = []

    def kill(point):
        root = make(tmp_path / f"{point.call}-{point.ordinal}")
        outcome = strace.run_killed(victim, point, root)
        killed.append(outcome.killed)
        removed = {line.split()[1] for line in outcome.lines if line.startswith("ACK")}
        with clawstate.open(root, store="file") as state:
            found = {profile.id for profile in state.auth().profiles()}
            assert not found & removed, point
            assert len(NAMES - removed - found) <= 1, point  # what was about to be removed
            state.auth().upsert("zebra:new", {**OLD["openai"], "provider": "zebra"})
            after = {profile.id for profile in state.auth().profiles()}
            assert after == found | {"zebra:new"}, point
            assert state.auth().import_legacy().imported == 0
        shutil.rmtree(root)

    count = strace.spread(kill, points[::step])

    assert sum(killed) > count / 2
