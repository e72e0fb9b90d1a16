from __future__ import annotations

import _thread
import errno
import fcntl
import json
import math
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from _pytest.outcomes import OutcomeException, Skipped

from clawstate.errors import (
    InvalidError,
    LockLostError,
    LockTimeoutError,
    StaleLockWarning,
    StateError,
    UnavailableError,
)
from clawstate.files import poller_backoff
from clawstate.files.atomic import write_json_file_atomically
from clawstate.files.heartbeat import heartbeat
from clawstate.files.lock import FileLock, file_lock, with_file_lock
from clawstate.files.lock_options import (
    DEDUPE,
    DEFAULT,
    SESSION_INDEX,
    TRANSCRIPT,
    LockOptions,
)
from clawstate.files.lock_options import PATIENT as A_STATE
from clawstate.testing.forked import child_process, in_threads
from clawstate.testing.lock_suite import NO_PROCESS, FileLockSuite, LockTrait, payload_of
from open_files import open_below

PATIENT = LockOptions(timeout=60.0)
ONCE = LockOptions(timeout=0.0)
ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="needs root")


class Ours(FileLockSuite):
    def make_lock(self, path, *, timeout, stale=30.0):
        return FileLock(path, options=LockOptions(timeout=timeout, stale=stale))


class TestFileLock(Ours):
    pass


class TestWithoutNamelessFiles(Ours):
    @pytest.fixture(autouse=True)
    def _old_kernel(self, monkeypatch):
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)


class TestWithoutLinks(Ours):
    traits = frozenset(LockTrait) - {LockTrait.PRIVATE}  # not whole from the first instant

    @pytest.fixture(autouse=True)
    def _fat(self, monkeypatch):
        def refuse(*_, **__):
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
        monkeypatch.setattr(os, "link", refuse)


class TestWithoutKernelLocks(Ours):
    @pytest.fixture(autouse=True)
    def _no_flock(self, monkeypatch):
        def refuse(*_):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)


# What others do, and what it costs


class AgeOnly:
    """A lock file that goes stale by age, and is removed on sight."""

    def __init__(self, path, timeout, stale):
        self._file = path.with_name(f"{path.name}.lock")
        self._timeout = timeout
        self._stale = stale

    def __enter__(self):
        end = time.monotonic() + self._timeout
        while True:
            with suppress(FileExistsError), self._file.open("xb") as made:
                made.write(payload_of(os.getpid()))
                return self
            with suppress(FileNotFoundError):
                if time.time() - self._file.stat().st_mtime > self._stale:
                    self._file.unlink()
            if time.monotonic() > end:
                raise TimeoutError

    def __exit__(self, *_):
        self._file.unlink(missing_ok=True)


class TestAgeOnlyFails:
    @pytest.mark.parametrize(
        "law",
        [
            "test_a_killed_owner_frees_the_lock",
            "test_a_stopped_owner_is_not_robbed",
            "test_a_lost_lock_is_noticed",
            "test_the_lock_file_is_private",
        ],
    )
    def test_the_suite_tells(self, law, tmp_path) -> None:
        """A lock that goes by age alone breaks laws of the suite that ours keeps."""

        class Suite(FileLockSuite):
            timeout_error = TimeoutError

            def make_lock(self, path, *, timeout, stale=30.0):
                return AgeOnly(path, min(timeout, 0.2), stale)

        arguments = {"mask": 0o000} if "private" in law else {"by": "somebody"}
        if "owner" in law:
            arguments = {}

        with pytest.raises((AssertionError, AttributeError, TimeoutError, OutcomeException)) as met:
            getattr(Suite(), law)(tmp_path, **arguments)

        assert not isinstance(met.value, Skipped)


# Which lock it is


def ways_to(path: Path) -> list[Path]:
    linked = path.parent.with_name("linked")
    if not linked.exists():
        linked.symlink_to(path.parent)
    return [path, Path(os.path.relpath(path)), linked / path.name, path.parent / ".." / path]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "room").mkdir()
    return tmp_path / "room" / "auth.json"


def lock_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def is_free(path: Path) -> bool:
    """Tell whether another thread could have the lock."""
    results = []

    def attempt():
        try:
            with FileLock(path, options=ONCE):
                results.append(True)
        except LockTimeoutError:
            results.append(False)

    in_threads(1, attempt)
    return results[0]


def seen(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir() if entry.name != ".locks")


