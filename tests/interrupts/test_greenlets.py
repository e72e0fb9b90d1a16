"""What a greenlet holds while it waits is its own, as it is on no thread's stack then."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("greenlet", reason="the package greenlet is not installed")

BEGIN = """
import sys, time
from pathlib import Path
from greenlet import greenlet, getcurrent
from clawstate.files.lock import FileLock
from clawstate.interrupts import Mutex, Use

path = Path(sys.argv[1]) / "file"
lock_file = path.with_name("file.lock")
main = getcurrent()

def looked():
    # Several looks of the thread that discards what was abandoned.
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        time.sleep(0.01)
"""

WAITS = """
def work():
    with FileLock(path) as lock:
        main.switch()
        lock.confirm()

held = greenlet(work)
held.switch()
looked()
with FileLock(path.with_name("other")):
    looked()
assert lock_file.exists()
held.switch()
assert held.dead and not lock_file.exists()
"""

WAITS_DEEP = """
def deep(count):
    if count:
        return deep(count - 1)
    main.switch()

def work():
    mutex.take(sys._getframe())
    use.append(Use(0))
    deep(50)
    mutex.give(sys._getframe())

mutex, use = Mutex(), []
held = greenlet(work)
held.switch()
for _ in range(50):
    assert not use[0].is_over()
    assert not mutex.take(sys._getframe(), patience=0.002, reentrant=False)
held.switch()
assert held.dead
while not use[0].is_over():
    time.sleep(0.001)
assert mutex.take(sys._getframe(), patience=1.0)
"""

IN_TRANSACTION = """
from clawstate.sqlite import open_part
database = open_part(path.parent / "a.db", "a", [lambda c: c.execute("CREATE TABLE a (b)")])

def writes():
    with database.writing() as connection:
        connection.execute("INSERT INTO a VALUES (1)")
        main.switch()

held = greenlet(writes)
held.switch()
looked()
held.switch()
assert database.rows("SELECT b FROM a") == [(1,)]
"""

IS_CUT_OFF = """
class Cut(BaseException):
    pass

class Lock:  # whose `__exit__` an exception cuts off
    def __enter__(self):
        self.lock = FileLock(path)
        self.lock.enter(Use())
    def __exit__(self, *_):
        raise Cut

def work():
    with Lock():
        pass

errors = []
for _ in range(3):
    cut = greenlet(work)
    try:
        cut.switch()
    except Cut as error:
        errors.append(error)  # it keeps the frames, as a shell does
    assert lock_file.exists()
    end = time.monotonic() + 5
    while lock_file.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert not lock_file.exists()
with FileLock(path) as lock:
    lock.confirm()
"""


@pytest.mark.parametrize("script", [WAITS, WAITS_DEEP, IN_TRANSACTION, IS_CUT_OFF])
def test_a_waiting_greenlet_keeps_what_it_holds_and_a_dead_one_does_not(tmp_path, script) -> None:
    """Nobody takes it for abandoned while it waits; what a cut-off one left is discarded."""
    ran = subprocess.run(
        [sys.executable, "-c", BEGIN + script, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stderr == ""
