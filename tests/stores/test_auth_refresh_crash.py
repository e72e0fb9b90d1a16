from __future__ import annotations

import os
import random
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from oauth_server import exchange_with, serving
from refresh_setting import ENGINES, ID, Place, refreshing_victim

from clawstate.errors import InvalidError, StateError
from faults import strace
from seeds import seed

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
KILLS, FAULTS = (None, None) if FULL else (20, 12)
CALLERS = 16 if FULL else 3  # after each crash
ERRORS = ("EIO", "ENOSPC", "EMFILE", "ECONNRESET")
SEED = seed()
# Counts differ a little from run to run, as the scheduler wills.
MOST = 0.7 if FULL else 0.2  # of a few points, chance may leave out most
# Memory, threads and names of the machine, which have no error that a program could meet; and
# locks that nobody can refuse to take back.
NO_FILES = re.compile(
    r"^(mremap|rseq|set_robust_list|clone3?|ioctl|prctl|clock_nanosleep|getrandom|uname)"
    r"|MAP_ANONYMOUS|F_UNLCK"
)

pytestmark = pytest.mark.crash


@pytest.fixture(scope="module")
def victim():
    if (reason := strace.available()) is not None:
        pytest.skip(reason)
    with refreshing_victim() as made:
        yield made


@pytest.fixture(autouse=True)
def shown_seed():
    sys.stdout.write(f"seed {SEED}\n")


@contextmanager
def fresh(tmp_path, name, engine, grace):
    """Give a server, and a profile of its first login in a place of its own."""
    root = tmp_path / name
    root.mkdir(mode=0o700)
    with serving(grace=grace) as server:
        try:
            yield server, Place(root, engine).fill(server.login())
        finally:
            shutil.rmtree(root)


def traced(victim, tmp_path, engine):
    with fresh(tmp_path, "whole", engine, 0.0) as (server, place):
        return strace.trace(victim, place.root, engine, str(server.port))


def some(points, most):
    if most is None or len(points) <= most:
        return points
    step = len(points) / most
    chance = random.Random(SEED)
    return [points[int((number + chance.random()) * step)] for number in range(most)]


def called(place, server):
    """Return what each of several callers gets at once: a good token, or an error."""

    def call(_):
        with place.opened() as refresher:
            try:
                access = refresher.refresh(ID, exchange_with(server.port)).access
            except StateError as error:
                return error
            return server.is_valid(access)

    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(call, range(CALLERS)))


def lost(place, server, before):
    """Tell whether the answer is nowhere: spent at the provider, neither stored nor journalled."""
    stored = place.record()["refresh"] != before
    return server.is_used(before) and not stored and not place.answers()


def left(place, server):
    """Return what lies there still after the next refresh."""
    with place.opened() as refresher:
        refresher.refresh(ID, exchange_with(server.port), force=True)
    return [path.name for path in place.locks.rglob("*.answer")]


def swept(victim, tmp_path, engine, grace, judged):
    """Kill the victim at each point, and let *judged* look at what is left."""
    points = some(traced(victim, tmp_path, engine), KILLS)
    wrong, met, losses = [], [], []

    def kill(point):
        name = f"{point.call}-{point.ordinal}"
        with fresh(tmp_path, name, engine, grace) as (server, place):
            before = place.record()["refresh"]
            outcome = strace.run_killed(victim, point, place.root, engine, str(server.port))
            met.append(outcome.killed)
            is_lost = lost(place, server, before)
            if is_lost:
                losses.append(point.text)
            if problem := judged(called(place, server), server, is_lost, place):
                wrong.append(f"{point}: {problem}")

    count = strace.spread(kill, [*dict.fromkeys(points)])
    if wrong:
        pytest.fail("\n".join(sorted(wrong)), pytrace=False)
    assert sum(met) >= MOST * count
    sys.stdout.write(f"killed at {count} points; the answer was lost at {len(losses)}:\n")
    sys.stdout.writelines(f"  {text}\n" for text in losses)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_kill_anywhere_costs_nobody_a_token(victim, tmp_path, engine):
    """With a provider that repeats a lost answer, all callers after any kill get good tokens."""

    def judged(said, server, _, place):
        if said != [True] * CALLERS or server.revoked:
            return f"{said}"
        return left(place, server)

    swept(victim, tmp_path, engine, 1e9, judged)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_kill_costs_a_strict_login_only_while_the_answer_is_nowhere(victim, tmp_path, engine):
    """
    With a strict provider, callers get good tokens unless the answer died with the process.

    Then all are told to log in again, and the provider was asked once more, no more.
    """

    def judged(said, server, is_lost, place):
        if not is_lost:
            return left(place, server) if said == [True] * CALLERS else f"{said}"
        told = all(isinstance(each, InvalidError) and "log in" in str(each) for each in said)
        return "" if told and server.requests == 2 else f"{said} after {server.requests}"

    swept(victim, tmp_path, engine, 0.0, judged)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_failing_call_anywhere_costs_nobody_a_token(victim, tmp_path, engine):
    """
    A system call that fails, whichever it is, is told by a typed error at most.

    The same process gets a good token when it asks again, and so do others.
    """
    points = [
        point
        for point in traced(victim, tmp_path, engine)
        if point.fallible and not NO_FILES.search(point.text)
    ]
    harms = [(point, error) for error in ERRORS for point in points]
    wrong, met = [], []

    def fail(harm):
        point, error = harm
        name = f"{point.call}-{point.ordinal}-{error}"
        with fresh(tmp_path, name, engine, 1e9) as (server, place):
            arguments = place.root, engine, str(server.port), "again"
            outcome = strace.run_failing(victim, point, error, *arguments)
            met.append(outcome.injected > 0)
            after = called(place, server)
            has_token = outcome.lines[-2:] == ("OK 1", "END")
            if outcome.complaint or not has_token or after != [True] * CALLERS:
                said = f"{outcome.lines} {outcome.complaint[-600:]} {after}"
                wrong.append(f"{error} at {point}: {said}")

    count = strace.spread(fail, [*dict.fromkeys(some(harms, FAULTS))])
    if wrong:
        pytest.fail("\n".join(sorted(wrong)), pytrace=False)
    assert sum(met) >= MOST * count
    sys.stdout.write(f"failed {count} of {len(harms)} times\n")
