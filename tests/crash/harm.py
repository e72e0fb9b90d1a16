from __future__ import annotations

import json
import os
import random
import re
import shutil
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from meeting import NOWHERE, run_healed
from operations import FILE, FIRST, Things, changed

from clawstate.errors import StateError
from faults import strace
from seeds import seed

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
SEED = seed()
# Points of each operation that are tried; all of them in a full run.
KILLS, FAULTS, INTERRUPTIONS = (None, None, None) if FULL else (7, 8, 4)
ERRORS = ("EIO", "ENOSPC", "EMFILE", "EROFS", "EDQUOT")
# A call is not made where a file is read again because it is too young: not all points are met.
MOST = 0.7 if FULL else 0.1  # of a few points, chance may leave out most
# Where the kernel may be interrupted by a signal.
INTERRUPTED = {"openat", "read", "pread64", "write", "pwrite64", "fsync", "flock", "ftruncate"}
# Memory and threads of the interpreter, not files.
_NO_FILES = re.compile(
    r"mremap|rseq|set_robust_list|clone3?|ioctl|prctl|clock_nanosleep|getrandom|uname|sendmsg|recvmsg"
)
_UNSURE = re.compile("replaced|unknown")
_KEPT = re.compile(
    r"state(/\.locks(/things\.json\.(gate|turn|old))?|/things\.json|/\.lastgood(/things\.json)?"
    r"|/\.quarantine(/things\.json\.[-0-9TZ.]+\.[0-9a-f]{8})?"
    r"|/things\.db(-wal|-shm|\.gate|\.turn)?)?"
)
DAMAGE = b'{"version": 1, "items": {"k1'


@dataclass(frozen=True)
class Harm:
    """An *error* at a *point*, once or *forever*."""

    point: strace.SyscallPoint
    error: str
    forever: bool

    @property
    def fault(self):
        point = self.point
        return strace.SyscallFault(
            point.call, self.error, ordinal=point.ordinal, forever=self.forever
        )

    @property
    def key(self):
        return self.point.call, self.point.ordinal, self.error, self.forever

    def __str__(self):
        return f"{self.error}{' for ever' if self.forever else ''} at {self.point.text}"


@dataclass(frozen=True)
class Case:
    """An *operation* of an *engine*, on what was there *before*."""

    engine: str
    operation: str
    before: str

    def __str__(self):
        return f"{self.engine}-{self.operation}-{self.before}"


def need(reason):
    if reason is not None:
        pytest.skip(reason)


def prepared(victim, root, case):
    if case.before != "fresh":
        with Things(case.engine, root) as things:
            things.fill()
    if case.before == "locked":
        unlink = strace.SyscallPoint("unlink", 1)
        assert strace.run_killed(victim, unlink, root, "bare", "hold", "022", NOWHERE).killed
        assert (root / f"{FILE}.lock").exists()
    if case.before in {"damaged", "hopeless"}:
        (root / FILE).write_bytes(DAMAGE)
        os.utime(root / FILE, (0, 0))  # so that nobody waits for a writer that might be at it
    if case.before == "hopeless":
        (root / "state" / ".lastgood" / "things.json").unlink()
    return root


@contextmanager
def copied(template, place):
    """Give a copy of the directory *template* at *place* for a while."""
    shutil.copytree(template, place)
    try:
        yield place
    finally:
        shutil.rmtree(place)


def some(points, most):
    """Return at most *most* of *points*, spread over all of them."""
    if most is None or len(points) <= most:
        return points
    step = len(points) / most
    chance = random.Random(f"{SEED}{len(points)}")
    return [points[int((number + chance.random()) * step)] for number in range(most)]