def test_every_way_to_a_file_is_one_lock(path) -> None:
    """Relative paths and linked directories lead to the same lock, which is held already."""
    with FileLock(path, options=ONCE):
        for way in ways_to(path):
            with FileLock(way, options=ONCE) as again:
                again.confirm()
            assert not is_free(way)

    assert is_free(path)
    assert seen(path) == []


def test_a_linked_file_is_locked_beside_the_link(path) -> None:
    """As in OpenClaw the directory is resolved, the file is not."""
    path.symlink_to(path.with_name("elsewhere.json"))

    with FileLock(path, options=ONCE):
        assert seen(path) == [path.name, lock_file(path).name]


def test_releasing_twice_releases_once(path) -> None:
    """An object gives back only what was acquired through it."""
    outer, inner = FileLock(path, options=ONCE), FileLock(path, options=ONCE)
    outer.release()
    with outer:
        inner.acquire()
        inner.release()
        inner.release()
        FileLock(path).release()

        outer.confirm()
        assert not is_free(path)
    assert is_free(path)


def test_locks_may_be_released_in_any_order(path) -> None:
    """A lock is free when all that acquired it have released it, whoever was first."""
    first, second = FileLock(path, options=ONCE), FileLock(path, options=ONCE)
    first.acquire()
    second.acquire()

    first.release()

    second.confirm()
    assert not is_free(path)
    second.release()
    assert is_free(path)


def test_what_was_acquired_is_released_wherever_the_path_leads(path, monkeypatch) -> None:
    """A lock is given back after the working directory changed, or a linked one its target."""
    other = path.parent.with_name("other")
    other.mkdir()
    linked = path.parent.with_name("linked")
    linked.symlink_to(path.parent)
    monkeypatch.chdir(path.parent)
    for lock in (FileLock(path.name, options=ONCE), FileLock(linked / path.name, options=ONCE)):
        with lock:
            os.chdir(other)
            linked.unlink()
            linked.symlink_to(other)
            with lock:
                lock.confirm()
            assert not is_free(path)
        assert is_free(path)
        os.chdir(path.parent)
        linked.unlink()
        linked.symlink_to(path.parent)

    assert seen(path) == []
    assert seen(other / "x") == []


def test_one_object_serves_many_threads(path) -> None:
    """Threads that share one lock object are kept apart as well."""
    lock = FileLock(path, options=PATIENT)
    inside = []

    def work():
        for _ in range(20):
            with lock, lock:
                inside.append(threading.get_ident())
                os.sched_yield()
                assert set(inside) == {threading.get_ident()}
                inside.clear()

    in_threads(4, work)
    assert is_free(path)


@pytest.mark.parametrize("name", ["", ".", "/", "a\0b"])
def test_what_names_no_file_is_refused(name) -> None:
    """A path without a file name, or that no system can open, is `InvalidError`."""
    with pytest.raises(InvalidError):
        FileLock(name).acquire()


