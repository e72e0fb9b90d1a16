from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from harm import MOST, each_sound, fallible, some
from harm import copied as fresh

import clawstate
from clawstate.errors import NotFoundError, StateError
from faults import strace

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
KILLS, FAULTS = (None, None) if FULL else (8, 6)
ERRORS = ("EIO", "ENOSPC", "EMFILE", "EROFS") if FULL else ("EIO", "ENOSPC")

# Approves a code, or rotates the token of a device, and says what came of it.
SCRIPT = """
import os, sys, warnings
import clawstate
from clawstate.errors import StateError
import clawstate.state.pairing, clawstate.config.view, clawstate.records.sqlite
warnings.simplefilter("ignore")
print("WARM")
root, store, action, what = sys.argv[1:]
os.umask(0o022)
state = clawstate.open(root, store=store, lock_timeout=10.0)
try:
    state.pairing.pending(), state.devices.paired()
except StateError:
    sys.exit()  # the fault came too early; counts differ by a few calls
print("READY")
try:
    approve, rotate = state.pairing.approve, state.devices.rotate
    print("ACK", (approve if action == "approve" else rotate)(what).token)
except StateError as error:
    print("ERR", str(error).replace(chr(10), " "))
state.close()
print("END")
"""

UNSURE = re.compile("replaced|unknown|lock: cannot be removed")

pytestmark = pytest.mark.crash
every = pytest.mark.parametrize("case", ["file-approve", "file-rotate", "sqlite-approve"])


@dataclass(frozen=True)
class Scene:
    """What is there before the *action*: a code that waits, or a *token* to be replaced."""

    root: Path
    store: str
    action: str
    what: str
    token: str

    @property
    def arguments(self):
        return self.store, self.action, self.what

    def open(self, root):
        return clawstate.open(root, store=self.store, lock_timeout=10.0)


@pytest.fixture
def scene(tmp_path, case):
    store, action = case.split("-")
    root = tmp_path / "template"
    with clawstate.open(root, store=store) as state:
        code = state.pairing.request(user_id="ada", device_id="phone").code
        issued = state.devices.issue(device_id="tv", user_id="ada")
    what = code if action == "approve" else "tv"
    return Scene(root, store, action, what, issued.token)


@pytest.fixture
def points(victim, scene, tmp_path):
    """Return the system calls of the action, up to the last of which something can be told."""
    with fresh(scene.root, tmp_path / "whole") as root:
        found = strace.trace(victim, root, *scene.arguments)
    last = next(place for place, point in enumerate(found) if '"ACK' in point.text)
    return found[:last]


def told(lines):
    """Return the token that was acknowledged, and the error that was told."""
    tokens = [line.split()[1] for line in lines if line.startswith("ACK ")]
    errors = [line for line in lines if line.startswith("ERR ")]
    return tokens[0] if tokens else None, errors[0] if errors else None


def wrong_approval(state, scene, lines):
    """Tell what is wrong behind an approval that somebody harmed."""
    token, error = told(lines)
    is_paired = state.devices.get("phone") is not None
    waits = [each.code for each in state.pairing.pending()] == [scene.what]
    problems = []
    if is_paired == waits:
        problems.append(f"paired: {is_paired}, and the code waits: {waits}")
    if token and not state.devices.verify("phone", token):
        problems.append("the token that was given is not good")
    if error and is_paired and not UNSURE.search(error):
        problems.append(f"paired in spite of {error}")
    problems += used_once(state, scene, waits=waits)
    return problems


def used_once(state, scene, *, waits):
    """Tell if the code does not let in exactly one device from here on."""
    if waits and not state.devices.verify("phone", state.pairing.approve(scene.what).token):
        return ["the code that waited gives no good token"]
    for _ in range(2):
        try:
            state.pairing.approve(scene.what)
        except NotFoundError:
            continue
        return ["the code counts twice"]
    paired = len(state.devices.paired())
    return [] if paired == 2 else [f"{paired} devices are paired"]


def wrong_rotation(state, scene, lines):
    """Tell what is wrong behind a rotation that somebody harmed."""
    token, error = told(lines)
    old = state.devices.verify("tv", scene.token) is not None
    problems = []
    if token and (old or not state.devices.verify("tv", token)):
        problems.append("acknowledged, and not the only good token")
    if error and not old and not UNSURE.search(error):
        problems.append(f"rotated in spite of {error}")
    fresh_token = state.devices.rotate("tv").token
    if not state.devices.verify("tv", fresh_token) or state.devices.verify("tv", scene.token):
        problems.append("the next rotation does not count")
    return problems


def wrong(root, scene, lines):
    judge = wrong_approval if scene.action == "approve" else wrong_rotation
    try:
        with scene.open(root) as state:
            return judge(state, scene, lines)
    except StateError as error:
        return [f"who comes next: {error}"]


@every
def test_a_kill_at_any_system_call_leaves_one_way_in(victim, scene, points, tmp_path, case):
    """A kill leaves a code that can be used, once, or a paired device; one token is good."""
    met = []

    def kill(point):
        with fresh(scene.root, tmp_path / f"{point.call}-{point.ordinal}") as root:
            outcome = strace.run_killed(victim, point, root, *scene.arguments)
            met.append(outcome.killed)
            return wrong(root, scene, outcome.lines)

    count = each_sound(kill, some(points, KILLS))

    assert sum(met) >= MOST * count
    sys.stdout.write(f"killed {case} at {count} of {len(points)} points\n")


@every
def test_any_failing_system_call_is_told_as_it_is(victim, scene, points, tmp_path, case):
    """An error means that nothing was let in, unless it says otherwise; the next one works."""
    met = []
    able = [*points, strace.SyscallPoint("writev", 0, '"ACK 2')]

    def fail(harm):
        point, error = harm
        with fresh(scene.root, tmp_path / f"{point.call}-{point.ordinal}-{error}") as root:
            outcome = strace.run_failing(victim, point, error, root, *scene.arguments)
            met.append(outcome.injected > 0)
            complaint = [outcome.complaint[-900:]] if outcome.complaint else []
            return [*complaint, *wrong(root, scene, outcome.lines)]

    harms = [(point, error) for error in ERRORS for point in fallible(able)]
    # SQLite asks for its locks again for ten seconds, whatever the error.
    count = each_sound(fail, some([each for each in harms if each[0].call != "fcntl"], FAULTS))

    assert sum(met) >= MOST * count
    sys.stdout.write(f"failed {case} {count} times of {len(harms)}\n")
