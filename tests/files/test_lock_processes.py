from __future__ import annotations

import contextlib
import fcntl
import json
import multiprocessing
import os
import random
import re
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from clawstate.files.lock import FileLock, LockOptions
from clawstate.files.lock_owner import parse_payload
from clawstate.testing.forked import child_process, child_processes, in_threads
from clawstate.testing.lock_suite import NO_PROCESS, payload_of
from faults import namespaces, strace
from faults.victim import Victim
from seeds import seed

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
SEED = seed()
KILLS = 10**6 if FULL else 60  # of each way to take a lock
ERRORS = ("EIO", "ENOSPC", "EMFILE", "EACCES", "EROFS") if FULL else ("EIO",)
FAILURES = 10**6 if FULL else 25
BREAKERS, BREAKS = (16, 500) if FULL else (8, 12)
COUNTERS, COUNTS = (12, 200) if FULL else (5, 20)
TURNS = 200 if FULL else 40

PATIENT = LockOptions(timeout=60.0)
PROMPT = LockOptions(timeout=10.0)
ONCE = LockOptions(timeout=0.0)
CLEAN = {"data", ".locks"}

traced = pytest.mark.skipif(strace.available() is not None, reason=str(strace.available()))
FILES = re.compile(
    r"open|close|p?(read|write)|stat|link|rename|flock|utime|mkdir|f?sync|trunc|kill"
)
by_way = pytest.mark.parametrize("way", ["free", "stale", "old kernel", "old and stale"])

# Takes the lock in one of several ways, writes under it, and gives it back.
WRITER = """
import os, sys
from pathlib import Path
from clawstate.errors import StateError
from clawstate.files.atomic import write_json_file_atomically
from clawstate.files.lock import FileLock, LockOptions
print("WARM")
path, way = Path(sys.argv[1]), sys.argv[2]
os.umask(int(sys.argv[3], 8))
if "old" in way:
    del os.O_TMPFILE
print("READY")
lock = FileLock(path, options=LockOptions(timeout=5.0))
try:
    with lock:
        write_json_file_atomically(path, "new", fence=lock.confirm)
        print("WRITTEN")
except StateError as error:
    print("ERR", type(error).__name__, error)
print("END")
"""


@pytest.fixture(scope="module")
def writer():
    with Victim(WRITER) as victim:
        yield victim


def prepare(room: Path, way: str) -> Path:
    room.mkdir(exist_ok=True)
    path = room / "data"
    path.write_text('"old"\n')
    path.chmod(0o600)
    if "stale" in way:
        (room / "data.lock").write_bytes(payload_of(NO_PROCESS))
    return path


def chosen(points, most: int) -> list:
    """Return at most *most* of *points*, always with the first and the last."""
    points = list(points)
    if len(points) <= most:
        return points
    middle = random.Random(SEED).sample(points[1:-1], most - 2)
    return [points[0], *sorted(middle, key=points.index), points[-1]]


def require_usable(path: Path) -> None:
    """Fail unless the next one has the lock before long, and nothing but the data is left."""
    assert json.loads(path.read_text()) in {"old", "new"}
    with FileLock(path, options=PROMPT) as lock:
        lock.confirm()
    assert {entry.name for entry in path.parent.iterdir()} == CLEAN
    queue = {entry.name for entry in (path.parent / ".locks").iterdir()}
    assert queue <= {"data.gate", "data.turn", "data.old", "data.new"}


@pytest.mark.crash
@traced
@by_way
def test_a_kill_at_any_call_frees_the_lock(writer, tmp_path, way) -> None:
    """Whichever system call is its last, a killed holder leaves a lock that can be had at once."""
    calls = strace.trace(writer, prepare(tmp_path / "whole", way), way, "022")
    killed = []

    def kill(numbered):
        number, point = numbered
        path = prepare(tmp_path / str(number), way)
        outcome = strace.run_killed(writer, point, path, way, "022")
        killed.append(outcome.killed)
        require_usable(path)

    strace.spread(kill, enumerate(chosen(calls, KILLS)))

    assert sum(killed) > len(killed) * 0.7


