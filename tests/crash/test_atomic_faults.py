from __future__ import annotations

import os
import stat
from collections import Counter

import pytest

from clawstate.errors import UnavailableError
from clawstate.files.atomic import is_temporary, write_atomic
from faults import fuse, power_cut, strace
from faults.victim import Victim
from seeds import seed

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
SEED = seed()
CUTS = 3000 if FULL else 60  # on each file system
WRITES = 100 if FULL else 12  # in a recorded run
ERRORS = ("EIO", "ENOSPC", "EMFILE", "EROFS", "EDQUOT")
SOME_ERRORS = ERRORS if FULL else ("EIO",)
LENGTHS = (1, 7, 4096, 8999) if FULL else (1000, 8999)
BOTH = pytest.mark.parametrize("old", [True, False], ids=["old", "new"])

pytestmark = pytest.mark.crash

WRITER = """
import os, sys
from pathlib import Path
from clawstate.errors import StateError
from clawstate.files.atomic import write_atomic

os.umask(0o077)
print("WARM")
target, mode, count = Path(sys.argv[1]) / "a" / "b" / "file", int(sys.argv[2], 8), int(sys.argv[3])
print("READY")
for number in range(1, count + 1):
    print("TRY", number)
    try:
        write_atomic(target, b"%06d" % number * 1500, mode=mode)
    except StateError as error:
        print("ERR", number, error.code, error)
    else:
        print("ACK", number)
"""

KEEPER = """
import sys
from pathlib import Path
from clawstate.errors import StateError
from clawstate.files.atomic import create_private_file
print("WARM")
target = Path(sys.argv[1]) / "a" / "b" / "file"
print("READY")
try:
    create_private_file(target)
except StateError as error:
    print("ERR", error.code)
else:
    print("ACK")
"""

CUT_WRITER = """
import sys
from pathlib import Path
from clawstate.files.atomic import write_atomic
root, count = Path(sys.argv[1]), int(sys.argv[2])
print("READY")
for number in range(1, count + 1):
    write_atomic(root / f"d{number % 4}" / "file", b"%06d" % number * 1500)
    print("ACK", number)
"""


@pytest.fixture(scope="module")
def writer():
    need(strace.available())
    with Victim(WRITER) as victim:
        yield victim


@pytest.fixture
def mount(tmp_path):
    need(fuse.available())
    backing, shown = tmp_path / "backing", tmp_path / "shown"
    backing.mkdir()
    shown.mkdir()
    with fuse.faulty_mount(backing, shown) as control:
        yield backing, shown, control


def need(reason):
    if reason is not None:
        pytest.skip(reason)


def content(number):
    return b"%06d" % number * 1500


def target(root):
    return root / "a" / "b" / "file"


def prepared(root, *, old):
    """Return *root*, in which the target has its old content, number 0, or no directory yet."""
    root.mkdir(parents=True)
    if old:
        write_atomic(target(root), content(0))
    return root


def found(root):
    return target(root).read_bytes() if target(root).exists() else None


def temporaries(root):
    return [each.name for each in root.rglob("*") if is_temporary(each)]


def allowed(lines, *, old):
    """Return the contents that may be there, after what the writer said."""
    kept = {content(0) if old else None}
    for line in lines:
        match line.split()[:3]:
            case ["TRY", number]:
                wanted = content(int(number))
                kept_before, kept = kept, kept | {wanted}
            case ["ACK", _]:
                kept = {wanted}
            case ["ERR", _, code]:
                assert code == "unavailable", line
                kept = kept if "replaced" in line else kept_before
    return kept


def assert_whole(root, lines, *, old):
    assert found(root) in allowed(lines, old=old), lines


def assert_private(root):
    for each in root.rglob("*"):
        assert not stat.S_IMODE(each.stat().st_mode) & 0o077, each


def assert_life_goes_on(root):
    """Expect the next write to succeed, whatever lies about."""
    write_atomic(target(root), content(99))

    assert found(root) == content(99)


def points(victim, root, *arguments, old):
    return strace.trace(victim, prepared(root / "whole", old=old), *arguments)


