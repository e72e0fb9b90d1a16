from __future__ import annotations

import json
import os
import re
import sys

import pytest
from harm import MOST, each_sound, nearer, some
from harm import copied as fresh

import clawstate
from clawstate.errors import StateError
from faults import strace
from manual_clock import ManualClock

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
KILLS = None if FULL else 8

# Changes sessions once and says what came of it.
SCRIPT = """
import os, sys, warnings
from pathlib import Path
import clawstate, clawstate.stores.sessions, clawstate.state.sessions
import clawstate.records.json_files, clawstate.records.sqlite, clawstate.config.schema.root
from clawstate.errors import StateError
from clawstate.files.file_version import version_of
warnings.simplefilter("ignore")
print("WARM")
root, store, action = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
os.umask(0o022)
engine = None if store == "shared" else store
state = clawstate.open(root, store=engine, clock=lambda: 1_800_000_100.0, lock_timeout=10.0)
sessions = state.sessions
stamps = [version_of(path) for path in root.rglob("*.json")]
while not all(stamp.is_settled for stamp in stamps if stamp):
    pass  # what is too young would be read twice; a look at the clock is no system call
print("READY")
try:
    match action:
        case "resolve":
            print("ACK", sessions.resolve("new").session_id)
        case "update":
            print("ACK", sessions.update("a", {"n": 2}).session_id)
        case "delete":
            print("ACK", sessions.delete("a"))
        case "reset":
            print("ACK", sessions.reset("a").session_id)
        case "restore":
            print("ACK", sessions.restore("gone").session_id)
        case "prune":
            print("ACK", len(sessions.prune(max_entries=1).removed))
        case "replace":
            a, b = ("agent:main:a", "agent:main:b") if store == "shared" else ("a", "b")
            sessions.update_store(lambda entries: (entries.pop(a), entries[b].update(n=7)))
            print("ACK", True)
        case "heal":
            print("ACK", len(sessions.repair()))
except StateError as error:
    print("ERR", error)
print("END")
"""

STORES = ("file", "sqlite", "shared")
SHARED = "agents/main/sessions/sessions.json"
ACTIONS = ("resolve", "update", "delete", "reset", "restore", "prune", "replace", "heal")
KEYS = ("a", "b", "c")
KEPT = re.compile(
    r"(state(/records\.db(-wal|-shm|\.gate|\.turn)?)?|openclaw\.json|agents(/main)?"
    r"|(agents/main/)?sessions(/archive)?"
    r"(/\.locks(/((past-\d\d-)?sessions\.json|profile)\.(gate|turn|old))?"
    r"|/(past-\d\d-)?sessions\.json|/\.lastgood(/(past-\d\d-)?sessions\.json)?)?"
    r"|agents/main/sessions/[0-9a-f-]{36}\.jsonl"
    r"|sessions/profile(/(a|b|c|gone|new)\.json)?)"
)

pytestmark = [
    pytest.mark.crash,
    pytest.mark.filterwarnings("ignore::clawstate.errors.StateWarning"),
]


def opened(root, store, now=1_800_000_200.0):
    engine = None if store == "shared" else store
    return clawstate.open(root, store=engine, clock=ManualClock(now), lock_timeout=10.0)


def filled(root, store, action):
    """Make the sessions as they are before the *action*, and return them with the archive."""
    root.mkdir(mode=0o700)
    if store == "shared":
        config = {"session": {"store": SHARED}}
        (root / "openclaw.json").write_text(json.dumps(config))
    with opened(root, store, now=1_800_000_000.0) as state:
        for number, key in enumerate((*KEYS, "gone")):
            state.sessions.resolve(key)
            state.sessions.update(key, {"n": 1, "updatedAt": 1_800_000_000_000 + number})
        state.sessions.delete("gone")
    if action == "heal" and store == "file":
        (root / "sessions/sessions.json").unlink()
    with opened(root, store) as state:
        return contents(state)


def contents(state):
    live = {_key(each): (each.session_id, each.fields.get("n")) for each in _live(state)}
    archived = {(_key(each), each.session_id) for each in state.sessions.archived()}
    return live, archived


def _key(each):
    return each.session_key.removeprefix("agent:main:")  # as OpenClaw's index has it


def _live(state):
    return [state.sessions.require(each.session_key) for each in state.sessions.entries()]


def expected(action, before):
    """Return what may be there once the *action* is done; `None` stands for a new id."""
    live, archived = before
    a, gone = live["a"], next(each for each in archived if each[0] == "gone")
    rest = {key: value for key, value in live.items() if key != "a"}
    match action:
        case "resolve":
            return {**live, "new": (None, None)}, archived
        case "update":
            return {**live, "a": (a[0], 2)}, archived
        case "delete":
            return rest, archived | {("a", a[0])}
        case "reset":
            return {**live, "a": (None, 1)}, archived | {("a", a[0])}
        case "restore":
            return {**live, "gone": (gone[1], 1)}, archived - {gone}
        case "prune":
            left = {"c": live["c"]}
            return left, archived | {(key, live[key][0]) for key in ("a", "b")}
        case "replace":
            return {**rest, "b": (live["b"][0], 7)}, archived | {("a", a[0])}
    return before


def strange(root, store, action, before, lines):
    """Tell what is wrong with the sessions after a kill, as the next program finds them."""
    try:
        with opened(root, store) as state:
            state.sessions.repair()
            found = contents(state)
            left = [f"{each.code} {each.message}" for each in state.sessions.check()]
            state.sessions.resolve("next")
            state.sessions.update("c", {"n": 9})
            after = contents(state)[0]
            state.sessions.delete("next")  # whoever locks next clears what the dead left
    except StateError as error:
        return [f"the next program: {error}"]
    told = any(line.startswith("ACK") for line in lines)
    done = _nameless(expected(action, before), found)
    if found != done and (told or found != before):
        left.append(f"{found} is neither {before} nor {done}, after {lines}")
    if after.keys() != {*found[0], "next", "c"} or after["c"][1] != 9:
        left.append(f"the next program lost something: {after}")
    return left


def _nameless(wanted, found):
    """Put the ids that nobody can know into what is wanted."""
    live = {
        key: (found[0].get(key, value)[0] if value[0] is None else value[0], value[1])
        for key, value in wanted[0].items()
    }
    return live, wanted[1]


def stray(root):
    names = {each.relative_to(root).as_posix() for each in root.rglob("*")}
    return [
        f"left {name}" for name in names if not KEPT.fullmatch(name) and not name.endswith(".tmp")
    ]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("store", STORES)
def test_a_kill_at_any_system_call_loses_no_session(victim, tmp_path, store, action) -> None:
    """A kill leaves the sessions from before or after; healed, nothing orphaned or dangling."""
    template = tmp_path / "template"
    before = filled(template, store, action)
    with fresh(template, tmp_path / "whole") as root:
        points = strace.trace(victim, root, store, action)
        assert not strange(root, store, action, before, ["ACK"])
    met = []

    def kill(point):
        problems = []
        for each in nearer(point):
            with fresh(template, tmp_path / f"{point.call}-{point.ordinal}-{each.ordinal}") as root:
                outcome = strace.run_killed(victim, each, root, store, action)
                problems += [*strange(root, store, action, before, outcome.lines), *stray(root)]
            if outcome.killed:
                break
        met.append(outcome.killed)
        return problems

    count = each_sound(kill, [*dict.fromkeys(some(points, KILLS))])

    assert sum(met) >= MOST * count
    sys.stdout.write(f"killed {action} at {count} of {len(points)} points\n")