@pytest.mark.crash
@traced
@by_way
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("forever", [False, True], ids=["once", "for ever"])
def test_a_failure_of_any_call_is_told(writer, tmp_path, way, error, forever) -> None:
    """Whichever system call fails, the error is one of ours or none, and the lock can be had."""
    calls = strace.trace(writer, prepare(tmp_path / "whole", way), way, "022")

    def fail(numbered):
        number, point = numbered
        path = prepare(tmp_path / str(number), way)
        outcome = strace.run_failing(writer, point, error, path, way, "022", forever=forever)
        assert outcome.lines[-1:] == ("END",), (point, outcome.complaint)
        if not any(line.startswith("ERR") for line in outcome.lines):
            assert json.loads(path.read_text()) == "new"
        for pattern in ("data.*.tmp", ".*.lock.*"):
            for left in path.parent.glob(pattern):
                left.unlink()  # the call that would have removed it failed
        require_usable(path)

    strace.spread(
        fail,
        enumerate(
            chosen([each for each in calls if each.fallible and FILES.search(each.call)], FAILURES)
        ),
    )


@traced
@by_way
@pytest.mark.parametrize("mask", ["000", "022", "077"])
def test_all_that_is_made_is_private_from_birth(writer, tmp_path, way, mask) -> None:
    """Files are created 0600 and directories 0700 whatever the umask, and nothing is widened."""
    calls = strace.trace(writer, prepare(tmp_path / "room", way), way, mask)

    made = [each.text for each in calls if re.search(r"O_CREAT|O_TMPFILE", each.text)]
    rooms = [each.text for each in calls if each.call.startswith("mkdir")]
    assert len(made) >= 4
    assert [text for text in made if not re.search(r"O_CLOEXEC.*, 0600\)", text)] == []
    assert [text for text in rooms if ", 0700)" not in text] == []
    assert len(rooms) == 1
    assert not [each for each in calls if re.search("chmod|chown", each.call)]


# Many processes


def count_up(path: Path, rounds: int) -> None:
    for _ in range(rounds):
        with FileLock(path, options=PATIENT):
            number = int(path.read_text())
            path.write_text(str(number + 1))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_no_change_of_any_process_is_lost(tmp_path, method) -> None:
    """Processes started in whatever way, and their threads, count up without losing one."""
    path = tmp_path / "count"
    path.write_text("0")
    context = multiprocessing.get_context(method)

    workers = [context.Process(target=count_up, args=(path, COUNTS)) for _ in range(COUNTERS)]
    for worker in workers:
        worker.start()
    in_threads(2, lambda: count_up(path, COUNTS))
    for worker in workers:
        worker.join()

    assert [worker.exitcode for worker in workers] == [0] * COUNTERS
    assert path.read_text() == str((COUNTERS + 2) * COUNTS)


@pytest.mark.parametrize("queued", [True, False], ids=["in the queue", "without a queue"])
def test_of_many_breakers_one_is_inside(tmp_path, queued) -> None:
    """However many break the lock of a dead process at once, they enter one by one."""
    path = tmp_path / "count"
    path.write_text("0")
    if not queued:
        (tmp_path / ".locks").write_text("")

    def work(child):
        for _ in range(BREAKS):
            child.say()
            child.hear()
            count_up(path, 1)

    with child_processes() as fork:
        children = [fork(work) for _ in range(BREAKERS)]
        for _ in range(BREAKS):
            for child in children:
                child.hear()
            (tmp_path / "count.lock").write_bytes(payload_of(NO_PROCESS))
            for child in children:
                child.say()
        codes = [child.wait() for child in children]

    assert codes == [0] * BREAKERS
    assert path.read_text() == str(BREAKERS * BREAKS)
    assert {each.name for each in tmp_path.iterdir()} == {"count", ".locks"}


