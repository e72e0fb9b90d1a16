"""
Backoff for programs that poll the lock file and do not queue for it, such as OpenClaw.

When such a poller was met, notes in the gate file make all of our processes give it a chance for
a while: a new lock file is looked at again after `SETTLE`, and the lock stays free for `PAUSE`
between two holders (decision 9).
"""

from __future__ import annotations

import contextlib
import os
import struct
import time

# A poller may delete a lock file that appeared just after the one it had looked at vanished.
SETTLE = 0.005  # seconds until a new lock file is looked at again
# OpenClaw sleeps between two looks: without a pause our queue would keep it out for ever.
PAUSE = 0.015  # seconds that the lock is left free
REMEMBERED = 30.0  # seconds

_FORM = struct.Struct("<dd")


def met_recently(gate: int) -> bool:
    """Tell whether a poller was met lately; *gate* is the descriptor of the gate file."""
    # A note of an earlier boot may lie ahead of this clock: then it is not believed.
    return 0 <= _now() - _read(gate)[0] < REMEMBERED


def remember(gate: int) -> None:
    """Note that a poller was met."""
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
