from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from oauth_server import exchange_with, serving
from refresh_setting import ENGINES, ID, Place, crowd, ended, place_of, refreshing_victim

from clawstate.clock import to_ms
from clawstate.errors import InvalidError
from clawstate.stores.auth.refresh_marks import failure_of
from manual_clock import ManualClock

FULL = os.environ.get("CLAWSTATE_FULL") == "1"
CROWD = 16 if FULL else 6
ROUNDS = 10 if FULL else 1
NEW = ("OK 1", "END")
REFUSED = ("ERR invalid", "END")

pytestmark = pytest.mark.crash


@pytest.fixture(scope="module")
def victim():
    with refreshing_victim() as made:
        yield made


@pytest.fixture(params=ENGINES)
def place(request, tmp_path):
    return Place(tmp_path, request.param)


def arguments(place, server, *words):
    return place.root, place.engine, str(server.port), *words


@pytest.mark.parametrize("words", [(), ("force",)], ids=["expired", "forced"])
def test_processes_share_one_refresh(victim, tmp_path, place, words):
    """Of many processes that need a token at once one asks, and all get a good one."""
    for number in range(ROUNDS):
        with serving() as server:
            here = Place(tmp_path / str(number), place.engine).fill(server.login())
            with crowd(victim, CROWD, *arguments(here, server)) as runs:
                said = {ended(run) for run in runs}

            assert said == {NEW}
            assert server.requests == 1
            assert server.is_valid(here.record()["access"])


def test_a_slow_server_is_asked_once(victim, place):
    """All wait for the one that asks, and then have what it got."""
    with serving() as server:
        place.fill(server.login())
        server.hold("before")
        with crowd(victim, CROWD, *arguments(place, server)) as runs:
            server.wait_for_request()
            server.release()
            said = {ended(run) for run in runs}

        assert said == {NEW}
        assert server.requests == 1


def asking(place):
    """Return the number of the process that is asking."""
    return place.record()["refreshPending"]["pid"]


@pytest.mark.parametrize(
    ("when", "grace"), [("before", 0.0), ("after", 30.0)], ids=["unused", "grace"]
)
def test_a_killed_process_costs_nobody_its_token(victim, place, when, grace):
    """
    Who is killed while it asks is followed by another at once, and all others get good tokens.

    That is so when the request had not been served yet, and with a provider that repeats an
    answer that was lost.
    """
    with serving(grace=grace) as server:
        place.fill(server.login())
        server.hold(when)
        with crowd(victim, CROWD, *arguments(place, server)) as runs:
            server.wait_for_request()
            killed = asking(place)
            os.kill(killed, signal.SIGKILL)
            said = [ended(run) for run in runs if run.pid != killed]
            if when == "after":
                server.release()

        assert said == [NEW] * (CROWD - 1)
        assert server.requests == 2
        assert server.is_valid(place.record()["access"])


def test_all_but_one_may_die(victim, place):
    """One after the other is killed while it asks, and the last one gets a good token."""
    with serving() as server:
        place.fill(server.login())
        server.hold("before")
        killed = set()
        with crowd(victim, CROWD, *arguments(place, server)) as runs:
            while len(killed) < CROWD - 1:
                server.wait_for_request()
                server.hold("before" if len(killed) < CROWD - 2 else None)
                killed.add(asking(place))
                os.kill(asking(place), signal.SIGKILL)
            said = [ended(run) for run in runs if run.pid not in killed]

        assert said == [NEW]
        assert server.requests == CROWD
        assert server.is_valid(place.record()["access"])


def test_a_token_lost_with_its_process_is_told(victim, place):
    """With a strict provider an answer that nobody received ends the login: told, asked once."""
    with serving() as server:
        place.fill(server.login())
        server.hold("after")
        with crowd(victim, CROWD, *arguments(place, server)) as runs:
            server.wait_for_request()
            killed = asking(place)
            os.kill(killed, signal.SIGKILL)
            said = [ended(run) for run in runs if run.pid != killed]

        assert said == [REFUSED] * (CROWD - 1)
        assert server.requests == 2
        with (
            place.opened() as refresher,
            pytest.raises(InvalidError, match="after a refresh that was cut short; log in again"),
        ):
            refresher.refresh(ID, exchange_with(server.port))
        assert server.requests == 2


def stop(pid):
    """Stop a process, and return when it stands still."""
    os.kill(pid, signal.SIGSTOP)
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        pass


def test_a_stopped_process_is_waited_for_within_its_lease_only(victim, place):
    """After the lease another asks; the first, when it wakes, brings nothing back that is old."""
    with serving(grace=1e9) as server:
        place.fill(server.login())
        server.hold("after")
        with crowd(victim, 1, *arguments(place, server)) as (run,):
            server.wait_for_request()
            stop(asking(place))
            with place.opened(lease=0.0) as another:
                first = another.refresh(ID, exchange_with(server.port))
                second = another.refresh(ID, exchange_with(server.port), force=True)
            server.release()
            os.kill(run.pid, signal.SIGCONT)
            said = ended(run)

        assert (place_of(first.access), place_of(second.access)) == (1, 2)
        assert said == ("OK 2", "END")
        assert place.record()["access"] == second.access


def test_a_stopped_process_that_has_the_only_answer_brings_it(victim, place):
    """Where the provider refused the next one, the late answer is kept and the mark is gone."""
    with serving() as server:
        place.fill(server.login())
        server.hold("after")
        with crowd(victim, 1, *arguments(place, server)) as (run,):
            server.wait_for_request()
            stop(asking(place))
            with place.opened(lease=0.0) as another, pytest.raises(InvalidError):
                another.refresh(ID, lambda _: {"error": "invalid_grant"})
            server.release()
            os.kill(run.pid, signal.SIGCONT)
            said = ended(run)

        record = place.record()
        assert said == NEW
        assert server.is_valid(record["access"])
        failed = failure_of(record)
        assert failed is None or not failed.bars(record["refresh"])


def test_a_dead_server_stops_nobody_whose_token_lives(victim, place):
    """Processes get the token that still lives while the server is down, and new ones after."""
    with serving() as server:
        pair = server.login()
        place.fill(pair, expires=ManualClock()() + 60)
        server.failing = 503, {}
        with crowd(victim, CROWD, *arguments(place, server)) as runs:
            said = {ended(run) for run in runs}
        server.failing = None
        with crowd(victim, CROWD, *arguments(place, server)) as runs:
            after = {ended(run) for run in runs}

        assert said == {("OK 0", "END")}
        assert after == {NEW}
        assert place.record()["expires"] == to_ms(ManualClock()() + 3600)
        sys.stdout.write(f"{server.requests} requests of {2 * CROWD} processes\n")
