from __future__ import annotations

import _thread
import errno
import fcntl
import os
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from clawstate.errors import UnavailableError
from clawstate.files.fifo_mutex import FifoMutex, QueueTimeoutError
from clawstate.testing.forked import Child, child_process, child_processes
from open_files import open_below

PATIENCE = 60.0  # seconds that anything may take before it counts as stuck


@pytest.fixture
def room(tmp_path: Path) -> Path:
    return tmp_path / ".locks"


def queue_in(room: Path) -> FifoMutex:
    queue = FifoMutex(room / "a.gate", room / "a.turn", own=True)
    queue.prepare()
    return queue


def end(patience: float = PATIENCE) -> float:
    return time.monotonic() + patience


def is_free(room: Path) -> bool:
    queue = queue_in(room)
    try:
        queue.leave(queue.enter(end(0.0)))
    except QueueTimeoutError:
        return False
    return True


def waiters(file: Path) -> int:
    """Return how many wait for the lock on *file*, as the kernel knows it."""
    inode = f":{file.stat().st_ino} "
    lines = Path("/proc/locks").read_text().splitlines()
    return sum("->" in line and inode in line for line in lines)


def until(condition) -> None:
    limit = end()
    while not condition():
        assert time.monotonic() < limit
        os.sched_yield()


def test_the_queue_is_private(room) -> None:
    """Directory and files of a queue are private from the first instant, whatever the umask."""
    before = os.umask(0)
    try:
        queue = queue_in(room)
        gate = queue.enter(end())
    finally:
        os.umask(before)

    assert room.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in room.iterdir()} == {0o600}
    queue.leave(gate)


def test_leaving_twice_leaves_once(room) -> None:
    """What is not held is not given back, also when its number means something else by now."""
    queue = queue_in(room)
    gate = queue.enter(end())
    queue.leave(gate)
    again = os.open(os.devnull, os.O_RDONLY)

    queue.leave(gate)
    queue.leave(again)

    os.close(again)
    assert is_free(room)


@pytest.mark.parametrize("patience", [0.0, -5.0, 0.02])
def test_patience_ends(room, patience) -> None:
    """Whoever waits in vain is told, and keeps nobody out."""
    with child_processes() as fork:
        holder = fork(lambda child: (queue_in(room).enter(end()), child.say(), child.hear()))
        holder.hear()
        for _ in range(3):
            with pytest.raises(QueueTimeoutError):
                queue_in(room).enter(end(patience))
        holder.say()
        holder.wait()

    queue = queue_in(room)
    queue.leave(queue.enter(end()))


def test_who_does_not_wait_starts_no_thread(room) -> None:
    """An attempt without patience costs neither a thread nor a descriptor."""
    with child_process(
        lambda child: (queue_in(room).enter(end()), child.say(), child.hear())
    ) as holder:
        holder.hear()
        with pytest.raises(QueueTimeoutError):
            queue_in(room).enter(end(0.0))

        assert waiters(room / "a.gate") == waiters(room / "a.turn") == 0
        assert open_below(room) == []


def test_a_place_that_was_given_up_is_used_again(room) -> None:
    """Who comes after one that gave up takes over its place, and gets in."""
    with child_process(
        lambda child: (queue_in(room).enter(end()), child.say(), child.hear())
    ) as holder:
        holder.hear()
        with pytest.raises(QueueTimeoutError):
            queue_in(room).enter(end(0.05))
        until(lambda: waiters(room / "a.gate") == 1)

        queue = queue_in(room)
        with pytest.raises(QueueTimeoutError):
            queue.enter(end(0.05))
        assert waiters(room / "a.gate") + waiters(room / "a.turn") == 1
        entered = []
        thread = threading.Thread(target=lambda: entered.append(queue.enter(end())))
        thread.start()
        until(lambda: waiters(room / "a.gate") == 1)
        holder.say()
        thread.join()

    assert not is_free(room)
    queue.leave(entered[0])
    assert is_free(room)


def test_where_threads_are_greenlets_nobody_stands_in_the_queue_of_the_kernel(
    room, monkeypatch
) -> None:
    """A greenlet that waits lets the others run, leaves in time, and gets in once they left."""
    # As gevent does, whose own is no function of the interpreter either.
    monkeypatch.setattr(_thread, "start_new_thread", partial(_thread.start_new_thread))
    queue = queue_in(room)
    with child_process(
        lambda child: (queue_in(room).enter(end()), child.say(), child.hear())
    ) as holder:
        holder.hear()
        with pytest.raises(QueueTimeoutError):
            queue.enter(end(0.02))
        assert open_below(room) == []
        looks, sleep = [], time.sleep

        def others(seconds):
            looks.append(waiters(room / "a.gate") + waiters(room / "a.turn"))
            if len(looks) == 1:
                holder.say()
            sleep(seconds)

        monkeypatch.setattr(time, "sleep", others)
        gate = queue.enter(end())

    assert looks
    assert set(looks) == {0}
    assert not is_free(room)
    queue.leave(gate)
    assert is_free(room)


