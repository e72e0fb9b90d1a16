from __future__ import annotations

import os
import re
import sys

import pytest
from harm import MOST, each_sound, fallible, some
from harm import copied as fresh

from clawstate.config.service import Config
from clawstate.errors import StateError
from clawstate.files.lock_options import LockOptions
from clawstate.files.paths import StatePaths
from faults import strace

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
KILLS, FAULTS = (None, None) if FULL else (16, 10)
ERRORS = ("EIO", "ENOSPC", "EMFILE", "EROFS") if FULL else ("EIO", "ENOSPC")
PATIENCE = LockOptions(timeout=10.0)

# Makes one change of a configuration and says what came of it.
SCRIPT = """
import os, sys, warnings
from pathlib import Path
import clawstate.config.editing, clawstate.config.loading
import clawstate.config.openclaw_split, clawstate.config.writing
import clawstate.openclaw.accepted
from clawstate.config.issues import check
from clawstate.config.service import Config
from clawstate.errors import StateError
from clawstate.files.lock_options import LockOptions
from clawstate.files.paths import StatePaths
from clawstate.files.file_version import version_of
warnings.simplefilter("ignore")
check({"gateway": {"port": "wrong"}})  # loads the schema
clawstate.openclaw.accepted.read_accepted("2026.2.26")
print("WARM")
root, action = Path(sys.argv[1]), sys.argv[2]
os.umask(0o022)
config = Config(
    StatePaths(root), env={"HOME": "/h"}, cwd=root, lock=LockOptions(timeout=10.0)
)
try:
    if action == "undo":
        config.set("gateway.port", 3)
    stamps = [version_of(root / name) for name in ("openclaw.json", "gateway.json5")]
except StateError:
    sys.exit()  # the fault came too early; counts differ by a few calls
while not all(stamp.is_settled for stamp in stamps if stamp):
    pass  # what is too young would be read twice; a look at the clock is no system call
print("READY")
try:
    if action == "apart":
        config.set_apart()
    else:
        config.undo() if action == "undo" else config.set("gateway.port", 2)
except StateError as error:
    print("ERR", str(error).replace(chr(10), " "))
else:
    print("ACK 2")
print("END")
"""

GATEWAY = "{\n  // where\n  port: 1,\n}\n"
MAIN = "// mine\n{\n  gateway: {port: 1}, // kept\n}\n"
INCLUDING = "{gateway: {$include: './gateway.json5'}}\n"
MIXED = "// mine\n{\n  gateway: {port: 1}, // kept\n  state: {store: 'sqlite'}, // ours\n}\n"
ACTIONS = ("first", "set", "included", "undo")

# An error may come after the change took effect, but then has to say so.
UNSURE = re.compile("replaced|was changed, but|unknown|lock: cannot be removed")
KEPT = re.compile(
    r"(\.locks(/[^/]+\.json5?\.(gate|turn|old))?|logs(/(clawstate-)?config-audit\.jsonl)?|devices"
    r"|(openclaw\.json|clawstate\.json|gateway\.json5)(\.bak(\.[1-4])?)?"
    r"|\.config-history(/openclaw\.json(/(changes\.jsonl|[0-9a-f]{32}))?)?)"
)

pytestmark = pytest.mark.crash
every = pytest.mark.parametrize("action", ACTIONS)


def opened(root):
    return Config(StatePaths(root), env={"HOME": "/h"}, cwd=root, lock=PATIENCE)


def changed_file(root, action):
    return root / ("gateway.json5" if action == "included" else "openclaw.json")


@pytest.fixture
def template(tmp_path, action):
    """Return a state as it is before the *action*."""
    root = tmp_path / "template"
    root.mkdir(mode=0o700)
    if action == "included":
        (root / "openclaw.json").write_text(INCLUDING)
        (root / "gateway.json5").write_text(GATEWAY)
    elif action == "apart":
        (root / "devices").mkdir()
        (root / "openclaw.json").write_text(MIXED)
    elif action != "first":
        (root / "openclaw.json").write_text(MAIN)
    return root


def read(path):
    return path.read_bytes() if path.exists() else None


@pytest.fixture
def texts(victim, template, tmp_path, action):
    """Return the text before and after the *action*, and its system calls."""
    with fresh(template, tmp_path / "whole") as root:
        before = read(changed_file(root, action))
        if action == "undo":
            before = MAIN.replace("1", "3").encode()
        points = strace.trace(victim, root, action)
        return before, read(changed_file(root, action)), points