@BOTH
@pytest.mark.parametrize("mode", ["600", "644"])
def test_a_kill_at_any_system_call_leaves_old_or_new(writer, tmp_path, old, mode) -> None:
    """A kill in any call leaves the old content or the new, whole, and what was acknowledged."""
    calls = points(writer, tmp_path, mode, "2", old=old)

    def kill(point):
        root = prepared(tmp_path / f"{point.call}{point.ordinal}", old=old)
        outcome = strace.run_killed(writer, point, root, mode, "2")
        assert outcome.killed, point
        assert_whole(root, outcome.lines, old=old)
        if mode == "600":
            assert_private(root)
        assert_life_goes_on(root)

    assert strace.spread(kill, calls) > 25


@BOTH
@pytest.mark.parametrize("forever", [False, True], ids=["once", "ever"])
@pytest.mark.parametrize("error", ERRORS)
def test_any_failing_system_call_is_survived(writer, tmp_path, old, forever, error) -> None:
    """An error of any call leaves old or new as the caller was told, and nothing beside it."""
    calls = [point for point in points(writer, tmp_path, "644", "2", old=old) if point.fallible]

    def fail(point):
        root = prepared(tmp_path / f"{point.call}{point.ordinal}", old=old)
        outcome = strace.run_failing(writer, point, error, root, "644", "2", forever=forever)
        assert (outcome.status, outcome.complaint) == (0, ""), point
        assert outcome.injected, point
        assert_whole(root, outcome.lines, old=old)
        assert temporaries(root) == [], point
        failed = sum(line.startswith("ERR") for line in outcome.lines)
        assert forever or failed <= 1, "the next call must work"
        assert_life_goes_on(root)

    assert strace.spread(fail, calls) > 20


def test_a_cleanup_that_fails_leaves_no_more_than_a_temporary_file(writer, tmp_path) -> None:
    """If the removal fails as well, or is killed, a temporary file may stay, and does no harm."""
    calls = [point for point in points(writer, tmp_path, "600", "1", old=True) if point.fallible]
    left = Counter()

    def fail(case):
        point, second = case
        root = prepared(tmp_path / f"{point.call}{point.ordinal}{second}", old=True)
        faults = [
            strace.SyscallFault(point.call, "EIO", ordinal=point.ordinal),
            strace.SyscallFault("unlinkat", second, forever=True),
        ]
        outcome = strace.run_with(writer, faults, root, "600", "1")
        assert_whole(root, outcome.lines, old=True)
        left[point.call] += len(temporaries(root))
        assert_life_goes_on(root)

    strace.spread(fail, [(point, second) for point in calls for second in ("EIO", "")])

    assert {"write", "renameat"} <= {call for call, count in left.items() if count}
    assert sum(left.values()) <= 2 * len(calls)


def test_an_interrupted_call_is_no_loss(writer, tmp_path) -> None:
    """A call that a signal interrupts is made again, or the write fails and says so."""
    calls = [point for point in points(writer, tmp_path, "600", "2", old=True) if point.fallible]

    def interrupt(point):
        root = prepared(tmp_path / f"{point.call}{point.ordinal}", old=True)
        outcome = strace.run_failing(writer, point, "EINTR", root, "600", "2")
        assert (outcome.status, outcome.injected) == (0, 1), point
        assert_whole(root, outcome.lines, old=True)
        assert temporaries(root) == [], point

    strace.spread(interrupt, calls)


