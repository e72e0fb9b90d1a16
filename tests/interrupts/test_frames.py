"""Whether a call is over, as other threads are asked while they go on."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

from clawstate.interrupts.frames import Use

MANY_THREADS = """
import gc, threading, time
from clawstate.interrupts.frames import Use

class Garbage:  # other threads run while it is collected
    def __init__(self):
        self.itself = self
    def __del__(self):
        time.sleep(0.0001)

def make():
    return Use(0)

def start_threads():
    while time.monotonic() < end:
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()

gc.set_threshold(10)
end = time.monotonic() + 3
over = make()
starters = [threading.Thread(target=start_threads) for _ in range(3)]
for each in starters:
    each.start()
looks = 0
while time.monotonic() < end:
    looks += 1  # so that a collection falls on every step of a look
    for _ in range(looks % 11):
        Garbage()
    assert over.is_over()
for each in starters:
    each.join()
print("done", gc.isenabled())
"""


def test_looking_at_other_threads_never_stops_the_process() -> None:
    """Threads that start and garbage that is collected meanwhile keep no look from ending."""
    ran = subprocess.run(
        [sys.executable, "-c", MANY_THREADS], capture_output=True, text=True, timeout=30, check=True
    )

    assert ran.stdout.split() == ["done", "True"]


class Known:
    """Something that a call knows."""


def test_a_look_keeps_nothing_alive() -> None:
    """What a call knew is gone with it, whether its own thread or another was looked at."""
    known, answers = [], []
    over = ended_use()

    def look() -> None:
        mine = Known()
        known.append(weakref.ref(mine))
        answers.extend((Use(0).is_over(), over.is_over()))

    gc.disable()
    try:
        look()
        assert [each() for each in known] == [None]
        assert answers == [False, True]
    finally:
        gc.enable()


def ended_use() -> Use:
    """Return the use of this call, which is over with it."""
    return Use(0)
