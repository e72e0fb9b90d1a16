from __future__ import annotations

import threading

import pytest

from clawstate.interrupts import Ahead

PATIENCE = 60  # seconds


def test_what_is_put_ahead_comes_back_in_order() -> None:
    """Results come in the order of the work, whoever is faster."""
    ahead = Ahead(lambda number: number * 2, name="doubling")

    for number in range(100):
        ahead.submit(number)

    assert [ahead.result() for _ in range(100)] == [2 * number for number in range(100)]


def test_what_fails_ahead_is_raised_where_it_is_asked_for() -> None:
    """A failure is raised by its own result, and the work after it is done."""
    ahead = Ahead(lambda number: 1 // number, name="dividing")
    for number in (1, 0, 1):
        ahead.submit(number)

    assert ahead.result() == 1
    with pytest.raises(ZeroDivisionError):
        ahead.result()
    assert ahead.result() == 1


def test_whoever_ends_it_waits_for_what_is_begun_alone() -> None:
    """What waits is dropped, and what is begun is over when `end` returns."""
    begun, go_on, done = threading.Event(), threading.Event(), []

    def work(number):
        begun.set()
        assert go_on.wait(PATIENCE)
        done.append(number)

    ahead = Ahead(work, name="waiting")
    for number in range(10):
        ahead.submit(number)
    assert begun.wait(PATIENCE)

    threading.Timer(0.05, go_on.set).start()
    ahead.end()

    assert done == [0]


def test_it_can_be_used_again_after_its_end() -> None:
    """The thread that has ended is followed by another one."""
    ahead = Ahead(str, name="again")
    ahead.submit(1)
    assert ahead.result() == "1"
    ahead.end()

    ahead.submit(2)

    assert ahead.result() == "2"
