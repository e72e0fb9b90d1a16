from __future__ import annotations

import errno
import os
import stat
import time
from collections import Counter
from pathlib import Path

import pytest

from clawstate.errors import InvalidError, UnavailableError
from faults import fuse, loop, namespaces, power_cut, strace
from faults.block_log import FLUSH, REPORT, WRITE, BlockLog, Entry, header
from faults.victim import Victim, real_interpreter, whole_lines
from seeds import seed

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
SEED = seed()
CUTS = 200 if FULL else 30

pytestmark = pytest.mark.crash

# Writers as they are found in many programs; none of them survives what the tools do.
WRITERS = """
import os, sys
from pathlib import Path

def content(number):
    return b"%06d" % number * 1500

def in_place(path, data):
    path.write_bytes(data)

def rename_only(path, data):
    temporary = path.with_name("new.tmp")
    temporary.write_bytes(data)
    os.rename(temporary, path)

def synced_file(path, data):
    temporary = path.with_name("new.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)

def synced_directory(path, data):
    rename_only(path, data)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)

print("WARM")
root, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("READY")
for number in range(1, count + 1):
    globals()[name](root / "file", content(number))
    print("ACK", number)
"""

STEPS = """
import os, sys
from pathlib import Path
print("WARM")
root = Path(sys.argv[1])
os.mkdir(root / "before")
print("READY")
for name in ("one", "two", "three"):
    try:
        os.mkdir(root / name)
    except OSError as error:
        print("ERR", name, error.errno)
    else:
        print("ACK", name)
"""

FAMILY = """
import os, sys, threading
from pathlib import Path
print("WARM")
root = Path(sys.argv[1])
print("READY")
thread = threading.Thread(target=os.mkdir, args=(root / "thread",))
thread.start()
thread.join()
if (child := os.fork()) == 0:
    os.symlink("nowhere", root / "child")
    os._exit(0)
print("CHILD", os.waitpid(child, 0)[1])
"""


def need(reason):
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture
def run():
    """Give a function that makes a victim of a script, until the test ends."""
    victims = []

    def make(script, **settings):
        victims.append(Victim(script, **settings))
        return victims[-1]

    yield make
    for victim in victims:
        victim.close()


@pytest.fixture
def traced(run):
    need(strace.available())
    return run


@pytest.fixture
def mount(tmp_path):
    """Give a directory, the same one through FUSE, and the control of its faults."""
    need(fuse.available())
    backing, shown = tmp_path / "backing", tmp_path / "shown"
    backing.mkdir()
    shown.mkdir()
    with fuse.faulty_mount(backing, shown) as control:
        yield backing, shown, control


def sweep(victim, tmp_path, harm, *arguments):
    """Return what *harm* leaves at each point of a victim's first run, by the point's text."""
    left = {}
    (tmp_path / "whole").mkdir()
    points = strace.trace(victim, tmp_path / "whole", *arguments)
    for number, point in enumerate(points):
        root = tmp_path / str(number)
        root.mkdir()
        (root / "file").write_bytes(b"%06d" % 0 * 1500)
        outcome = harm(victim, point, root, *arguments)
        left[point] = (outcome, {each.name: each.read_bytes() for each in root.iterdir()})
    return left


def verdict(root, lines):
    """Return what became of the file that the writers write, in one word."""
    acknowledged = max((int(line.split()[1]) for line in lines), default=0)
    try:
        found = (root / "file").read_bytes()
    except FileNotFoundError:
        return "missing" if acknowledged else "sound"
    if not found:
        return "empty"
    if len({found[place : place + 6] for place in range(0, len(found), 6)}) > 1:
        return "torn"
    return "lost" if len(found) != 9000 or int(found[:6]) < acknowledged else "sound"


def verdicts(victim, writer, fs):
    log = power_cut.record(victim, writer, "6", fs=fs)
    return Counter(power_cut.replay(log, power_cut.cuts(log, CUTS, seed=SEED), verdict, fs=fs))


