from __future__ import annotations

import io
import os
import re
import sys

import pytest
from harm import MOST, each_sound, fallible, some
from harm import copied as fresh

from clawstate.errors import StateError
from clawstate.stores.transcripts import Transcripts
from clawstate.stores.transcripts.backends.sqlite.log import SqliteTranscripts
from faults import strace

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
KILLS, FAULTS = (None, None) if FULL else (14, 8)
ERRORS = ("EIO", "ENOSPC", "EMFILE", "EROFS") if FULL else ("EIO", "ENOSPC")
LONG = "a long text that is cut out " * 2_000

# Makes one change of the transcripts and says what came of it.
SCRIPT = """
import os, sys
from pathlib import Path
import clawstate.stores.transcripts.service, clawstate.files.mounts
from clawstate.errors import StateError
from clawstate.stores.transcripts import Transcripts
from clawstate.stores.transcripts.backends.sqlite.log import SqliteTranscripts
print("WARM")
root, action = Path(sys.argv[1]), sys.argv[2]
os.umask(0o022)
path = root / "memory" / "memory.db"
store = Transcripts(SqliteTranscripts(path), clock=lambda: 1_700_000_000.0)
long = "a long text that is cut out " * 2_000
turn = [{"type": "custom", "id": f"new{n}", "data": long + str(n)} for n in range(4)]
lines = [
    f'{{"type":"custom","id":"line{n}","parentId":null,"timestamp":"x","n":"{long}"}}'
    for n in range(5)
]
print("READY")
try:
    if action == "delete":
        store.delete("a")
    elif action == "import":
        store.import_lines("a", lines)
    elif action == "fork":
        store.fork("a", "old2", "f")
    else:
        store.append("a", turn, turn="t1", strict=True)
except StateError as error:
    print("ERR", str(error).replace(chr(10), " "))
else:
    print("ACK 2")
store.close()
print("END")
"""

ACTIONS = ("first", "append", "delete", "import", "fork")
UNSURE = re.compile("unknown")
KEPT = re.compile(r"memory(/memory\.db(-wal|-shm|-journal|\.gate|\.turn)?)?")

pytestmark = pytest.mark.crash
every = pytest.mark.parametrize("action", ACTIONS)


def opened(root):
    log = SqliteTranscripts(root / "memory" / "memory.db")
    return Transcripts(log, clock=lambda: 1_700_000_000.0)


def read(root):
    """Return every session as exported, and what is damaged."""
    store = opened(root)
    try:
        sessions = {}
        for held in store.sessions():
            out = io.BytesIO()
            store.export(held.session_id, out)
            sessions[held.session_id] = re.sub(rb'"cwd":"[^"]*"', b"", out.getvalue())
        return sessions, [each.message for each in store.check()]
    finally:
        store.close()


@pytest.fixture
def template(tmp_path, action):
    """Return a state as it is before the *action*."""
    root = tmp_path / "template"
    root.mkdir(mode=0o700)
    if action != "first":
        store = opened(root)
        for session in "ab":
            turn = [{"type": "custom", "id": f"old{n}", "data": LONG} for n in range(3)]
            store.append(session, [*turn, {"role": "user", "content": "hello lobster"}])
        store.close()
    return root


@pytest.fixture
def outcomes(victim, template, tmp_path, action):
    """Return the sessions before and after the *action*, and its system calls."""
    with fresh(template, tmp_path / "whole") as root:
        before, _ = read(root)
        points = strace.trace(victim, root, action)
        after, damage = read(root)
    assert damage == []
    assert before != after
    return before, after, points


def strange(root, before, after, lines):
    """Tell of sessions that are not what the victim said."""
    told = [line for line in lines if line.startswith(("ACK", "ERR"))]
    allowed = [before, after]
    if told and told[0].startswith("ACK"):
        allowed = [after]
    elif told and not UNSURE.search(told[0]):
        allowed = [before]
    try:
        found, damage = read(root)
    except StateError as error:
        return [f"cannot be read: {error}"]
    return [*damage, *([] if found in allowed else [f"is not whole after {told}: {list(found)}"])]


def barred(root, action):
    """Tell why the next writer does not work as it should."""
    store = opened(root)
    try:
        count = store.count("b")
        store.append("b", {"role": "user", "content": "the next one"})
        turn = [{"type": "custom", "id": f"new{n}", "data": LONG + str(n)} for n in range(4)]
        if action in {"first", "append"}:
            # Whoever repeats the turn under its name has it once, whatever became of it.
            ids = store.append("a", turn, turn="t1", strict=True)
            if [each.id for each in store.messages("a", limit=4)] != ids:
                return ["the repeated turn is not the last"]
        wrong = [each.message for each in store.check()]
        grown = store.count("b") - count
    except StateError as error:
        return [f"the next writer: {error}"]
    finally:
        store.close()
    return wrong if grown == 1 else [*wrong, "the next writer lost something"]


def left(root):
    names = {each.relative_to(root).as_posix() for each in root.rglob("*")}
    modes = [each for each in root.rglob("*") if each.is_file() and each.stat().st_mode & 0o077]
    return [f"left {name}" for name in names if not KEPT.fullmatch(name)] + [
        f"open to others: {each}" for each in modes
    ]


@every
def test_a_kill_at_any_system_call_leaves_whole_turns(victim, outcomes, template, tmp_path, action):
    """A kill leaves all of a change or nothing, soundly, and the next writer enters at once."""
    before, after, points = outcomes
    met = []

    def kill(point):
        with fresh(template, tmp_path / f"{point.call}-{point.ordinal}") as root:
            outcome = strace.run_killed(victim, point, root, action)
            met.append(outcome.killed)
            problems = strange(root, before, after, outcome.lines)
            return [*problems, *barred(root, action), *left(root)]

    count = each_sound(kill, [*dict.fromkeys(some(points, KILLS))])

    assert sum(met) >= MOST * count
    sys.stdout.write(f"killed {action} at {count} of {len(points)} points\n")


@every
def test_any_failing_system_call_is_told_as_it_is(victim, outcomes, template, tmp_path, action):
    """An error leaves what was there unless it says otherwise, and the next writer works."""
    before, after, points = outcomes
    last = next(place for place, point in enumerate(points) if '"ACK' in point.text)
    harmed = (*points[:last], strace.SyscallPoint("writev", 0, '"ACK 2'))
    met = []

    def fail(harm):
        point, error = harm
        with fresh(template, tmp_path / f"{point.call}-{point.ordinal}-{error}") as root:
            outcome = strace.run_failing(victim, point, error, root, action)
            met.append(outcome.injected > 0)
            complaint = [outcome.complaint[-900:]] if outcome.complaint else []
            problems = strange(root, before, after, outcome.lines)
            return [*complaint, *problems, *barred(root, action), *left(root)]

    # SQLite asks for its locks again for ten seconds, whatever the error.
    fallibles = [point for point in fallible(harmed) if point.call != "fcntl"]
    harms = [(point, error) for error in ERRORS for point in fallibles]
    count = each_sound(fail, [*dict.fromkeys(some(harms, FAULTS))])

    assert sum(met) >= MOST * count
    sys.stdout.write(f"failed {action} {count} times of {len(harms)}\n")