NAMES = ["n" * 250, "line\nend", os.fsdecode(b"\xff\xfe"), "-rf", " ", "x.lock", "ü" * 125, "%s{}"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.parametrize("nameless", [True, False], ids=["", "old kernel"])
def test_names_may_be_odd_and_long(path, name, nameless, monkeypatch) -> None:
    """Whatever name a file may have, its lock can be had, broken, and given back."""
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    path = path.with_name(name)
    lock_file(path).write_bytes(payload_of(NO_PROCESS))

    with FileLock(path, options=ONCE) as lock:
        lock.confirm()
        assert seen(path) == [lock_file(path).name]

    assert seen(path) == []


def test_a_name_too_long_for_a_lock_is_told(path) -> None:
    """A file whose lock file would have too long a name gives `UnavailableError`."""
    with pytest.raises(UnavailableError, match="too long"):
        FileLock(path.with_name("n" * 255), options=ONCE).acquire()


def test_functions_hold_the_lock(path) -> None:
    """`file_lock` and `with_file_lock` hold the lock for the length of the work."""
    with file_lock(path, ONCE) as lock:
        lock.confirm()
        assert not is_free(path)

    assert with_file_lock(path, lambda: is_free(path), ONCE) is False
    assert is_free(path)


# The file


def test_the_payload_is_openclaws_and_more(path) -> None:
    """The lock file begins with what OpenClaw writes, as it writes it."""
    with FileLock(path, options=ONCE):
        content = lock_file(path).read_text()

    first, second, *_ = re.split(r",\n", content)
    assert first == f'{{\n  "pid": {os.getpid()}'
    assert re.fullmatch(r'  "createdAt": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"', second)
    assert list(json.loads(content))[2:] == [
        "startTime",
        "host",
        "bootId",
        "pidNs",
        "nonce",
        "device",
        "inode",
    ]


def test_a_holder_gives_signs_of_life(path) -> None:
    """While a lock is held its time moves on, in the same file, which can always be read."""
    with FileLock(path, options=LockOptions(timeout=0.0, stale=0.01)):
        place = lock_file(path)
        inode, moments = place.stat().st_ino, []
        end = time.monotonic() + 60
        while len(moments) < 10 and time.monotonic() < end:
            fields = json.loads(place.read_bytes())
            assert fields["pid"] == os.getpid()
            if fields["createdAt"] not in moments:
                moments.append(fields["createdAt"])
        assert place.stat().st_ino == inode

    assert len(moments) == 10
    assert moments == sorted(moments)
    assert not place.exists()


def test_a_lost_lock_stops_the_write(path) -> None:
    """What is written with `confirm` as its fence is not written when the lock was lost."""
    path.write_text("old")
    with FileLock(path, options=ONCE) as lock:
        lock_file(path).unlink()

        with pytest.raises(LockLostError, match=re.escape(str(path))):
            write_json_file_atomically(path, {"new": 1}, fence=lock.confirm)

    assert path.read_text() == "old"
    assert seen(path) == [path.name]


def test_who_never_had_the_lock_cannot_confirm(path) -> None:
    """`confirm` raises before the lock was acquired, after its release, and elsewhere."""
    lock = FileLock(path, options=ONCE)
    with pytest.raises(LockLostError):
        lock.confirm()
    with lock, pytest.raises(LockLostError):
        in_threads(1, lock.confirm)
    with pytest.raises(LockLostError):
        lock.confirm()


# Patience


@pytest.mark.parametrize(("options", "least", "most"), [
    (LockOptions(randomize=False), 42.7, 42.7),
    (DEFAULT, 42.7, 55.4),
    (LockOptions(retries=2, randomize=False), 0.3, 0.3),
    (LockOptions(retries=0), 0.0, 0.0),
    (LockOptions(retries=3, factor=0.0, randomize=False), 0.3, 0.3),
    (LockOptions(retries=2000, randomize=False, max_timeout=0.2), 399.9, 399.9),
    (LockOptions(retries=3, min_timeout=5.0, max_timeout=1.0), 3.0, 3.0),
    (DEDUPE, 0.12, 0.24),
    (SESSION_INDEX, 10.0, 10.0),
    (TRANSCRIPT, 10.0, 10.0),
    (LockOptions(timeout=0.0), 0.0, 0.0),
])  # fmt: skip
def test_patience_is_the_sum_of_the_pauses(options, least, most) -> None:
    """One waits as long as OpenClaw's pauses add up to, with its jitter, or for `timeout`."""
    drawn = [options.patience() for _ in range(20)]

    assert least - 0.01 <= min(drawn) <= max(drawn) <= most + 0.01
    assert len(set(drawn)) == 1 or least != most


@pytest.mark.parametrize("retries", [10**9, int(1e300), 10**400])
def test_patience_of_many_retries_takes_no_time_to_add_up(path, retries) -> None:
    """However many retries are set, the sum of their pauses is known at once, and a lock is had."""
    options = LockOptions(retries=retries, randomize=False)

    assert options.patience() > 9.9e9
    with FileLock(path, options=options) as lock:
        lock.confirm()


@pytest.mark.parametrize(
    "name", ["retries", "factor", "min_timeout", "max_timeout", "timeout", "stale"]
)
@pytest.mark.parametrize("value", [-1, math.nan, -math.inf])
def test_senseless_options_are_refused(name, value) -> None:
    """Negative options and those that are no numbers are `InvalidError`."""
    with pytest.raises(InvalidError, match=name):
        LockOptions(**{name: value})


def test_options_that_mean_nothing_are_refused() -> None:
    """No stale time and half a retry are `InvalidError`."""
    with pytest.raises(InvalidError, match="stale"):
        LockOptions(stale=0)
    with pytest.raises(InvalidError, match="retries"):
        LockOptions(retries=2.5)


@pytest.mark.parametrize("value", [math.inf, 1e300])
def test_patience_and_trust_may_be_endless(path, value) -> None:
    """Endless patience and an endless stale time are no error, and signs of life go on."""
    options = LockOptions(timeout=value, stale=value)
    with child_process(lambda child: _hold_for_a_moment(path, child)) as holder:
        holder.hear()
        holder.say()
        with FileLock(path, options=options) as lock:
            lock.confirm()
        assert holder.wait() == 0

    test_a_holder_gives_signs_of_life(path)


def _hold_for_a_moment(path, child):
    with FileLock(path, options=PATIENT):
        child.say()
        child.hear()


@contextmanager
def held_by_another(path: Path):
    with child_process(lambda child: _hold_for_a_moment(path, child)) as holder:
        holder.hear()
        yield holder


@pytest.mark.parametrize("timeout", [0.0, 0.1])
def test_who_waited_in_vain_learns_for_whom(path, timeout) -> None:
    """`LockTimeoutError` names the file, its holder, when that gave a sign, and the wait."""
    with (
        held_by_another(path) as holder,
        pytest.raises(LockTimeoutError) as caught,
        FileLock(path, options=LockOptions(timeout=timeout)),
    ):
        pytest.fail("two were inside")

    assert caught.value.path == str(path)
    assert caught.value.waited >= timeout
    assert re.fullmatch(rf"process {holder.pid}, last sign \d+\.\d s ago", caught.value.holder)
    assert str(lock_file(path)) in caught.value.hint


def test_who_gives_up_leaves_nothing(path) -> None:
    """However often one gives up, at most one place with its descriptor is kept, and is reused."""
    with held_by_another(path) as holder:
        for _ in range(3):
            for timeout in (0.0, 0.02):
                with pytest.raises(LockTimeoutError):
                    FileLock(path, options=LockOptions(timeout=timeout)).acquire()
        before, threads = len(open_below(path.parent)), threading.active_count()
        for _ in range(10):
            with pytest.raises(LockTimeoutError):
                FileLock(path, options=LockOptions(timeout=0.02)).acquire()
        assert len(open_below(path.parent)) <= before
        assert threading.active_count() <= threads

        holder.say()
        with FileLock(path, options=PATIENT) as lock:
            lock.confirm()

    assert is_free(path)


class InterruptedTestError(Exception):
    pass


@contextmanager
def interrupted_once(condition):
    """Raise in the main thread as soon as *condition* holds."""

    def interrupt(*_):
        raise InterruptedTestError

    def watch():
        while not condition() and not done.is_set():
            os.sched_yield()
        if not done.is_set():
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    done = threading.Event()
    before = signal.signal(signal.SIGUSR1, interrupt)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        signal.signal(signal.SIGUSR1, before)


def main_thread_is_in(function: str) -> bool:
    frame = sys._current_frames()[threading.main_thread().ident]
    return any(each.f_code.co_name == function for each, _ in traceback.walk_stack(frame))


@pytest.mark.parametrize("where", ["in the queue", "at a stranger's lock"])
def test_who_is_interrupted_while_waiting_leaves_nothing(path, where) -> None:
    """A signal that ends the wait leaves no place in the queue, no file and no descriptor."""
    with child_process(lambda child: _hold_for_a_moment(path, child)) as holder:
        if where == "in the queue":
            holder.hear()
        else:
            holder.kill()
            lock_file(path).write_bytes(payload_of(os.getpid()))
        inside = "_enter" if where == "in the queue" else "_wait"
        before = len(open_below(path.parent))

        with (
            interrupted_once(lambda: main_thread_is_in(inside)),
            pytest.raises(InterruptedTestError),
        ):
            FileLock(path, options=PATIENT).acquire()

        assert (
            len(open_below(path.parent)) <= before + 2
        )  # turn and gate of the place that was left
        holder.say() if where == "in the queue" else lock_file(path).unlink()
        with FileLock(path, options=PATIENT) as lock:
            lock.confirm()
    assert is_free(path)
    assert seen(path) == []


def test_who_is_interrupted_as_it_looks_again_leaves_nothing(path, monkeypatch) -> None:
    """A signal that comes while a new lock is held still takes that lock away again."""
    monkeypatch.setattr(poller_backoff, "SETTLE", 60.0)
    lock_file(path).write_bytes(payload_of(NO_PROCESS))
    before = open_below(path.parent)

    with (
        interrupted_once(lambda: main_thread_is_in("_settle")),
        pytest.raises(InterruptedTestError),
    ):
        FileLock(path, options=PATIENT).acquire()

    assert seen(path) == []
    assert len(open_below(path.parent)) == len(before)
    monkeypatch.setattr(poller_backoff, "SETTLE", 0.0)
    assert is_free(path)


# A system that refuses


def test_without_threads_there_is_no_lock(path, monkeypatch) -> None:
    """Where no thread can be started the error is typed, nothing is left, and it passes."""

    def refuse(*_):
        raise RuntimeError("can't start new thread")

    heartbeat.forget()  # its thread may run already
    with held_by_another(path) as holder:
        before = open_below(path.parent)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            patched.setattr(_thread, "start_new_thread", refuse)
            with pytest.raises(UnavailableError, match="thread"):
                FileLock(path.with_name("other"), options=PATIENT).acquire()
            with pytest.raises((UnavailableError, LockTimeoutError)):
                FileLock(path, options=LockOptions(timeout=0.1)).acquire()
        assert len(open_below(path.parent)) == len(before)
        holder.say()
        assert holder.wait() == 0

    assert seen(path) == []
    test_a_holder_gives_signs_of_life(path)


@pytest.mark.parametrize("spare", range(8))
@pytest.mark.parametrize("stale", [False, True])
def test_without_descriptors_nothing_is_lost(path, spare, stale) -> None:
    """With too few descriptors one gets the lock or a typed error, and none are lost."""
    with FileLock(path, options=ONCE):
        pass
    if stale:
        lock_file(path).write_bytes(payload_of(NO_PROCESS))
    before = open_below(path.parent)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free() + spare, hard))
    try:
        with suppress(UnavailableError), FileLock(path, options=ONCE) as lock:
            lock.confirm()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert len(open_below(path.parent)) == len(before)
    assert is_free(path)
    assert seen(path) == []