def ended(pid):
    """Tell whether a process is gone, or only waits to be counted out by its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
    except FileNotFoundError:
        return True


def remains(folder):
    """Return what is mounted in a folder, and the loop devices over its files."""
    mounts = Path("/proc/mounts").read_text().splitlines()
    loops = [each.read_text() for each in Path("/sys/block").glob("loop*/loop/backing_file")]
    return [line for line in [*mounts, *loops] if str(folder) in line]


class TestVictim:
    def test_says_what_it_did(self, run, tmp_path) -> None:
        """A victim's whole lines, complaint and exit code are its outcome; stages are no lines."""
        outcome = run(STEPS).run(tmp_path)

        assert outcome.lines == ("ACK one", "ACK two", "ACK three")
        assert (outcome.complaint, outcome.status, outcome.killed) == ("", 0, False)

    def test_may_be_a_file_that_imports_its_neighbours(self, run, tmp_path) -> None:
        """A script in a file finds the modules beside it, the project, and its own path."""
        (tmp_path / "beside.py").write_text("NAME = 'neighbour'\n")
        script = tmp_path / "script.py"
        script.write_text("import beside, clawstate.errors, sys\nprint(beside.NAME, sys.argv[0])\n")

        assert run(script).run().lines == (f"neighbour {script}",)

    @pytest.mark.parametrize(
        ("text", "status", "complaint"),
        [
            ("raise SystemExit(7)", 7, ""),
            ("raise SystemExit", 0, ""),
            ("raise SystemExit('no')", 1, ""),
            ("1 / 0", 1, "ZeroDivisionError"),
            ("import os; os.kill(os.getpid(), 9)", -9, ""),
        ],
    )
    def test_ends_as_its_script_does(self, run, text, status, complaint) -> None:
        """The exit code and the traceback of a victim are those of its script."""
        outcome = run(text).run()

        assert outcome.status == status
        assert complaint in outcome.complaint

    def test_waits_for_its_threads(self, run) -> None:
        """What a thread prints after the script's last line belongs to the outcome."""
        script = """
import threading
gate = threading.Event()
def late():
    gate.wait()
    print("LATE")
threading.Thread(target=late).start()
gate.set()
"""
        assert run(script).run().lines == ("LATE",)

    def test_never_hangs(self, run) -> None:
        """A victim that does not end in its time is killed, and an error says so."""
        victim = run("import signal\nsignal.pause()", timeout=0.3)

        with pytest.raises(UnavailableError, match=r"did not end in 0\.3 s"):
            victim.run()

    def test_has_to_say_when_it_is_warm(self, run) -> None:
        """A script that never prints WARM cannot be forked, and an error says so."""
        victim = run("print('READY')")

        with pytest.raises(InvalidError, match="WARM"), victim.fork():
            pass

    def test_has_to_become_warm_in_time(self, run) -> None:
        """A script that hangs before WARM is killed, and an error says so."""
        victim = run("import signal\nsignal.pause()", timeout=0.3)

        with pytest.raises(UnavailableError, match=r"did not end in 0\.3 s"), victim.fork():
            pass

    def test_is_the_real_interpreter(self) -> None:
        """The program that runs is no script or link before the interpreter."""
        assert Path(real_interpreter()).read_bytes().startswith(b"\x7fELF")

    def test_a_line_without_an_end_acknowledges_nothing(self) -> None:
        """The last line counts only with its line end."""
        assert whole_lines("WARM\nREADY\nACK 1\nACK 2") == ("ACK 1",)


