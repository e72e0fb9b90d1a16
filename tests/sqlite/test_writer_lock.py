from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

import clawstate
from clawstate.errors import LockTimeoutError, UnavailableError
from clawstate.sqlite.pool import WriterLock

SOURCE = Path(clawstate.__file__).parents[1]
PATIENCE = 30.0  # seconds that a lock may take before it counts as stuck
NAMES, TURNS = "abcd", 150

HOLDER = """
import sys
from pathlib import Path
from clawstate.sqlite.pool import WriterLock
with WriterLock(Path(sys.argv[1])).hold():
    print("in", flush=True)
    sys.stdin.read()
"""

# Each turn writes its owner's name down, and is over when that is on disk.
COMPETITOR = """
import os, sys
from pathlib import Path
from clawstate.sqlite.pool import WriterLock
lock, name, turns = WriterLock(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.read()
log = os.open(sys.argv[1] + ".log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for _ in range(turns):
    with lock.hold():
        before = os.fstat(log).st_size
        os.write(log, name.encode())
        os.fsync(log)
        assert os.fstat(log).st_size == before + 1, "somebody else was in"
"""


def start(program, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "memory.db.gate"


@pytest.fixture
def holder(path):
    """Another process that holds the lock until its input ends."""
    process = start(HOLDER, path)
    assert process.stdout.readline() == b"in\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_one_at_a_time(path) -> None:
    """Of many threads with gates of their own only one is ever inside."""
    inside = []

    def work():
        lock = WriterLock(path, timeout=PATIENCE)
        for _ in range(50):
            with lock.hold():
                inside.append(1)
                assert len(inside) == 1
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert inside == []


@pytest.fixture(scope="module")
def turns(tmp_path_factory):
    """Return the turns of processes that always want in, while all of them compete."""
    path = tmp_path_factory.mktemp("gate") / "memory.db.gate"
    processes = [start(COMPETITOR, path, name, TURNS) for name in NAMES]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.close()
    codes = [process.wait() for process in processes]
    for process in processes:
        process.stdout.close()
    taken = path.with_name(path.name + ".log").read_text()
    assert codes == [0] * len(NAMES)
    assert sorted(taken) == sorted(NAMES * TURNS)
    # From the first turn of the last to come until the last turn of the first to be done.
    return taken[max(map(taken.index, NAMES)) : min(map(taken.rindex, NAMES))]


def test_nobody_starves(turns) -> None:
    """Of several processes that always want in none waits for very many turns of the others."""
    gaps = [len(gap) for name in NAMES for gap in turns.split(name)]

    assert max(gaps, default=0) <= TURNS, turns


def has_waiter(file: Path) -> bool:
    """Tell whether the kernel knows of somebody who waits for the lock on *file*."""
    inode = f":{file.stat().st_ino} "
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and inode in line for line in lines)


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="needs Linux's list of locks")
@pytest.mark.parametrize("attempt", range(10))
def test_who_leaves_does_not_enter_again_before_who_waits(path, attempt) -> None:
    """A writer that waits at the lock enters before the one that leaves can enter again."""
    lock = WriterLock(path)
    with lock.hold():
        waiting = start(HOLDER, path)
        end = time.monotonic() + PATIENCE
        while not has_waiter(path) and time.monotonic() < end:
            os.sched_yield()
        assert has_waiter(path)

    with pytest.raises(LockTimeoutError), WriterLock(path, timeout=0.0).hold():
        pass

    assert waiting.stdout.readline() == b"in\n"
    waiting.communicate()
    with lock.hold():
        pass


@pytest.mark.parametrize("timeout", [0.0, 0.05])
def test_patience_ends(path, holder, timeout) -> None:
    """Whoever waits in vain gets `LockTimeoutError` that names the lock and the time."""
    with (
        pytest.raises(LockTimeoutError, match=r"memory\.db\.gate") as caught,
        WriterLock(path, timeout=timeout).hold(),
    ):
        pytest.fail("two were inside")

    assert (caught.value.path, caught.value.waited) == (str(path), timeout)
    assert caught.value.hint


def test_patience_ends_between_threads(path) -> None:
    """A thread that waits in vain for another of its process gets `LockTimeoutError` too."""
    lock = WriterLock(path, timeout=0.05)
    errors = []

    def wait():
        try:
            with lock.hold():
                pass
        except LockTimeoutError as error:
            errors.append(error)

    with lock.hold():
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()

    assert [error.path for error in errors] == [str(path)]


def test_a_killed_owner_frees_the_lock(path, holder) -> None:
    """The gate is free as soon as its owner is dead."""
    holder.kill()
    holder.wait()

    with WriterLock(path, timeout=0.0).hold():
        pass


def test_who_gave_up_does_not_get_in_later(path, holder) -> None:
    """A place in the queue that was given up keeps nobody out afterwards."""
    for _ in range(3):
        with pytest.raises(LockTimeoutError), WriterLock(path, timeout=0.02).hold():
            pass

    holder.stdin.close()
    holder.wait()

    for _ in range(5):
        with WriterLock(path, timeout=PATIENCE).hold():
            pass


def test_an_error_inside_frees_the_lock(path) -> None:
    """The gate is left when the block fails."""
    lock = WriterLock(path, timeout=0.0)
    with pytest.raises(ZeroDivisionError), lock.hold():
        _ = 1 / 0

    with lock.hold():
        pass


def test_a_forked_child_does_not_hold_the_lock(path) -> None:
    """A child forked while the lock is held keeps nobody out once the parent has left."""
    ours, theirs = socket.socketpair()
    with WriterLock(path, timeout=0.0).hold(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: threads and fork
        child = os.fork()
        if child == 0:
            ours.close()
            theirs.recv(1)  # until the parent is done
            os._exit(0)
    theirs.close()

    try:
        with WriterLock(path, timeout=1.0).hold():
            pass
    finally:
        ours.close()
        os.waitpid(child, 0)


def test_a_started_program_does_not_hold_the_lock(path) -> None:
    """A program started while the lock is held keeps nobody out once the lock was left."""
    with WriterLock(path, timeout=0.0).hold():
        program = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)

    with WriterLock(path, timeout=1.0).hold():
        pass
    program.communicate()


def test_the_lock_is_a_private_empty_file(path) -> None:
    """Whatever the umask the lock is an empty file of mode 0600."""
    before = os.umask(0)
    try:
        with WriterLock(path).hold():
            pass
    finally:
        os.umask(before)

    status = path.lstat()
    assert (stat.S_IMODE(status.st_mode), status.st_size) == (0o600, 0)


@pytest.mark.parametrize("obstacle", ["link", "directory", "missing"])
def test_what_is_no_gate_is_refused(path, obstacle) -> None:
    """A link or directory in the lock's place, or no directory for it, is `UnavailableError`."""
    if obstacle == "link":
        path.symlink_to(path.with_name("elsewhere"))
    elif obstacle == "directory":
        path.mkdir()
    else:
        path = path / "below" / "gate"

    with pytest.raises(UnavailableError, match="gate"), WriterLock(path).hold():
        pass

    assert not path.with_name("elsewhere").exists()