def lowest_free() -> int:
    probe = os.open(os.devnull, os.O_RDONLY)
    os.close(probe)
    return probe


@contextmanager
def nobody():
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_path():
    """Give a path in a directory that every user may reach."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name) / "auth.json"


@needs_root
def test_a_directory_that_cannot_be_written_is_told(open_path) -> None:
    """Without permission the lock is `UnavailableError`, and works once there is permission."""
    open_path.parent.chmod(0o555)
    with nobody(), pytest.raises(UnavailableError, match="permission denied"):
        FileLock(open_path, options=ONCE).acquire()
    assert open_below(open_path.parent) == []

    open_path.parent.chmod(0o777)
    with nobody(), FileLock(open_path, options=ONCE) as lock:
        lock.confirm()


@needs_root
def test_a_lock_that_cannot_be_removed_is_told_and_free(open_path) -> None:
    """A release that the system refuses is `UnavailableError`; the lock is free afterwards."""
    lock = FileLock(open_path, options=ONCE)
    with nobody():
        with FileLock(open_path, options=ONCE):
            pass
        lock.acquire()
    open_path.parent.chmod(0o555)

    with nobody():
        with pytest.raises(UnavailableError, match="cannot be removed"):
            lock.release()
        with pytest.raises(LockLostError):
            lock.confirm()
    assert open_below(open_path.parent) == []
    open_path.parent.chmod(0o777)
    with nobody():
        assert is_free(open_path)


# Things in the way

KINDS = ["link", "dangling", "pipe", "directory", "socket", "hard link"]


def plant(place: Path, kind: str, target: Path) -> None:
    target.write_text("precious")
    if kind == "link":
        place.symlink_to(target)
    elif kind == "dangling":
        place.symlink_to(target.with_name("nothing"))
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    elif kind == "hard link":
        os.link(target, place)
    else:
        with socket.socket(socket.AF_UNIX) as listening:
            here = os.open(place.parent, os.O_RDONLY)
            listening.bind(f"/proc/self/fd/{here}/{place.name}")
            os.close(here)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "hard link"])
def test_what_is_no_lock_file_is_refused(path, kind) -> None:
    """What lies in the lock file's place and is no file is `InvalidError`, and stays."""
    target = path.parent.with_name("target")
    plant(lock_file(path), kind, target)
    status = lock_file(path).lstat()

    with pytest.raises(InvalidError, match=re.escape(str(lock_file(path)))):
        FileLock(path, options=PATIENT).acquire()

    assert lock_file(path).lstat() == status
    assert target.read_text() == "precious"
    assert not target.with_name("nothing").exists()
    assert open_below(path.parents[1]) == []


