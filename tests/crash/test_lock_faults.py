from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from harm import (
    FULL,
    KILLS,
    Case,
    barred,
    copied,
    each_sound,
    fail_everywhere,
    interrupt_everywhere,
    kill_everywhere,
    left,
    need,
    some,
    strange,
)
from meeting import NOWHERE, checker
from operations import FILE, PATIENCE

from clawstate.files.lock import FileLock
from clawstate.files.lock_options import LockOptions
from faults import namespaces, strace
from faults.victim import Victim

YEAR = 365.25 * 86400
JUMPS = (3600, -3600, 10 * YEAR, -10 * YEAR)

pytestmark = pytest.mark.crash

HOLDER = Path(__file__).with_name("holding_victim.py")
SCRIPT = Path(__file__).with_name("record_victim.py")

CASES = [
    Case("bare", "hold", "fresh"),
    Case("bare", "hold", "existing"),
    Case("bare", "hold", "locked"),
    Case("bare", "put", "fresh"),
    Case("bare", "put", "existing"),
    Case("bare", "put", "locked"),
]
EVERY = pytest.mark.parametrize("case", CASES, ids=str)

REUSER = """
import os, signal, sys, time
from pathlib import Path
from clawstate.files.lock import FileLock
from clawstate.files.lock_options import LockOptions
from faults.namespaces import set_next_pid

lock = FileLock(sys.argv[1], options=LockOptions(timeout=10))
dead = os.fork()
if dead == 0:
    lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(dead, 0)
print("HELD", Path(f"{sys.argv[1]}.lock").exists())
# Starts are told apart by clock ticks of 10 ms, and pids come back later than that.
end = time.monotonic() + 0.02
while time.monotonic() < end:
    pass
set_next_pid(dead)
again = os.fork()
if again == 0:
    signal.pause()
print("SAME", again == dead)
with lock:
    print("ACQUIRED")
os.kill(again, signal.SIGKILL)
"""


@EVERY
def test_a_kill_at_any_system_call_frees_the_lock(victim, template, tmp_path, case) -> None:
    """Whoever is killed with the lock, or as it takes or leaves it, keeps nobody out."""
    kill_everywhere(victim, template, tmp_path, case)


@EVERY
def test_any_failing_system_call_is_survived(victim, template, tmp_path, case) -> None:
    """After any error others get the lock while the process lives, and so does the process."""
    fail_everywhere(victim, template, tmp_path, case)


@EVERY
def test_an_interrupted_system_call_is_no_loss(victim, template, tmp_path, case) -> None:
    """A call that a signal interrupts is made again, and nobody is told."""
    interrupt_everywhere(victim, template, tmp_path, case)


@pytest.mark.parametrize("case", [Case("bare", "put", "existing")], ids=["contended"])
def test_a_kill_of_one_who_waits_keeps_nobody_out(victim, template, tmp_path, case) -> None:
    """Whoever is killed while it waits for a holder, or after, leaves the lock free."""
    arguments = ("bare", "put", "022", NOWHERE)
    with copied(template, tmp_path / "whole") as root, held(root):
        points = strace.trace(victim, root, *arguments)

    def kill(point):
        with copied(template, tmp_path / f"{point.call}{point.ordinal}") as root:
            with held(root):
                outcome = strace.run_killed(victim, point, root, *arguments)
            return [*strange(case, root, outcome.lines), *barred(case, root), *left(root)]

    count = each_sound(kill, some(points, KILLS))

    sys.stdout.write(f"killed a waiter at {count} of {len(points)} points\n")


@contextmanager
def held(root):
    """Hold the lock until somebody stands in the queue for it, or the block has ended."""
    ready, over = threading.Event(), threading.Event()

    def hold():
        with FileLock(root / FILE, options=PATIENCE):
            ready.set()
            gate = (root / "state" / ".locks" / "things.json.gate").stat().st_ino
            while not waited_for(gate) and not over.wait(0.002):
                pass

    holder = threading.Thread(target=hold)
    holder.start()
    ready.wait()
    try:
        yield
    finally:
        over.set()
        holder.join()


def waited_for(inode):
    """Tell whether the kernel lets somebody wait for the lock on *inode*."""
    lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return any("->" in line and f":{inode} " in line for line in lines)


@pytest.mark.parametrize("jump", JUMPS)
def test_a_live_holder_is_never_robbed_when_clocks_jump(tmp_path, jump) -> None:
    """A lock whose holder's clock jumps stays its own, and is free when it is released."""
    need(namespaces.clock_available())
    clock, file = tmp_path / "clock", tmp_path / "file"
    namespaces.jump(clock, 0)

    def hold(victim, other, outcome):
        outcome.append(victim.run(file, other.place))

    environment = namespaces.faketime_env(clock)
    with Victim(HOLDER, environment=environment) as victim, checker(20) as other:
        outcome = []
        holder = threading.Thread(target=hold, args=(victim, other, outcome))
        holder.start()
        try:
            assert other.met()
            namespaces.jump(clock, jump)
            with (
                pytest.raises(TimeoutError, match="held by process"),
                FileLock(file, options=LockOptions(timeout=0.3, stale=0.1)),
            ):
                pass
            other.part()
        finally:
            holder.join()

    assert outcome[0].lines == ("AGAIN", "END"), outcome


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("who", ["dead", "next"])
def test_a_dead_holder_is_freed_whatever_the_clock_says(victim, tmp_path, jump, who) -> None:
    """A dead owner keeps nobody out, whichever clock was wrong: its own, or that of the next."""
    need(namespaces.clock_available())
    root, clock = tmp_path / "root", tmp_path / "clock"
    root.mkdir()
    namespaces.jump(clock, jump)
    arguments = (root, "bare", "hold", "022", "-")

    with Victim(SCRIPT, environment=namespaces.faketime_env(clock)) as jumped:
        first, second = (jumped, victim) if who == "dead" else (victim, jumped)
        unlink = strace.SyscallPoint("unlink", 1)
        assert strace.run_killed(first, unlink, *arguments).killed
        assert (root / f"{FILE}.lock").exists()
        outcome = second.run(*arguments)

    assert outcome.lines == ("TRY 1", "ACK 1", "TRY 2", "ACK 2", "END"), outcome
    assert left(root) == []


def test_a_dead_owner_whose_pid_came_back_is_freed(tmp_path) -> None:
    """A process that got the pid of a dead owner is not taken for it."""
    need(namespaces.available())
    for number in range(20 if FULL else 3):
        file = tmp_path / f"file{number}"

        outcome = namespaces.in_pid_namespace(REUSER, file)

        assert outcome.lines == ("HELD True", "SAME True", "ACQUIRED"), outcome
        assert not file.with_name(f"{file.name}.lock").exists()