def test_a_private_file_is_there_if_acknowledged(tmp_path) -> None:
    """A kill or error in any call leaves an empty private file, or none and no acknowledgement."""
    need(strace.available())

    def harm(case):
        point, error = case
        root = prepared(tmp_path / f"{point.call}{point.ordinal}{error}", old=False)
        outcome = strace.run_with(
            victim, [strace.SyscallFault(point.call, error, ordinal=point.ordinal)], root
        )
        assert outcome.killed if not error else outcome.status == 0, outcome
        if "ACK" in outcome.lines:
            assert stat.S_IMODE(target(root).stat().st_mode) == 0o600
        assert found(root) in {None, b""}
        assert_life_goes_on(root)

    with Victim(KEEPER) as victim:
        calls = strace.trace(victim, prepared(tmp_path / "whole", old=False))
        cases = [(point, "") for point in calls]
        cases += [(point, error) for point in calls if point.fallible for error in SOME_ERRORS]
        assert strace.spread(harm, cases) > 30


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("forever", [False, True], ids=["once", "ever"])
def test_a_short_write_is_completed(mount, length, forever) -> None:
    """A write that takes less than it was given is gone on with, until all is there."""
    _, shown, control = mount
    prepared(shown / "root", old=True)
    control.heal()
    control.shorten(length, forever=forever)
    wanted = content(1) if length > 1 else b"abc" * 30

    write_atomic(target(shown / "root"), wanted)

    assert control.met() >= (-(-len(wanted) // length) if forever else 1)
    assert found(shown / "root") == wanted


def test_a_write_that_takes_nothing_is_an_error(mount) -> None:
    """A disk that takes no byte and says no error is not asked for ever."""
    backing, shown, control = mount
    root = prepared(shown / "root", old=True)
    control.heal()
    control.shorten(0, forever=True)

    with pytest.raises(UnavailableError, match="unchanged"):
        write_atomic(target(root), content(1))

    assert found(backing / "root") == content(0)
    assert temporaries(backing) == []


def operations(control, shown, *, old):
    """Return each operation that one write makes, with the number of its calls."""
    root = prepared(shown / "whole", old=old)
    control.heal()
    write_atomic(target(root), content(1))
    calls = control.calls()
    return [(name, number + 1) for name, count in calls.items() for number in range(count)]


def told(root):
    """Return what a writer would print about one write."""
    try:
        write_atomic(target(root), content(1))
    except UnavailableError as error:
        return ("TRY 1", f"ERR 1 {error.code} {error}")
    return ("TRY 1", "ACK 1")


@BOTH
@pytest.mark.parametrize("late", [False, True], ids=["refused", "done"])
@pytest.mark.parametrize("forever", [False, True], ids=["once", "ever"])
def test_any_failing_operation_of_a_file_system_is_survived(mount, old, forever, late) -> None:
    """An operation that fails, or is done and then fails, leaves what the caller was told."""
    backing, shown, control = mount
    wrong = []
    for operation, ordinal in operations(control, shown, old=old):
        for error in SOME_ERRORS:
            name = f"{operation}{ordinal}{error}"
            prepared(shown / name, old=old)
            control.heal()
            control.fail(operation, error, ordinal=ordinal, forever=forever, late=late)

            lines = told(shown / name)

            control.heal()
            # Nothing can be removed whose name cannot be looked up.
            lost = forever and operation == "getattr"
            if found(backing / name) not in allowed(lines, old=old):
                wrong.append((name, "is not what was told", lines))
            if temporaries(backing / name) and not lost:
                wrong.append((name, "left a temporary file", lines))
            assert_life_goes_on(shown / name)

    assert wrong == []


@pytest.mark.powercut
@pytest.mark.parametrize(
    "fs",
    [power_cut.EXT4, power_cut.EXT4_UNHELPFUL, power_cut.XFS],
    ids=["ext4", "ext4-unhelpful", "xfs"],
)
def test_a_power_cut_loses_nothing_acknowledged(fs) -> None:
    """A power cut at any block leaves old or new, whole and private, and what was acknowledged."""
    need(power_cut.available(fs))
    with Victim(CUT_WRITER) as victim:
        log = power_cut.record(victim, str(WRITES), fs=fs)

    found = power_cut.replay(log, power_cut.cuts(log, CUTS, seed=SEED), verdict, fs=fs)

    assert Counter(found) == {"sound": CUTS}


def verdict(root, lines):
    """Return what became of the files, in one word."""
    acknowledged = {}
    for line in lines:
        number = int(line.split()[1])
        acknowledged[number % 4] = number
    words = {state(root / f"d{place}" / "file", acknowledged.get(place)) for place in range(4)}
    return ", ".join(sorted(words - {"sound"})) or "sound"


def state(path, least):
    if not path.exists():
        return "sound" if least is None else "missing"
    whole = path.read_bytes()
    if not whole:
        return "empty"
    number = int(whole[:6])
    if whole != content(number):
        return "torn"
    modes = stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)
    if modes != (0o600, 0o700):
        return "public"
    return "lost" if number < (least or 0) else "sound"