def test_nobody_starves(tmp_path) -> None:
    """Of processes that always want in none waits for very many turns of the others."""
    path = tmp_path / "data"
    log = tmp_path / "log"
    log.write_bytes(b"")

    def work(name):
        def turns(child):
            child.say()
            child.hear()
            for _ in range(TURNS):
                with FileLock(path, options=PATIENT), log.open("ab", buffering=0) as book:
                    book.write(name)
                    os.fsync(book.fileno())

        return turns

    with child_processes() as fork:
        children = [fork(work(name)) for name in (b"a", b"b", b"c", b"d")]
        for child in children:
            child.hear()
        for child in children:
            child.say()
        assert [child.wait() for child in children] == [0] * 4

    taken = log.read_text()
    together = taken[max(map(taken.index, "abcd")) : min(map(taken.rindex, "abcd"))]
    gaps = [len(gap) for name in "abcd" for gap in together.split(name)]
    assert sorted(taken) == sorted("abcd" * TURNS)
    assert max(gaps, default=0) <= TURNS, taken


def test_a_stopped_process_in_the_queue_keeps_nobody_out_for_ever(tmp_path) -> None:
    """Who stands still before the lock file was made does not make others fail at a free lock."""
    path = tmp_path / "data"

    def hold(child):
        with FileLock(path, options=PATIENT):
            pass
        queue = path.parent / ".locks"
        with (queue / "data.turn").open() as turn, (queue / "data.gate").open() as gate:
            fcntl.flock(turn, fcntl.LOCK_EX)
            fcntl.flock(gate, fcntl.LOCK_EX)
            child.say()
            child.hear()

    with child_process(hold) as child:
        child.hear()
        child.stop()
        for options in (ONCE, LockOptions(timeout=0.1)):
            with FileLock(path, options=options) as lock:
                lock.confirm()


# Process numbers and clocks that lie

REUSED = """
import os, signal, sys, time
from pathlib import Path
from clawstate.files.lock import FileLock, LockOptions
from faults.namespaces import set_next_pid
path = Path(sys.argv[1])
set_next_pid(77)
holder = os.fork()
if holder == 0:
    FileLock(path).acquire()
    os._exit(0)
os.waitpid(holder, 0)
tick = time.monotonic() + 2 / os.sysconf("SC_CLK_TCK")  # start times are counted in ticks
while time.monotonic() < tick:
    os.sched_yield()
set_next_pid(77)
other = os.fork()
if other == 0:
    signal.pause()
print(holder, other)
with FileLock(path, options=LockOptions(timeout=5.0)) as lock:
    lock.confirm()
    print("IN")
os.kill(other, 9)
os.waitpid(other, 0)
"""


@pytest.mark.skipif(namespaces.available() is not None, reason=str(namespaces.available()))
def test_a_number_that_came_back_frees_the_lock(tmp_path) -> None:
    """A dead owner whose process number belongs to another process by now keeps nobody out."""
    outcome = namespaces.in_pid_namespace(REUSED, tmp_path / "data")

    assert outcome.lines == ("77 77", "IN"), outcome.complaint


HIDDEN = """
import os, sys
from pathlib import Path
from clawstate.errors import LockTimeoutError
from clawstate.files.lock import FileLock, LockOptions
from clawstate.files.lock_owner import is_dead, parse_payload
path = Path(sys.argv[1])
read, write = os.pipe()
children = []
for _ in range(8):
    children.append(os.fork())
    if children[-1] == 0:
        with FileLock(path.with_name(f"data{os.getpid()}")):
            os.write(write, b".")
            __import__("signal").pause()
for child in children:
    os.read(read, 1)
for child in children:
    try:
        with FileLock(path.with_name(f"data{child}"), options=LockOptions(timeout=0.05)):
            print("ROBBED")
    except LockTimeoutError:
        print("HELD")
    os.kill(child, 9)
"""


@pytest.mark.skipif(namespaces.available() is not None, reason=str(namespaces.available()))
def test_numbers_of_another_namespace_prove_nothing(tmp_path) -> None:
    """Where `/proc` counts processes otherwise than the system does no living owner is robbed."""
    with Victim(HIDDEN, prefix=("unshare", "--pid", "--fork", "--kill-child")) as victim:
        outcome = victim.run(tmp_path / "data")

    assert outcome.lines == ("HELD",) * 8, outcome.complaint


HOLDER = """
import sys
from pathlib import Path
from clawstate.files.lock import FileLock, LockOptions
with FileLock(Path(sys.argv[1]), options=LockOptions(timeout=5.0, stale=0.3)) as lock:
    print("IN")
    while not Path(sys.argv[2]).exists():
        lock.confirm()
    lock.confirm()
    print("STILL")
"""


