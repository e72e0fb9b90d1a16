from __future__ import annotations

import json
import os
import sys

import pytest
from harm import MOST, each_sound, some
from harm import copied as fresh

import clawstate
from clawstate.errors import CorruptError, CorruptWarning, InvalidError, StateError
from clawstate.stores.dedupe import PersistentDedupe
from faults import strace

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
KILLS, FAULTS, FLIPS = (None, None, None) if FULL else (14, 10, 40)
ERRORS = ("EIO", "ENOSPC", "EMFILE", "EROFS") if FULL else ("EIO", "ENOSPC")
FILE = "dedupe/t.json"
MARKS = {"a": 1_700_000_000_000, "b": 1_700_000_000_001, "odd": "kept"}
CONFIG = {"caches": {"dedupe": {"ttlMs": 0}}}
# Where an error of a disk shows; SQLite asks for its locks for ten seconds, whatever the error.
ABOUT_FILES = {
    *(
        "openat",
        "read",
        "pread64",
        "write",
        "pwrite64",
        "fsync",
        "fdatasync",
        "ftruncate",
        "fchmod",
    ),
    *("link", "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "flock"),
    *("stat", "lstat", "fstat", "newfstatat", "utimensat"),
}

pytestmark = pytest.mark.crash
every = pytest.mark.parametrize("engine", ["file", "sqlite"])
before = pytest.mark.parametrize("before", ["first", "later"])

# Marks one key, and says what came of it.
SCRIPT = """
import sys, warnings
from pathlib import Path
import clawstate
from clawstate.errors import StateError
from clawstate.files.file_version import version_of
from clawstate.state.dedupe import open_dedupe
import clawstate.records.sqlite, clawstate.state.record_places, clawstate.state.record_sources
warnings.simplefilter("ignore")
print("WARM")
root, engine = Path(sys.argv[1]), sys.argv[2]
with clawstate.open(root, store=engine, lock_timeout=10.0) as state:
    try:
        dedupe = state.dedupe
        stamps = [version_of(root / name) for name in ("openclaw.json", "dedupe/t.json")]
        while not all(stamp.is_settled for stamp in stamps if stamp):
            pass  # what is too young would be read twice; a look at the clock is no system call
        dedupe.seen("nothing", "other")
    except StateError:
        sys.exit()  # the fault came too early; counts differ by a few calls
    print("READY")
    for key in ("x", "y"):
        try:
            told = dedupe.check_and_record(key, "t")
            print("NEW" if told else "SEEN", key)
        except StateError as error:
            print("ERR", key, error.code, str(error).replace(chr(10), " "))
    print("END")
"""


@pytest.fixture
def template(tmp_path, engine, before):
    """Return a state without marks, or with some."""
    root = tmp_path / "template"
    root.mkdir(mode=0o700)
    (root / "openclaw.json").write_text(json.dumps(CONFIG))
    if before == "later":
        with clawstate.open(root, store=engine) as state:
            assert all(state.dedupe.check_many(["a", "b"], "t"))
    return root


def strange(root, engine, before, lines):
    """Tell what cannot be so after what the victim said."""
    told = {line.split()[1]: line for line in lines if line.split()[0] in {"NEW", "SEEN", "ERR"}}
    if any(line.startswith("SEEN") for line in told.values()):
        return [f"a key was seen that nobody marked: {lines}"]
    try:
        with clawstate.open(root, store=engine, lock_timeout=10.0) as state:
            marked = {key for key in "abxy" if state.dedupe.seen(key, "t")}
            again = {key: state.dedupe.check_and_record(key, "t") for key in "xyz"}
    except StateError as error:
        return [f"the next one cannot go on: {error}"]
    problems = []
    if before == "later" and not {"a", "b"} <= marked:
        problems.append("an old mark is gone")
    for key in "xy":
        line = told.get(key, "")
        if line.startswith("NEW") and key not in marked:
            problems.append(f"{key} was told to be new, and has no mark")
        if line.startswith("ERR") and key in marked and not is_unsure(line):
            problems.append(f"{key} has a mark after {line}")
        if again[key] == (key in marked):
            problems.append(f"{key} is neither marked nor new")
    return problems if again["z"] else [*problems, "z was seen"]


def is_unsure(line):
    return any(word in line for word in ("replaced", "unknown", "cannot be removed"))


@every
@before
def test_a_kill_at_any_call_leaves_a_key_marked_or_new(
    victim, template, tmp_path, engine, before
) -> None:
    """After a kill the file is whole, what was told is true, and the next one goes on at once."""
    with fresh(template, tmp_path / "whole") as root:
        points = strace.trace(victim, root, engine)

    met = []

    def kill(point):
        with fresh(template, tmp_path / f"{point.call}{point.ordinal}") as root:
            outcome = strace.run_killed(victim, point, root, engine)
            met.append(outcome.killed)
            return strange(root, engine, before, outcome.lines)

    count = each_sound(kill, some(points, KILLS))

    assert sum(met) >= MOST * count
    sys.stdout.write(f"killed {engine} {before} at {count} of {len(points)} points\n")


@every
@pytest.mark.parametrize("before", ["later"])
def test_a_failing_call_makes_no_key_new_and_none_seen(
    victim, template, tmp_path, engine, before
) -> None:
    """A key whose mark cannot be kept is told as an error, and has no mark but where that says."""
    with fresh(template, tmp_path / "whole") as root:
        points = [
            point
            for point in strace.trace(victim, root, engine)
            if point.fallible and point.call in ABOUT_FILES
        ]

    def fail(harm):
        point, error = harm
        with fresh(template, tmp_path / f"{point.call}{point.ordinal}{error}") as root:
            outcome = strace.run_failing(victim, point, error, root, engine)
            complaint = [outcome.complaint] if outcome.complaint else []
            return [*complaint, *strange(root, engine, before, outcome.lines)]

    harms = [(point, error) for error in ERRORS for point in points]
    count = each_sound(fail, some(harms, FAULTS))
    sys.stdout.write(f"failed {engine} {count} times of {len(harms)}\n")


def opened(path):
    return PersistentDedupe.in_files(lambda _: path, ttl=0)


def pages():
    """Give damaged versions of a file: cut short at each byte, and with each bit turned."""
    text = (json.dumps(MARKS, indent=2) + "\n").encode()
    yield from (text[:length] for length in range(len(text)))
    for place in range(len(text)):
        for bit in range(8):
            yield text[:place] + bytes([text[place] ^ 1 << bit]) + text[place + 1 :]


@pytest.mark.filterwarnings("ignore::clawstate.errors.CorruptWarning")
def test_no_damage_of_a_file_is_overwritten(tmp_path) -> None:
    """A file cut short or with a bit turned gives marks or a typed error, and loses nothing."""
    told = set()
    for number, raw in enumerate(some([*pages()], FLIPS and 3 * FLIPS)):
        path = tmp_path / f"{number}.json"
        path.write_bytes(raw)
        os.utime(path, (0, 0))  # so that nobody waits for a writer that might be at it
        dedupe = opened(path)
        try:
            dedupe.seen("a")
            dedupe.check_and_record("a")
            new = dedupe.check_and_record("new")
        except (CorruptError, InvalidError) as error:
            told.add(error.code)
            assert path.read_bytes() == raw
        else:
            kept = json.loads(raw)
            marks = json.loads(path.read_bytes())
            assert new == ("new" not in kept)
            assert {**marks, **{key: kept[key] for key in kept if key != "a"}} == marks
    assert "corrupt" in told


def test_damage_is_told_to_readers(tmp_path) -> None:
    """Who only looks goes on with the last good copy, and a warning that names the file."""
    path = tmp_path / "t.json"
    opened(path).check_and_record("a")
    path.write_bytes(b'{"a": 1')
    os.utime(path, (0, 0))

    with pytest.warns(CorruptWarning, match=r"t\.json"):
        assert opened(path).seen("a")
