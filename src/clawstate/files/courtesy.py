"""
What the queue of a lock remembers of programs that do not stand in it, such as OpenClaw.

They poll the lock file, and may delete one that appeared just after the one they looked at
vanished. So, for a while after one of them was met, a new lock is held still for a moment and
looked at again, and the lock is left free for a moment between two holders.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time

SETTLE = 0.005  # seconds that a new lock is held still
PAUSE = 0.015  # seconds that the lock is left free
REMEMBERED = 30.0  # seconds

_FORM = struct.Struct("<dd")


def met_recently(gate: int) -> bool:
    """Tell whether a program from outside the queue was met; *gate* is its descriptor."""
    # A note of an earlier boot may lie ahead of this clock: then it is not believed.
    return 0 <= _now() - _read(gate)[0] < REMEMBERED


def remember(gate: int) -> None:
    """Note that a program from outside the queue was met."""
    _write(gate, _now(), _read(gate)[1])


def note_release(gate: int) -> None:
    """Note that the lock became free just now."""
    _write(gate, _read(gate)[0], _now())


def pause_left(gate: int) -> float:
    """Return for how many more seconds the lock should be left free."""
    return max(0.0, PAUSE - max(0.0, _now() - _read(gate)[1]))


def _now() -> float:
    # One clock for all processes, which nobody sets.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _read(gate: int) -> tuple[float, float]:
    # A note that is lost, or never written, costs an outsider a wait. Exclusion does not rest on
    # it: that the lock is still ours is looked at before each change takes effect.
    with contextlib.suppress(OSError, struct.error):
        met, released = _FORM.unpack(os.pread(gate, _FORM.size, 0))
        return met, released
    return 0.0, 0.0


def _write(gate: int, met: float, released: float) -> None:
    with contextlib.suppress(OSError):
        os.pwrite(gate, _FORM.pack(met, released), 0)