def test_a_second_name_as_lock_file_is_only_a_name(path) -> None:
    """A lock file that is another name of some file is taken over; the file stays as it is."""
    target = path.parent.with_name("target")
    plant(lock_file(path), "hard link", target)
    os.utime(target, (0, 0))

    with FileLock(path, options=ONCE) as lock:
        lock.confirm()

    assert target.read_text() == "precious"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", [".gate", ".turn", ".new", ".old", ""], ids=lambda x: x or "room")
@pytest.mark.parametrize("nameless", [True, False], ids=["", "old kernel"])
def test_what_is_in_the_queues_way_does_no_harm(path, kind, place, nameless, monkeypatch) -> None:
    """Whatever lies where the queue's files go, nothing is followed, and nobody else gets in."""
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    target = path.parent.with_name("target")
    queue = path.parent / ".locks"
    if place:
        queue.mkdir(0o700)
    plant(queue / f"{path.name}{place}" if place else queue, kind, target)
    linked = path.parent.with_name("nothing")
    if (place, kind) == ("", "dangling"):
        linked.mkdir()
    lock_file(path).write_bytes(payload_of(NO_PROCESS))

    for _ in range(2):
        with suppress(StateError), FileLock(path, options=LockOptions(timeout=0.2)) as lock:
            lock.confirm()
            assert not is_free(path)

    assert target.read_text() == "precious"
    assert not linked.exists() or list(linked.iterdir()) == []
    assert open_below(path.parents[1]) == []