def nearer(point):
    """Give *point*, and earlier calls of its kind for where a run makes fewer of them."""
    while True:
        yield point
        if FULL or point.ordinal == 1:
            return
        point = replace(point, ordinal=max(1, point.ordinal // 2))


def each_sound(harm, chosen):
    """Return at how many of the *chosen* points *harm* was survived; fail with all others."""
    wrong = []

    def judged(point):
        problems = harm(point)
        if problems:
            wrong.append(f"{point}: {'; '.join(problems)}")

    count = strace.spread(judged, chosen)
    if wrong:
        pytest.fail("\n".join(sorted(wrong)), pytrace=False)
    return count


def first(case):
    return {} if case.before in {"fresh", "hopeless"} else FIRST


def allowed(case, lines):
    """Return what may be there, after what the victim said."""
    kept = [first(case)]
    for line in lines:
        match line.split():
            case ["TRY", number]:
                before = kept
                kept = [*kept, *(changed(case.operation, each, int(number)) for each in kept)]
                after = kept[len(before) :]
            case ["ACK", _]:
                kept = after
            case ["ERR", *_] if not is_unsure(case, line):
                kept = before
    return kept


def is_unsure(case, line):
    """Tell whether an error leaves open what became of the records."""
    # Who writes a bare file is told of its lock by itself.
    return _UNSURE.search(line) or (case.engine == "bare" and ".lock: cannot be removed" in line)


def found(case, root):
    """Return the records as a new reader finds them."""
    with Things(case.engine, root) as things:
        return things.records()


def missing(case, root):
    """Tell of a file that was there and is gone, or is not whole."""
    if case.engine != "json":
        return []
    try:
        raw = (root / FILE).read_bytes()
        whole = (raw == DAMAGE and case.operation == "repair") or json.loads(raw)
    except FileNotFoundError:
        return [] if case.before in {"fresh", "hopeless"} else ["the file is gone"]
    except ValueError:
        whole = False
    return [] if whole else ["the file is torn"]


def strange(case, root, lines):
    """Tell of records that cannot be there after what the victim said."""
    try:
        there = found(case, root)
    except StateError as error:
        return [f"is damaged: {error}"]
    return [] if there in allowed(case, lines) else [f"is not what was told: {lines}"]


def barred(case, root):
    """Tell why another process cannot go on at once."""
    there = found(case, root)
    started = time.monotonic()
    try:
        with Things(case.engine, root) as things:
            if case.operation == "repair":
                things.do("repair", 1)
            things.do("put", 9)
            after = things.records()
    except StateError as error:
        return [f"the next writer: {error} after {time.monotonic() - started:.1f} s"]
    return [] if after == changed("put", there, 9) else ["the next writer lost something"]


def left(root):
    """Tell what is left over."""
    names = {each.relative_to(root).as_posix() for each in root.rglob("*")}
    return [f"left {name}" for name in names if not _KEPT.fullmatch(name)]


def kill_copies(victim, template, tmp_path, problems, *arguments, kills=8):
    """Kill *victim* at its calls, on copies of *template*; fail if *problems* finds any in one."""
    with copied(template, tmp_path / "whole") as root:
        points = some(strace.trace(victim, root, *arguments), None if FULL else kills)
        assert problems(root) == []
    met = []

    def kill(numbered):
        number, point = numbered
        with copied(template, tmp_path / str(number)) as root:
            met.append(strace.run_killed(victim, point, root, *arguments).killed)
            return problems(root)

    count = each_sound(kill, [*enumerate(points)])

    assert sum(met) >= MOST * count
    sys.stdout.write(f"killed {' '.join(arguments)} at {count} points\n")


def kill_everywhere(victim, template, tmp_path, case):
    """Kill *victim* at each call; expect whole records and that the next writer enters at once."""
    arguments = (case.engine, case.operation, "022", NOWHERE)
    with copied(template, tmp_path / "whole") as root:
        points = strace.trace(victim, root, *arguments)

    met = []

    def kill(point):
        with copied(template, tmp_path / f"{point.call}{point.ordinal}") as root:
            outcome = strace.run_killed(victim, point, root, *arguments)
            met.append(outcome.killed)
            return [
                *strange(case, root, outcome.lines),
                *missing(case, root),
                *barred(case, root),
                *left(root),
            ]

    count = each_sound(kill, some(points, KILLS))

    assert sum(met) >= MOST * count
    sys.stdout.write(f"killed {case} at {count} of {len(points)} points\n")


def fail_everywhere(victim, template, tmp_path, case):
    """Fail each call once and for ever; expect the truth, and that the victim recovers."""
    arguments = (case.engine, case.operation, "022")
    with copied(template, tmp_path / "whole") as root:
        points = fallible(strace.trace(victim, root, *arguments, NOWHERE))
    with copied(template, tmp_path / "whole") as root:
        no_fault = strace.SyscallFault("sync")
        whole = run_healed(victim, no_fault, root, *arguments, meanwhile=lambda _: None)

    met = []

    def fail(harm):
        with copied(template, tmp_path / "-".join(map(str, harm.key))) as root:
            problems = []

            def meanwhile(run):
                problems.extend(strange(case, root, run.outcome(None).lines))
                problems.extend(missing(case, root))
                problems.extend(barred(case, root))
                there.append(found(case, root))

            there = []
            outcome = run_healed(victim, harm.fault, root, *arguments, meanwhile=meanwhile)
            met.append(outcome.injected > 0)
            problems.extend(unwell(harm, outcome, whole.lines[-2]))
            if not problems and found(case, root) != changed(case.operation, there[0], 3):
                problems.append("the last change is not there")
            return [*problems, *barred(case, root), *left(root)]

    harms = [
        Harm(point, error, forever)
        for error in ERRORS
        for forever in (False, True)
        for point in points
        # SQLite asks for its locks again for ten seconds, whatever the error.
        if point.call != "fcntl" or (error == "EIO" and not forever)
    ]
    count = each_sound(fail, some(harms, FAULTS))

    assert sum(met) >= MOST * count
    sys.stdout.write(f"failed {case} {count} times of {len(harms)}\n")


def interrupt_everywhere(victim, template, tmp_path, case):
    """Interrupt each call that signals can interrupt; expect that all is acknowledged."""
    arguments = (case.engine, case.operation, "022", NOWHERE)
    with copied(template, tmp_path / "whole") as root:
        points = [
            point
            for point in fallible(strace.trace(victim, root, *arguments))
            if point.call in INTERRUPTED
        ]

    met = []

    def interrupt(point):
        with copied(template, tmp_path / f"{point.call}{point.ordinal}") as root:
            outcome = strace.run_failing(victim, point, "EINTR", root, *arguments)
            done = (outcome.status, outcome.complaint) == (0, "")
            met.append(outcome.injected > 0)
            told = [] if done and {"ACK 1", "ACK 2"} <= {*outcome.lines} else [str(outcome)]
            return [*told, *strange(case, root, outcome.lines), *barred(case, root), *left(root)]

    count = each_sound(interrupt, some(points, INTERRUPTIONS))

    assert sum(met) >= MOST * count
    sys.stdout.write(f"interrupted {case} at {count} of {len(points)} points\n")


def unwell(harm, outcome, opened):
    """Tell what is wrong with a victim that met a fault, and was healed of it."""
    failed = sum(line.startswith("ERR") for line in outcome.lines)
    # A close that never reached the kernel has not closed.
    leaked = outcome.lines[-2:] != (opened, "END") and harm.point.call != "close"
    return [
        what
        for what, is_so in {
            f"complained: {outcome.complaint.splitlines()[-7:]}": outcome.complaint,
            f"did not recover: {outcome.lines}": "ACK 3" not in outcome.lines,
            f"leaked: {outcome.lines[-2:]} instead of {opened}": leaked,
            f"failed again: {outcome.lines}": failed > 1 and not harm.forever,
        }.items()
        if is_so
    ]


def fallible(points):
    """Return those of *points* in the first two operations whose errors are about files."""
    last = next(place for place, point in enumerate(points) if '"ACK 2' in point.text)
    return [
        point
        for point in points[:last]
        if point.fallible
        and not _NO_FILES.fullmatch(point.call)
        and "MAP_ANONYMOUS" not in point.text
        and "F_UNLCK" not in point.text  # nobody can refuse to take a lock back
    ]
