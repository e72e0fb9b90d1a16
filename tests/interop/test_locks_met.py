from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from node_options import every
from peer import PeerError

import clawstate
from clawstate.errors import LockLostError, LockTimeoutError
from clawstate.files.lock import LockOptions, file_lock

SOURCE = Path(clawstate.__file__).parents[1]
HOLDER = Path(__file__).with_name("lock_holder.py")
AT_ONCE = LockOptions(timeout=1.0)
BRIEF = LockOptions(timeout=0.4)
LONG = LockOptions(timeout=60.0)
SHORT_STALE = 1.0  # seconds
LOCKED = "^(file lock timeout|session file locked)"

# As OpenClaw takes its two locks: long enough, not long enough, and with an early stale time.
FILE = {"options": every(20, times=3000)}
SESSION = {"session": {"timeoutMs": 60_000, "staleMs": 30_000}}
FLAVOURS = [FILE, SESSION]
BRIEFLY = [
    {"options": every(20, times=20)},
    {"session": {"timeoutMs": 400, "staleMs": 30_000}},
]
IMPATIENTLY = [
    {"options": every(20, times=3000, stale=1000)},
    {"session": {"timeoutMs": 60_000, "staleMs": 1000}},
]
BEYOND_STALE = [
    {"options": every(50, times=50, stale=1000)},
    {"session": {"timeoutMs": 2500, "staleMs": 1000}},
]

pytestmark = pytest.mark.interop


