from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import clawstate
from clawstate.errors import UnavailableError
from clawstate.stores.dedupe.group_commit import GroupCommit

PATIENCE = 30.0  # seconds
THREADS = 8


@pytest.fixture
def pool():
    with ThreadPoolExecutor(THREADS) as pool:
        yield pool


def test_each_thread_gets_its_own_answer(pool) -> None:
    """However calls are gathered, each is worked on once, and gets the answer to its key."""
    taken = []

    def work(calls):
        taken.append([each.key for each in calls])
        for each in calls:
            each.answer = each.key * 2

    together = GroupCommit(work)
    keys = [f"{number} " for number in range(400)]

    assert list(pool.map(together.answer, keys)) == [key * 2 for key in keys]
    assert sorted(key for each in taken for key in each) == sorted(keys)


def test_who_waits_is_done_together(pool) -> None:
    """Those that come while one works wait, and then all of them are worked on at once."""
    begun, go_on, taken = threading.Event(), threading.Event(), []
    asked = threading.Semaphore(0)

    def work(calls):
        taken.append(len(calls))
        begun.set()
        assert go_on.wait(PATIENCE)
        for each in calls:
            each.answer = each.key

    def ask(key):
        asked.release()
        return together.answer(key)

    together = GroupCommit(work)
    first = pool.submit(ask, "first")
    assert begun.wait(PATIENCE)
    others = [pool.submit(ask, key) for key in "abcdef"]
    for _ in range(7):
        assert asked.acquire(timeout=PATIENCE)
    go_on.set()

    assert [each.result() for each in (first, *others)] == ["first", *"abcdef"]
    assert taken[0] == 1
    assert sum(taken) == 7


def test_an_error_of_the_disk_is_everybodys(pool) -> None:
    """What is raised for some calls is raised to each of them, and to no later one."""
    broken = threading.Event()
    broken.set()

    def work(calls):
        if broken.is_set():
            raise UnavailableError("a disk", "is full", "free some space")
        for each in calls:
            each.answer = each.key

    together = GroupCommit(work)
    for each in [pool.submit(together.answer, key) for key in "abc"]:
        assert isinstance(each.exception(), UnavailableError)
    broken.clear()

    assert together.answer("d") == "d"


def test_an_interruption_is_of_one(pool) -> None:
    """Who is interrupted while it works for others leaves them to go on without it."""
    interruptions = [KeyboardInterrupt()]

    def work(calls):
        if interruptions:
            raise interruptions.pop()
        for each in calls:
            each.answer = each.key

    together = GroupCommit(work)
    asked = [pool.submit(together.answer, key) for key in "abcd"]
    errors = [each.exception() for each in asked]

    assert sum(isinstance(error, KeyboardInterrupt) for error in errors) == 1
    assert sum(error is None for error in errors) == 3
    assert together.answer("e") == "e"


@pytest.fixture
def interrupt():
    """Interrupt the main thread once, however often it must be told."""
    interrupted = threading.Event()

    def handle(*_):
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    def interrupt():
        # A signal that comes just before a thread falls asleep does not wake it.
        while not interrupted.wait(0.01):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handle)
    yield interrupt
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no such signals here")
def test_who_gives_up_waiting_is_not_worked_for(pool, interrupt) -> None:
    """A call that is interrupted while it waits is worked on by nobody later."""
    begun, go_on, taken = threading.Event(), threading.Event(), []

    def work(calls):
        taken.extend(each.key for each in calls)
        begun.set()
        assert go_on.wait(PATIENCE)
        for each in calls:
            each.answer = each.key

    def give_up():
        pool.submit(interrupt)
        together.answer("given up")

    together = GroupCommit(work)
    first = pool.submit(together.answer, "first")
    assert begun.wait(PATIENCE)
    with pytest.raises(KeyboardInterrupt):
        give_up()
    go_on.set()

    assert (first.result(), together.answer("last")) == ("first", "last")
    assert taken == ["first", "last"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_waits_for_nobody_of_its_parent(pool) -> None:
    """A child that was forked while a thread worked begins afresh."""
    begun, go_on = threading.Event(), threading.Event()

    def work(calls):
        if calls[0].key == "slow":
            begun.set()
            assert go_on.wait(PATIENCE)
        for each in calls:
            each.answer = each.key

    together = GroupCommit(work)
    slow = pool.submit(together.answer, "slow")
    assert begun.wait(PATIENCE)
    child = os.fork()
    if child == 0:
        os._exit(0 if together.answer("a") == "a" else 1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    go_on.set()

    assert (code, slow.result()) == (0, "slow")


@pytest.mark.parametrize("engine", ["file", "sqlite"])
def test_threads_that_come_at_once_agree(tmp_path, engine, pool) -> None:
    """Of threads that ask for the same keys at once exactly one is told that each is new."""
    gate = threading.Barrier(THREADS)
    keys = [f"update-{number}" for number in range(20)]

    with clawstate.open(tmp_path / "state", store=engine) as state:
        state.dedupe.check_and_record("before")

        def ask(_):
            gate.wait(PATIENCE)
            return [state.dedupe.check_and_record(key) for key in keys]

        answers = list(pool.map(ask, range(THREADS)))

        assert [sum(each) for each in zip(*answers, strict=True)] == [1] * len(keys)
        assert state.dedupe.stats().marks == len(keys) + 1
        assert state.dedupe.statistics().new == len(keys) + 1