@pytest.mark.skipif(
    namespaces.clock_available() is not None, reason=str(namespaces.clock_available())
)
@pytest.mark.parametrize("years", [10, -10])
@pytest.mark.parametrize("who", ["holder", "waiter"])
def test_a_clock_that_jumps_robs_nobody(tmp_path, years, who) -> None:
    """However the clock of a holder or of a waiter is set, a living holder keeps its lock."""
    path, done, clock = tmp_path / "data", tmp_path / "done", tmp_path / "clock"
    namespaces.jump(clock, years * 365.25 * 86400)
    faked = namespaces.faketime_env(clock)
    said = tmp_path / "said"
    said.touch()

    def attempt():
        script = (
            "import sys; from pathlib import Path\n"
            "from clawstate.errors import LockTimeoutError\n"
            "from clawstate.files.lock import FileLock, LockOptions\n"
            "try:\n"
            "    FileLock(Path(sys.argv[1]), options=LockOptions(timeout=1, stale=0.3)).acquire()\n"
            "except LockTimeoutError: print('HELD')\n"
        )
        with Victim(script, environment=faked if who == "waiter" else None) as victim:
            return victim.run(path).lines

    with Victim(HOLDER, environment=faked if who == "holder" else None) as victim:
        results = []

        def hold():
            results.append(victim.run(path, done, said=said))

        thread = threading.Thread(target=hold)
        thread.start()
        try:
            while "IN" not in said.read_text() and thread.is_alive():
                os.sched_yield()
            assert attempt() == ("HELD",)
        finally:
            done.touch()
            thread.join()

    assert results[0].lines == ("IN", "STILL"), results[0].complaint


# Disks


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_full_disk_is_told_and_passes() -> None:
    """On a full disk the lock is had or refused with a typed error; with space it works again."""
    script = (
        "import os, sys; from pathlib import Path\n"
        "from clawstate.errors import UnavailableError\n"
        "from clawstate.files.lock import FileLock, LockOptions\n"
        "path = Path(sys.argv[1])\n"
        "for full in (True, False):\n"
        "    filler = path.with_name('filler')\n"
        "    try:\n"
        "        with filler.open('wb', buffering=0) as out:\n"
        "            while full: out.write(b'x' * 4096)\n"
        "    except OSError: pass\n"
        "    before = len(os.listdir('/proc/self/fd'))\n"
        "    for way in ('new', 'old'):\n"
        "        try:\n"
        "            with FileLock(path, options=LockOptions(timeout=5.0)) as lock:\n"
        "                lock.confirm(); print('IN')\n"
        "        except UnavailableError as error: print('REFUSED', error.problem)\n"
        "        if not full and way == 'new': del os.O_TMPFILE\n"
        "    print(len(os.listdir('/proc/self/fd')) - before)\n"
        "    filler.unlink()\n"
        "print(sorted(os.listdir(path.parent)))\n"
    )
    with tempfile.TemporaryDirectory() as room:
        mount = f'mount -t tmpfs -o size=64k none {room} && exec "$@"'
        prefix = ("unshare", "--mount", "sh", "-c", mount, "sh")
        with Victim(script, prefix=prefix) as victim:
            outcome = victim.run(Path(room) / "data")

    refused = "REFUSED cannot be made: the disk is full"
    assert outcome.lines == (refused, refused, "0", "IN", "IN", "0", "['.locks']"), outcome


def test_a_started_program_inherits_nothing(tmp_path) -> None:
    """A program started under the lock keeps no descriptor of it, and nobody out."""
    path = tmp_path / "data"
    with FileLock(path, options=ONCE):
        program = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
        owner = parse_payload((tmp_path / "data.lock").read_bytes())
    try:
        links = Path(f"/proc/{program.pid}/fd").iterdir()
        with contextlib.suppress(FileNotFoundError):
            assert not [link for link in links if "data" in link.readlink().name]
        with FileLock(path, options=ONCE) as lock:
            lock.confirm()
    finally:
        program.communicate()
    assert owner.pid == os.getpid()