class TestStrace:
    def test_points_are_the_calls_behind_ready(self, traced, tmp_path) -> None:
        """A trace names each call after READY in order, none before, and the same ones again."""
        victim = traced(STEPS)
        first, second = tmp_path / "first", tmp_path / "second"
        first.mkdir()
        second.mkdir()

        points = strace.trace(victim, first)

        calls = [(point.call, point.ordinal) for point in points if point.fallible]
        assert calls == [("mkdir", 2), ("mkdir", 3), ("mkdir", 4)]
        assert {point.call for point in points} == {"mkdir", "writev", "exit_group"}
        assert points == strace.trace(victim, second)

    def test_a_kill_comes_before_the_call(self, traced, tmp_path) -> None:
        """A victim that is killed in a call has done what came before it, and no more."""
        victim = traced(STEPS)

        left = []
        for number in (2, 3, 4):
            root = tmp_path / str(number)
            root.mkdir()
            outcome = strace.run_killed(victim, strace.SyscallPoint("mkdir", number), root)
            left.append((outcome.killed, outcome.lines, len(list(root.iterdir()))))

        acks = ("ACK one", "ACK two")
        assert left == [(True, acks[:number], 1 + number) for number in range(3)]

    def test_a_call_fails_once_or_for_ever(self, traced, tmp_path) -> None:
        """The error meets one call, or that call and each later one of its name."""
        victim = traced(STEPS)
        point = strace.SyscallPoint("mkdir", 3)
        for name in ("once", "ever"):
            (tmp_path / name).mkdir()

        once = strace.run_failing(victim, point, "ENOSPC", tmp_path / "once")
        ever = strace.run_failing(victim, point, "EDQUOT", tmp_path / "ever", forever=True)

        assert once.lines == ("ACK one", f"ERR two {errno.ENOSPC}", "ACK three")
        quota = errno.EDQUOT
        assert ever.lines == ("ACK one", f"ERR two {quota}", f"ERR three {quota}")
        assert (once.injected, ever.injected) == (1, 2)

    def test_threads_and_children_have_points(self, traced, tmp_path) -> None:
        """A trace sees threads and child processes; a child that is killed dies alone."""
        victim = traced(FAMILY)
        for name in ("whole", "killed"):
            (tmp_path / name).mkdir()

        points = strace.trace(victim, tmp_path / "whole")
        outcome = strace.run_killed(victim, strace.SyscallPoint("symlink", 1), tmp_path / "killed")

        assert {"mkdir", "symlink"} <= {point.call for point in points}
        assert outcome.lines == ("CHILD 9",)
        assert [each.name for each in (tmp_path / "killed").iterdir()] == ["thread"]

    def test_children_end_with_the_victim(self, traced) -> None:
        """A child that would live for ever ends when the victim has ended."""
        script = """
import os, signal, sys
print("WARM")
print("READY")
child = os.fork()
if child == 0:
    signal.pause()
print("CHILD", child)
"""
        victim = traced(script)

        points = strace.trace(victim)

        assert points
        outcome = strace.run_killed(victim, strace.SyscallPoint("exit_group", 1))
        child = int(outcome.lines[0].split()[1])
        patience = time.monotonic() + 30
        while not ended(child) and time.monotonic() < patience:
            os.sched_yield()  # it is killed by then, and dies when it is next scheduled
        assert ended(child)

    def test_a_victim_that_fails_unharmed_is_refused(self, traced) -> None:
        """A trace of a victim that fails by itself is an error with its complaint."""
        with pytest.raises(UnavailableError, match="ZeroDivisionError"):
            strace.trace(traced("print('WARM')\n1 / 0"))

    def test_a_harmed_victim_never_hangs(self, traced) -> None:
        """A forked victim that does not end in its time is killed, and an error says so."""
        victim = traced("import signal\nprint('WARM')\nsignal.pause()", timeout=0.5)

        with pytest.raises(UnavailableError, match="did not end"):
            strace.trace(victim)

    def test_a_sweep_finds_a_write_in_place(self, traced, tmp_path) -> None:
        """A writer that truncates its file is seen to lose it when it is killed."""
        left = sweep(traced(WRITERS), tmp_path, strace.run_killed, "in_place", "2")

        assert all(outcome.killed for outcome, _ in left.values())
        assert b"" in {files["file"] for _, files in left.values()}

    def test_a_sweep_finds_a_temporary_file_that_is_left(self, traced, tmp_path) -> None:
        """A writer without cleanup is seen to leave its temporary file on a full disk."""

        def harm(victim, point, *arguments):
            return strace.run_failing(victim, point, "ENOSPC", *arguments, forever=True)

        left = sweep(traced(WRITERS), tmp_path, harm, "synced_file", "1")

        leaving = {point.call for point, (outcome, files) in left.items() if "new.tmp" in files}
        assert {"write", "fsync", "rename"} <= leaving

    def test_several_faults_at_once(self, traced, tmp_path) -> None:
        """A fault can meet what the victim does about another one."""
        script = STEPS.replace('print("ERR"', 'os.symlink("x", root / name); print("ERR"')
        faults = [
            strace.SyscallFault("mkdir", "EIO", ordinal=2),
            strace.SyscallFault("symlink"),
        ]

        outcome = strace.run_with(traced(script), faults, tmp_path)

        assert (outcome.killed, outcome.lines, outcome.injected) == (True, (), 1)

    def test_spread_returns_how_many_and_raises(self) -> None:
        """Every item is worked on, and an error in one of them is raised."""
        done = []

        assert strace.spread(done.append, range(10)) == 10
        assert sorted(done) == list(range(10))
        with pytest.raises(ZeroDivisionError):
            strace.spread(lambda number: 1 // number, [1, 0])


class TestFuse:
    def test_shows_the_directory_as_it_is(self, mount) -> None:
        """Without a fault the mounted directory behaves as the one behind it."""
        backing, shown, control = mount
        file = shown / "sub" / "file"

        file.parent.mkdir(mode=0o700)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
        os.write(descriptor, b"hello world")
        os.truncate(descriptor, 5)
        os.fsync(descriptor)
        os.link(file, shown / "second")
        file.rename(shown / "renamed")
        (shown / "link").symlink_to("renamed")
        (shown / "second").chmod(0o600)
        os.utime(shown / "second", ns=(1, 2))
        os.chown(shown / "second", os.geteuid(), os.getegid())

        assert (backing / "renamed").read_bytes() == (shown / "link").read_bytes() == b"hello"
        found = (backing / "second").stat()
        assert (stat.S_IMODE(found.st_mode), found.st_nlink, found.st_mtime_ns) == (0o600, 2, 2)
        assert sorted(each.name for each in shown.iterdir()) == ["link", "renamed", "second", "sub"]
        assert (shown / "link").readlink() == Path("renamed")
        assert os.access(shown / "renamed", os.R_OK)
        assert os.statvfs(shown).f_bsize == os.statvfs(backing).f_bsize
        assert control.calls()["fsync"] == 1
        for name in ("renamed", "second", "link"):
            (shown / name).unlink()
        assert os.pread(descriptor, 10, 0) == b"hello"
        os.close(descriptor)
        os.utime(shown / "sub")
        (shown / "sub").rmdir()
        assert list(backing.iterdir()) == []

    def test_an_operation_fails_once_or_for_ever(self, mount) -> None:
        """The error meets one operation, or that and all later ones, until the mount heals."""
        backing, shown, control = mount
        control.fail("mkdir", "ENOSPC", ordinal=2)

        (shown / "a").mkdir()
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            (shown / "b").mkdir()
        (shown / "c").mkdir()
        assert (control.met(), control.calls()["mkdir"]) == (1, 3)

        control.heal()
        control.fail("mkdir", "EDQUOT", ordinal=1, forever=True)
        for name in "de":
            with pytest.raises(OSError, match=os.strerror(errno.EDQUOT)):
                (shown / name).mkdir()
        control.heal()
        (shown / "f").mkdir()
        assert sorted(each.name for each in backing.iterdir()) == ["a", "c", "f"]

    def test_an_error_can_come_late(self, mount) -> None:
        """A late error is told though the operation was done, as a lost answer of a server is."""
        backing, shown, control = mount
        control.fail("mkdir", "EIO", late=True)

        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            (shown / "a").mkdir()

        assert (backing / "a").is_dir()

    def test_a_write_can_be_short(self, mount) -> None:
        """A short write says how little it took, and later ones are whole again."""
        backing, shown, control = mount
        control.shorten(3)

        with (shown / "file").open("wb", buffering=0) as file:
            counts = [file.write(b"abcdef"), file.write(b"def")]

        assert counts == [3, 3]
        assert (backing / "file").read_bytes() == b"abcdef"

    def test_a_rename_with_flags_is_refused(self, mount) -> None:
        """A rename that must not replace is refused, never done as another one."""
        _, shown, _ = mount
        (shown / "a").touch()
        script = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
print(libc.renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2))
print(ctypes.get_errno())
"""
        with Victim(script) as victim:
            said = victim.run(shown / "a", shown / "a").lines

        assert said in {("-1", str(errno.EINVAL)), ("0", "0")}  # the kernel may see one name
        (shown / "b").touch()
        with Victim(script) as victim:
            assert victim.run(shown / "a", shown / "b").lines == ("-1", str(errno.EINVAL))

    def test_it_is_unmounted_whatever_happens(self, tmp_path) -> None:
        """The mount and its process end with the block, also when that fails or is held open."""
        need(fuse.available())
        for name in ("backing", "shown"):
            (tmp_path / name).mkdir()

        def fail_inside():
            with fuse.faulty_mount(tmp_path / "backing", tmp_path / "shown"):
                held = os.open(tmp_path / "shown" / "held", os.O_WRONLY | os.O_CREAT)
                try:
                    raise ZeroDivisionError
                finally:
                    os.close(held)

        with pytest.raises(ZeroDivisionError):
            fail_inside()

        assert not os.path.ismount(tmp_path / "shown")
        assert list((tmp_path / "shown").iterdir()) == []

    def test_a_place_that_is_missing_is_an_error(self, tmp_path) -> None:
        """A mount at a place that does not exist is refused."""
        need(fuse.available())

        with (
            pytest.raises(UnavailableError, match="has ended"),
            fuse.faulty_mount(tmp_path, tmp_path / "missing"),
        ):
            pass


class TestBlockLog:
    ENTRIES = (
        Entry(WRITE, 0, b"a" * 4096),
        Entry(FLUSH, 0, b""),
        Entry(REPORT, 0, b"READY\n"),
        Entry(WRITE, 0, b"b" * 8192),
        Entry(REPORT, 0, b"ACK 1\n"),
        Entry(FLUSH, 0, b""),
        Entry(WRITE, 4096, b"c" * 4096),
        Entry(REPORT, 0, b"ACK 2\n"),
    )

    @pytest.fixture
    def log(self):
        return BlockLog(16384, self.ENTRIES)

    def test_is_read_as_it_was_written(self, tmp_path, log) -> None:
        """A log in a file holds the entries that were put there."""
        file = tmp_path / "log"
        file.write_bytes(
            b"".join(header(e.kind, e.offset, len(e.data)) + e.data for e in log.entries)
        )

        assert BlockLog.load(file, size=16384) == log

    def test_cuts_begin_at_ready(self, log) -> None:
        """The power is cut only behind READY, up to the end of the log."""
        assert log.positions == range(3, 9)
        with pytest.raises(InvalidError, match="READY"):
            _ = BlockLog(16384, self.ENTRIES[:2]).positions

    def test_reports_have_their_place(self, log) -> None:
        """A line counts from the position where it was printed."""
        said = [log.reported(position) for position in log.positions]

        assert said == [(), (), ("ACK 1",), ("ACK 1",), ("ACK 1",), ("ACK 1", "ACK 2")]

    def test_a_cut_in_order_keeps_all_that_was_written(self, log, tmp_path) -> None:
        """A disk that loses nothing holds each write before the cut, and none behind."""
        disks = {
            position: log.cut(position, tmp_path / "image").read_bytes()
            for position in log.positions
        }

        zeros = bytes(8192)
        assert disks[3] == b"a" * 4096 + bytes(4096) + zeros
        assert disks[4] == disks[6] == b"b" * 8192 + zeros
        assert disks[8] == b"b" * 4096 + b"c" * 4096 + zeros

    def test_a_cut_that_loses_keeps_what_was_flushed(self, log, tmp_path) -> None:
        """Pieces behind the last flush may be lost, each by itself; a seed repeats that."""
        image = tmp_path / "image"
        before = {log.cut(5, image, lose=number).read_bytes()[:8192:4096] for number in range(40)}
        behind = {log.cut(8, image, lose=number).read_bytes()[:8192:4096] for number in range(40)}

        assert before == {b"a\0", b"b\0", b"ab", b"bb"}
        assert behind == {b"bb", b"bc"}
        assert log.cut(5, image, lose=7).read_bytes() == log.cut(5, image, lose=7).read_bytes()


@pytest.mark.powercut
class TestPowerCut:
    def test_unsynced_writers_lose_what_they_acknowledged(self, run) -> None:
        """A power cut is seen to undo a rename or a write without any sync."""
        need(power_cut.available())
        victim = run(WRITERS)

        for writer in ("in_place", "rename_only"):
            found = verdicts(victim, writer, power_cut.EXT4)
            assert found["missing"] + found["empty"] > CUTS // 2, (writer, found)

    @pytest.mark.parametrize("fs", [power_cut.EXT4, power_cut.XFS], ids=lambda fs: fs.kind)
    def test_an_unsynced_directory_loses_a_rename(self, run, fs) -> None:
        """A power cut is seen to undo a rename whose file was synced, but not its directory."""
        need(power_cut.available(fs))

        found = verdicts(run(WRITERS), "synced_file", fs)

        assert found["lost"] + found["missing"] > CUTS // 10, found

    def test_an_unsynced_file_is_torn_behind_its_rename(self, run) -> None:
        """A name that was synced before its content is seen to lead to nothing or a part."""
        need(power_cut.available(power_cut.EXT4_UNHELPFUL))

        found = verdicts(run(WRITERS), "synced_directory", power_cut.EXT4_UNHELPFUL)

        assert found["empty"] + found["torn"] + found["lost"] > CUTS // 10, found

    def test_cuts_are_spread_and_repeatable(self) -> None:
        """Cuts cover the whole log, each second one loses writes, and a seed repeats them."""
        log = BlockLog(0, (Entry(REPORT, 0, b"READY\n"), *[Entry(FLUSH, 0, b"")] * 100))

        chosen = power_cut.cuts(log, 50, seed=SEED)

        assert chosen == power_cut.cuts(log, 50, seed=SEED)
        assert [each.lose is None for each in chosen] == [True, False] * 25
        positions = [each.position for each in chosen]
        assert positions == sorted(positions)
        assert len(set(positions)) > 40
        assert {each.position for each in power_cut.cuts(log, 500, seed=SEED)} == set(log.positions)

    def test_nothing_stays_mounted_after_a_failure(self, run, tmp_path, monkeypatch) -> None:
        """A check or a victim that fails leaves no mount, no loop device, and no file."""
        need(power_cut.available())
        monkeypatch.setattr(power_cut, "_IN_MEMORY", tmp_path)

        def fail(root, lines):
            raise ZeroDivisionError

        log = power_cut.record(run(WRITERS), "in_place", "1")
        with pytest.raises(ZeroDivisionError):
            power_cut.replay(log, power_cut.cuts(log, 4, seed=SEED), fail)
        with pytest.raises(UnavailableError, match="KeyError"):
            power_cut.record(run(WRITERS), "no_such_writer", "1")

        assert remains(tmp_path) == []
        assert list(tmp_path.iterdir()) == []

    def test_a_check_that_holds_a_file_is_told(self, run, tmp_path, monkeypatch) -> None:
        """A check that leaves a file open is an error, and the mount goes as the file closes."""
        need(power_cut.available())
        monkeypatch.setattr(power_cut, "_IN_MEMORY", tmp_path)
        held = []

        def hold(root, lines):
            held.append(os.open(root, os.O_RDONLY))

        log = power_cut.record(run(WRITERS), "in_place", "1")
        with pytest.raises(UnavailableError, match="unmounted"):
            power_cut.replay(log, [power_cut.Cut(log.positions.stop - 1)], hold)
        os.close(held[0])

        assert remains(tmp_path) == []

    def test_what_is_no_file_system_is_not_mounted(self, tmp_path) -> None:
        """A disk without a file system is refused."""
        need(loop.available())
        disk, root = tmp_path / "disk", tmp_path / "root"
        disk.write_bytes(bytes(1 << 20))
        root.mkdir()

        with (
            loop.attached(disk) as device,
            pytest.raises(UnavailableError, match="cannot be mounted"),
            loop.mounted(device, root, kind="ext4"),
        ):
            pass


class TestNamespaces:
    def test_a_pid_comes_back(self) -> None:
        """In a pid namespace a new process gets the pid of one that has ended, on demand."""
        need(namespaces.available())
        script = """