def test_nonsense_in_the_gate_is_no_harm(path) -> None:
    """Whatever bytes the gate's file holds, the lock can be had."""
    queue = path.parent / ".locks"
    queue.mkdir(0o700)
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    odd = [math.nan, math.inf, -math.inf, now, -now, 0.0]
    for content in [b"", b"x", b"\xff" * 64, *(struct.pack("<dd", a, b) for a in odd for b in odd)]:
        (queue / f"{path.name}.gate").write_bytes(content)
        with FileLock(path, options=ONCE) as lock:
            lock.confirm()


# Forks


def test_forks_at_any_moment_do_not_hang(path) -> None:
    """A child forked while signs of life are given, and others wait, ends and holds nothing."""
    stop = threading.Event()
    options = LockOptions(timeout=60.0, stale=1e-9)

    def work():
        while not stop.is_set():
            with FileLock(path, options=options):
                pass

    def leave(child):
        for each in open_below(path.parent):
            assert Path(each).suffix not in {".gate", ".turn"}
        with suppress(LockTimeoutError), FileLock(path, options=ONCE):
            pass

    workers = [threading.Thread(target=work) for _ in range(3)]
    with FileLock(path.with_name("other"), options=options):
        for worker in workers:
            worker.start()
        try:
            for _ in range(40):
                with child_process(leave) as child:
                    assert child.wait() == 0
        finally:
            stop.set()
            for worker in workers:
                worker.join()

    assert is_free(path)


# Strangers


def test_taking_over_a_silent_lock_is_told(path) -> None:
    """Who takes a lock over by age alone says so; who takes over a dead one's does not."""
    lock_file(path).write_bytes(payload_of(os.getpid(), created=0.0))
    os.utime(lock_file(path), (0, 0))
    with pytest.warns(StaleLockWarning, match=f"process {os.getpid()}, which gave no sign") as met:
        FileLock(path, options=ONCE).__enter__().release()
    assert len(met) == 1

    lock_file(path).write_bytes(payload_of(NO_PROCESS))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with FileLock(path, options=ONCE):
            pass


def test_what_a_dead_writer_left_is_swept(path) -> None:
    """Who takes over the lock of a dead writer removes the file that it had not finished."""
    path.write_text("old")
    unfinished = path.with_name(f"{path.name}.{'0' * 16}.tmp")
    unfinished.write_text("hal")
    lock_file(path).write_bytes(payload_of(NO_PROCESS))

    with FileLock(path, options=ONCE):
        assert seen(path) == [path.name, lock_file(path).name]


def test_patience_outlasts_staleness() -> None:
    """Whoever waits for a lock of nobody, whatever its date, has it within one wait by default."""
    for options in (DEFAULT, A_STATE):
        assert options.patience() > options.stale