def strange(root, action, before, after, lines):
    """Tell of a file that is not what the victim said."""
    found = read(changed_file(root, action))
    told = [line for line in lines if line.startswith(("ACK", "ERR"))]
    allowed = {before, after}
    if told and told[0].startswith("ACK"):
        allowed = {after}
    elif told and not UNSURE.search(told[0]):
        allowed = {before}
    problems = [] if found in allowed else [f"holds {found!r} after {told}"]
    if action != "included" or read(root / "openclaw.json") == INCLUDING.encode():
        return problems
    return [*problems, "the including file was touched"]


def barred(root):
    """Tell why the next change does not work as it should."""
    config = opened(root)
    try:
        config.set("gateway.port", 7)
        config.set("logging.level", "debug")
        seen = config.get("gateway.port"), config.get("logging.level")
        numbers = [change.number for change in config.history()]
        config.undo()
        whole = [config.diff(number) for number in numbers]
    except StateError as error:
        return [f"the next writer: {error}"]
    sound = seen == (7, "debug") and numbers == sorted(set(numbers)) and all(whole)
    return [] if sound else [f"the next writer saw {seen}, {numbers}"]


def left(root):
    names = {each.relative_to(root).as_posix() for each in root.rglob("*")}
    return [f"left {name}" for name in names if not KEPT.fullmatch(name)]


@every
def test_a_kill_at_any_system_call_leaves_a_whole_text(victim, texts, template, tmp_path, action):
    """A kill leaves the old text or the new one; the next change works and clears the rest."""
    before, after, points = texts
    met = []

    def kill(point):
        with fresh(template, tmp_path / f"{point.call}-{point.ordinal}") as root:
            outcome = strace.run_killed(victim, point, root, action)
            met.append(outcome.killed)
            problems = strange(root, action, before, after, outcome.lines)
            return [*problems, *barred(root), *left(root)]

    count = each_sound(kill, [*dict.fromkeys(some(points, KILLS))])

    assert sum(met) >= MOST * count
    sys.stdout.write(f"killed {action} at {count} of {len(points)} points\n")


@every
def test_any_failing_system_call_is_told_as_it_is(victim, texts, template, tmp_path, action):
    """An error leaves the old text unless it says otherwise, and the next change works."""
    before, after, points = texts
    # Behind the last line there is nothing that could be told.
    last = next(place for place, point in enumerate(points) if '"ACK' in point.text)
    harmed = (*points[:last], strace.SyscallPoint("writev", 0, '"ACK 2'))
    met = []

    def fail(harm):
        point, error = harm
        with fresh(template, tmp_path / f"{point.call}-{point.ordinal}-{error}") as root:
            outcome = strace.run_failing(victim, point, error, root, action)
            met.append(outcome.injected > 0)
            complaint = [outcome.complaint[-900:]] if outcome.complaint else []
            problems = strange(root, action, before, after, outcome.lines)
            return [*complaint, *problems, *barred(root), *left(root)]

    harms = [(point, error) for error in ERRORS for point in fallible(harmed)]
    count = each_sound(fail, [*dict.fromkeys(some(harms, FAULTS))])

    assert sum(met) >= MOST * count
    sys.stdout.write(f"failed {action} {count} times of {len(harms)}\n")


@pytest.mark.parametrize("action", ["apart"])
def test_a_kill_between_two_files_loses_nothing(victim, template, tmp_path, action):
    """While a setting moves from one file to another it counts, and the move can be repeated."""
    with fresh(template, tmp_path / "whole") as root:
        points = strace.trace(victim, root, action)
        assert "ours" not in (root / "openclaw.json").read_text()
    met = []

    def kill(point):
        with fresh(template, tmp_path / f"{point.call}-{point.ordinal}") as root:
            outcome = strace.run_killed(victim, point, root, action)
            met.append(outcome.killed)
            config = opened(root)
            seen = config.get("state.store"), config.get("gateway.port")
            config.set_apart()
            moved = config.get("state.store"), config.misplaced()
            problems = [] if seen == ("sqlite", 1) else [f"saw {seen}"]
            problems += [] if moved == ("sqlite", ()) else [f"then {moved}"]
            config.set("gateway.port", 7)
            config.set("state.store", "file")  # whoever writes next clears the rest
            return [*problems, *left(root)]

    count = each_sound(kill, [*dict.fromkeys(some(points, KILLS))])

    assert sum(met) >= MOST * count