import os
from faults.namespaces import set_next_pid
def born():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child
first = born()
born()
set_next_pid(first)
print(os.getpid(), first == born())
"""
        outcome = namespaces.in_pid_namespace(script)

        assert (outcome.lines, outcome.complaint) == (("1 True",), "")

    def test_a_clock_jumps_and_the_other_goes_on(self, run, tmp_path) -> None:
        """The wall clock of a victim jumps both ways as its file says; the monotonic one never."""
        need(namespaces.clock_available())
        script = """
import sys, time
from pathlib import Path
from faults.namespaces import jump
for seconds in (0, 3600, -10 * 365 * 86400, 12.5):
    jump(Path(sys.argv[1]), seconds)
    print(time.time() - seconds, time.monotonic())
"""
        file = tmp_path / "clock"
        namespaces.jump(file, 0)
        wall, monotonic = time.time(), time.monotonic()

        outcome = run(script, environment=namespaces.faketime_env(file)).run(file)

        assert len(outcome.lines) == 4, outcome.complaint
        for line in outcome.lines:
            shown, steady = map(float, line.split())
            assert shown - wall == pytest.approx(steady - monotonic, abs=0.5)


@pytest.mark.parametrize(
    ("tool", "program"),
    [(strace, "strace"), (fuse, "fusermount3"), (namespaces, "unshare"), (power_cut, "mkfs.ext4")],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_a_tool_says_what_it_misses(tool, program, monkeypatch, tmp_path) -> None:
    """A tool whose program is not installed gives that as the reason."""
    tools = (strace, fuse, namespaces, power_cut)
    for each in tools:
        each.available.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(power_cut, "_PROGRAMS", str(tmp_path))

    reason = tool.available()

    for each in tools:  # one asks another, and none must remember what it was told in here
        each.available.cache_clear()
    assert reason
