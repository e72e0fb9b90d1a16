# ruff: noqa: T201 - lines are what a victim tells
from __future__ import annotations

import sys

from meeting import meet

from clawstate.files.lock import FileLock
from clawstate.files.lock_options import LockOptions

lock = FileLock(sys.argv[1], options=LockOptions(timeout=10, stale=1))
meeting = meet(sys.argv[2])
with lock:
    meeting.wait()
    lock.confirm()
with lock:
    print("AGAIN")
print("END")