def both(flavours):
    return pytest.mark.parametrize("flavour", flavours, ids=["file", "session"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "a.json"


def lock_of(path):
    return path.with_name(f"{path.name}.lock")


@both(FLAVOURS)
def test_we_wait_for_openclaw_and_name_it(path, peer, flavour) -> None:
    """A lock that a living OpenClaw holds is waited for, and the error names who and how long."""
    held = peer.send("hold", path=path, **flavour)
    peer.event(held)

    with pytest.raises(LockTimeoutError) as caught, file_lock(path, options=BRIEF):
        pass

    assert caught.value.waited >= 0.4
    assert str(peer.pid) in str(caught.value)
    assert " s ago" in str(caught.value)
    assert json.loads(lock_of(path).read_text())["pid"] == peer.pid
    peer.ask("release", path=path)
    peer.answer(held)


@both(FLAVOURS)
def test_we_follow_openclaw(path, peer, flavour) -> None:
    """A lock that OpenClaw gives back is ours, who waited for it."""
    held = peer.send("hold", path=path, **flavour)
    peer.event(held)
    entered = threading.Event()

    def wait_for_it():
        with file_lock(path, options=LONG) as ours:
            ours.confirm()
            entered.set()

    waiter = threading.Thread(target=wait_for_it)
    waiter.start()
    with pytest.raises(LockTimeoutError), file_lock(path, options=BRIEF):
        pass
    assert not entered.is_set()
    peer.ask("release", path=path)
    peer.answer(held)
    waiter.join(60)

    assert entered.is_set()
    assert not lock_of(path).exists()


@both(BRIEFLY)
def test_openclaw_waits_for_us(path, peer, flavour) -> None:
    """A lock that we hold is not taken by an OpenClaw, which gives up in its own words."""
    with file_lock(path) as ours:
        with pytest.raises(PeerError, match=LOCKED) as caught:
            peer.ask("hold", path=path, ms=0, **flavour)
        ours.confirm()

    if "session" in flavour:
        assert f"pid={os.getpid()}" in str(caught.value)
    assert not lock_of(path).exists()


@both(FLAVOURS)
def test_openclaw_follows_us(path, peer, flavour) -> None:
    """A lock that we give back goes to the OpenClaw that waits for it."""
    with file_lock(path):
        asked = peer.send("hold", path=path, ms=0, **flavour)
        with pytest.raises(PeerError):  # the first goes on waiting meanwhile
            peer.ask("hold", path=path, ms=0, **BRIEFLY[FLAVOURS.index(flavour)])

    event = peer.event(asked)
    peer.answer(asked)

    assert event["waited"] > 0.3
    assert not lock_of(path).exists()


@both(FLAVOURS)
def test_we_take_what_a_dead_openclaw_left(path, start_peers, flavour) -> None:
    """The lock of an OpenClaw that was killed is ours at once, long before it is stale."""
    (victim,) = start_peers(1)
    victim.event(victim.send("hold", path=path, **flavour))

    victim.kill()
    assert json.loads(lock_of(path).read_text())["pid"] == victim.pid

    with file_lock(path, options=AT_ONCE) as ours:
        ours.confirm()
        assert json.loads(lock_of(path).read_text())["pid"] == os.getpid()
    assert not lock_of(path).exists()


@pytest.fixture
def holder(path):
    """Return a process of ours that holds the lock."""
    with subprocess.Popen(
        [sys.executable, HOLDER, path, str(SHORT_STALE)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "HELD\n"
        yield process
        process.kill()


def go_on(process):
    process.stdin.write("go\n")
    process.stdin.flush()
    return process.stdout.readline()


@both(BRIEFLY)
def test_openclaw_takes_what_a_dead_one_of_us_left(path, peer, holder, flavour) -> None:
    """The lock of one of us that was killed goes to an OpenClaw at once, and then back to us."""
    holder.kill()
    holder.wait()
    assert json.loads(lock_of(path).read_text())["pid"] == holder.pid

    assert peer.ask("hold", path=path, ms=0, **flavour)["ok"]

    with file_lock(path, options=AT_ONCE) as ours:
        ours.confirm()


@both(IMPATIENTLY)
def test_late_write_of_a_stopped_holder_is_refused(path, peer, holder, flavour) -> None:
    """Who of us was stopped until OpenClaw took its lock by age writes nothing, then repeats."""
    os.kill(holder.pid, signal.SIGSTOP)
    peer.ask("increment", path=path, writer="node0", times=1, **flavour)
    os.kill(holder.pid, signal.SIGCONT)

    assert go_on(holder) == "REFUSED\n"
    assert json.loads(path.read_text())["counts"] == {"node0": 1}
    assert go_on(holder) == "WRITTEN\n"
    assert json.loads(path.read_text())["counts"] == {"node0": 1, "ours0": 1}


@both(BEYOND_STALE)
def test_lock_that_is_kept_alive_is_not_stolen(path, peer, holder, flavour) -> None:
    """OpenClaw takes no lock by age whose holder of ours still runs."""
    with pytest.raises(PeerError, match=LOCKED):
        peer.ask("hold", path=path, ms=0, **flavour)

    assert go_on(holder) == "WRITTEN\n"


@pytest.mark.filterwarnings("ignore::clawstate.errors.StaleLockWarning")
@both(FLAVOURS)
def test_we_take_the_lock_of_a_stopped_openclaw(path, start_peers, flavour) -> None:
    """The lock of an OpenClaw that gave no sign of life for the stale time becomes ours."""
    (victim,) = start_peers(1)
    victim.event(victim.send("hold", path=path, **flavour))
    os.kill(victim.pid, signal.SIGSTOP)

    with file_lock(path, options=LockOptions(timeout=30, stale=SHORT_STALE)) as ours:
        ours.confirm()
        assert json.loads(lock_of(path).read_text())["pid"] == os.getpid()
    os.kill(victim.pid, signal.SIGCONT)


def test_lock_that_openclaw_removed_is_missed(path, peer) -> None:
    """A lock that another program removes while we hold it protects no write of ours."""
    with file_lock(path) as ours:
        lock_of(path).unlink()
        held = peer.send("hold", path=path, **FILE)
        peer.event(held)

        with pytest.raises(LockLostError, match="read the file again"):
            ours.confirm()

    assert json.loads(lock_of(path).read_text())["pid"] == peer.pid
    peer.ask("release", path=path)
    peer.answer(held)


def test_dedupe_of_openclaw_respects_our_lock(path, peer) -> None:
    """A mark is recorded once among OpenClaws, and not at all past a lock that we hold."""
    options = {"ttlMs": 60_000, "memoryMaxSize": 10, "fileMaxEntries": 10}

    answers = [peer.ask("dedupe", path=path, key="a", at=n, options=options) for n in (1, 2)]
    with file_lock(path):
        late = peer.ask("dedupe", path=path, key="b", at=3, options=options)

    assert [each["isNew"] for each in answers] == [True, False]
    assert late["isNew"]
    assert late["errors"] == [f"file lock timeout for {path}"]
    assert json.loads(path.read_text()) == {"a": 1}