def test_a_new_gate_needs_a_new_place(room) -> None:
    """A place at a gate that somebody removed is not taken for one at the new gate."""
    with child_process(
        lambda child: (queue_in(room).enter(end()), child.say(), child.hear())
    ) as holder:
        holder.hear()
        with pytest.raises(QueueTimeoutError):
            queue_in(room).enter(end(0.02))
        (room / "a.gate").unlink()
        queue = queue_in(room)
        gate = queue.enter(end())
        assert not is_free(room)

        assert os.fstat(gate).st_ino == (room / "a.gate").stat().st_ino
        queue.leave(gate)
        holder.say()
    assert is_free(room)


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("waits", [True, False], ids=["waiting", "holding"])
def test_a_child_forked_meanwhile_keeps_nobody_out(room, waits, killed) -> None:
    """A child forked while another thread waits or holds keeps nobody out, alive or orphaned."""
    queue = queue_in(room)
    lives, ends = os.pipe()

    def parent(child):
        def linger(_):
            os.close(ends)
            child.say()
            os.read(lives, 1)  # until the test ends

        entered = []
        ours = queue_in(room)
        thread = threading.Thread(target=lambda: entered.append(ours.enter(end())), daemon=True)
        thread.start()
        if waits:
            until(lambda: waiters(room / "a.gate") == 1)
        else:
            thread.join()
        Child(linger)
        child.hear()
        if not waits:
            ours.leave(entered[0])

    gate = queue.enter(end()) if waits else None
    with child_process(parent) as child:
        child.hear()
        if killed:
            child.kill()
        elif not waits:
            child.say()
            child.wait()
        if gate is not None:
            queue.leave(gate)
            child.kill()
        queue.leave(queue.enter(end()))
        assert is_free(room)
    os.close(lives)
    os.close(ends)


def test_the_gate_that_a_child_inherits_is_not_its_own(room) -> None:
    """A child gives back only what it entered itself, though the numbers are the same."""
    queue = queue_in(room)
    spare = os.open(os.devnull, os.O_RDONLY)
    gate = queue.enter(end())

    def leave(_):
        os.close(spare)
        other = FifoMutex(room / "b.gate", room / "b.turn", own=True)
        assert other.enter(end()) == gate
        queue.leave(gate)
        assert os.fstat(gate).st_ino == (room / "b.gate").stat().st_ino
        assert not is_free(room)

    with child_process(leave) as child:
        assert child.wait() == 0
    assert not is_free(room)
    queue.leave(gate)
    os.close(spare)
    assert is_free(room)


# A system that refuses


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EIO])
@pytest.mark.parametrize("blocking", [False, True])
def test_locks_that_do_not_work_are_told(room, monkeypatch, code, blocking) -> None:
    """Where the kernel cannot lock the error is typed, at once and while waiting; none leaks."""
    queue = queue_in(room)

    def refuse(_, how):
        if blocking and how & fcntl.LOCK_NB:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UnavailableError, match="cannot be locked"):
        queue.enter(end())

    assert open_below(room) == []


def test_what_has_a_second_name_is_no_gate(room) -> None:
    """A gate that is another name of some file, or a pipe, is `UnavailableError`."""
    queue = queue_in(room)
    precious = room / "precious"
    precious.write_bytes(b"kept")
    for plant in (lambda gate: os.link(precious, gate), os.mkfifo):
        plant(room / "a.gate")
        with pytest.raises(UnavailableError, match="no file of its own"):
            queue.enter(end())
        (room / "a.gate").unlink()

    assert precious.read_bytes() == b"kept"
    assert open_below(room) == []


def test_a_linked_room_is_not_entered(room) -> None:
    """The queue's own directory must be no link; one that is not its own may be."""
    elsewhere = room.with_name("elsewhere")
    elsewhere.mkdir()
    room.symlink_to(elsewhere)

    with pytest.raises(UnavailableError):
        queue_in(room).enter(end())
    assert list(elsewhere.iterdir()) == []

    queue = FifoMutex(room / "a.gate", room / "a.turn")
    queue.leave(queue.enter(end()))
    assert len(list(elsewhere.iterdir())) == 2


@pytest.mark.parametrize("obstacle", ["file", "dangling link"])
def test_a_room_that_cannot_be_made_is_told(room, obstacle) -> None:
    """What lies where the directory should be is `UnavailableError`, and stays."""
    if obstacle == "file":
        room.write_bytes(b"kept")
    else:
        room.symlink_to(room.with_name("nothing"))

    with pytest.raises(UnavailableError, match=r"\.locks"):
        queue_in(room)

    assert os.path.lexists(room)
    assert not room.with_name("nothing").exists()
