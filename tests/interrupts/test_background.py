from __future__ import annotations

import contextlib
import sys
import threading
from itertools import count
from pathlib import Path

import clawstate
from clawstate.config import watching
from clawstate.config.watching import Watcher
from clawstate.interrupts import Signal, mutex
from clawstate.state import backends

PATIENCE = 60.0  # seconds until a thread counts as stuck
INTERRUPTS = Path(clawstate.__file__).parent / "interrupts"


class InterruptedTestError(BaseException):
    """As `KeyboardInterrupt`, no `Exception`."""


class Interruption:
    """Raises at the instruction number *place* of those that are run in *files*."""

    def __init__(self, place, *files):
        self._left = place
        self._files = {str(each) for each in (*files, *INTERRUPTS.glob("*.py"))}
        self.came = False

    def __enter__(self):
        sys.settrace(self._called)
        return self

    def __exit__(self, *_):
        sys.settrace(None)

    def _called(self, frame, _event, _argument):
        if frame.f_code.co_filename not in self._files:
            return None
        frame.f_trace_opcodes = True
        return self._traced

    def _traced(self, _frame, event, _argument):
        if event == "opcode" and not self.came:
            self._left -= 1
            if not self._left:
                self.came = True
                raise InterruptedTestError
        return self._traced


def interrupted(work, *files):
    """Call *work* interrupted at each of its instructions, and yield after each interrupt."""
    kept = []  # a shell keeps the last stack alive, and so all that is on it
    for place in count(1):
        interruption = Interruption(place, *files)
        try:
            with interruption:
                work()
        except InterruptedTestError as error:
            kept.append(error)
        if not interruption.came:
            return
        yield place


def ends(work):
    """Tell whether *work* is done in time, in a thread of its own."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return not thread.is_alive()


def test_a_signal_is_taken_as_often_as_it_was_given_in_between() -> None:
    """What is given before or while somebody waits lets it go on, once; patience may be any."""
    signal = Signal()

    assert not signal.take(-1.0)
    for _ in range(2):
        signal.give()
    assert signal.take(float("inf"))
    assert not signal.take(0.0)


def test_an_interrupted_move_of_records_keeps_nobody_out(tmp_path, clock, monkeypatch) -> None:
    """Wherever a move is cut off, the state no longer moves, and another one may begin."""
    # After which an abandoned mutex is looked at: waited for in most of the hundreds of rounds.
    monkeypatch.setattr(mutex, "_USUAL", 0.001)
    # Loaded by another test of this process, it would have every object searched in each round.
    monkeypatch.delitem(sys.modules, "greenlet", raising=False)
    with clawstate.open(tmp_path, clock=clock, lock_timeout=0.0) as state:
        moves = state._context.backends

        def work():
            with moves.moving():
                assert moves.is_moving

        for place in interrupted(work, backends.__file__, contextlib.__file__):
            assert not moves.is_moving, place
            with moves.moving():
                assert moves.is_moving


def test_an_interrupted_watch_can_be_closed(tmp_path) -> None:
    """Wherever the closing of a watch is cut off, it can be closed, and its thread ends."""
    watchers = []

    def work():
        watchers.append(Watcher(lambda: None, interval=0.001))
        watchers[-1].close()

    for place in interrupted(work, watching.__file__):
        for watcher in watchers:
            assert ends(watcher.close), place
        del watchers[:]