def test_several_short_waits_see_as_much_as_a_long_one(path) -> None:
    """A stranger's lock dated ahead is had by who waits for it often, each time for a moment."""
    ahead = time.time() + 3e8
    lock_file(path).write_bytes(payload_of(os.getpid(), created=ahead))
    os.utime(lock_file(path), (ahead, ahead))
    short = LockOptions(timeout=0.02, stale=0.2)

    refusals = []

    def try_once():
        try:
            with FileLock(path, options=short) as lock:
                lock.confirm()
        except LockTimeoutError as refusal:
            refusals.append(refusal)
            return False
        return True

    with pytest.warns(StaleLockWarning):
        assert any(try_once() for _ in range(1000))

    assert refusals
    assert "taken over" in str(refusals[0])
    assert "end that process" not in str(refusals[0])
    assert "ahead of the clock" in str(refusals[0])


def copied_in(kind, path):
    """Hold a lock, copy it as *kind* does, and return the path of the file of the copy."""
    copy = path.with_name("copy") / path.name
    copy.parent.mkdir()
    source, target = lock_file(path), lock_file(copy)
    if kind == "bytes":
        target.write_bytes(source.read_bytes())
    elif kind == "cp -a":
        subprocess.run(["cp", "-a", source, target], check=True)
    else:
        with tempfile.TemporaryFile() as archive:
            packed = ["tar", "-C", source.parent, "-cf", "-", source.name]
            subprocess.run(packed, check=True, stdout=archive)
            archive.seek(0)
            subprocess.run(["tar", "-C", target.parent, "-xf", "-"], check=True, stdin=archive)
    return copy


@pytest.mark.parametrize("kind", ["bytes", "cp -a", "tar"])
def test_a_copy_of_a_held_lock_belongs_to_nobody(path, kind) -> None:
    """A lock file that was copied with a state in use keeps nobody out of the copy."""
    with FileLock(path, options=PATIENT) as lock:
        copy = copied_in(kind, path)

        with FileLock(copy, options=ONCE) as other:
            other.confirm()
            lock.confirm()

        assert not lock_file(copy).exists()
        with child_process(lambda child: _try_once(path, child)) as child:
            assert child.wait() == 0
        lock.confirm()


def _try_once(path, child):
    with suppress(LockTimeoutError), FileLock(path, options=ONCE):
        raise AssertionError("a lock that is held was had")


def test_a_held_lock_that_moved_with_its_directory_is_respected(path) -> None:
    """A lock file keeps its owner where its directory gets another name."""
    with FileLock(path, options=PATIENT):
        moved = path.parent.with_name("moved")
        path.parent.rename(moved)

        with child_process(lambda child: _try_once(moved / path.name, child)) as child:
            assert child.wait() == 0
        moved.rename(path.parent)


def test_a_lock_from_the_future_is_respected_only_for_the_stale_time(path) -> None:
    """A stranger's lock whose times lie ahead is taken over when nothing moves for long enough."""
    lock_file(path).write_bytes(payload_of(os.getpid(), created=time.time() + 3e8))
    ahead = time.time() + 3e8
    os.utime(lock_file(path), (ahead, ahead))
    with pytest.raises(LockTimeoutError):
        FileLock(path, options=ONCE).acquire()

    with pytest.warns(StaleLockWarning), FileLock(path, options=LockOptions(stale=0.05)) as lock:
        lock.confirm()


def test_no_lock_stays_where_files_cannot_be_looked_at(tmp_path: Path, monkeypatch) -> None:
    """Whichever look at a file is the first that the system refuses, the lock can be had after."""
    refused: list[int] = []

    def refusing(look):
        def looked(*args, **options):
            if not refused:
                return look(*args, **options)
            refused[0] -= 1
            if refused[0] > 0:
                return look(*args, **options)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        return looked

    for name in ("fstat", "lstat", "stat"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    outcomes = []
    for first in range(1, 100):
        path = tmp_path / f"{first}.json"
        refused.append(first)
        try:
            with FileLock(path):
                pass
            outcomes.append("done")
        except UnavailableError:
            outcomes.append("refused")
        refused.clear()
        with FileLock(path, options=LockOptions(timeout=1.0)):
            pass
        if outcomes[-1] == "done" and first > 20:
            break

    assert {"done", "refused"} == set(outcomes)
