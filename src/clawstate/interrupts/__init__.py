"""
What keeps a state usable when an exception comes at any instant, as a signal handler raises one.

Such an exception may come before the first instruction of a `finally` or an `__exit__`, which then
never runs. So what is held is noted, with the call that it is held for, before it is taken. What
is held for a call that is over belongs to nobody, and is discarded by whoever meets it (decision
020).
"""

from clawstate.interrupts.ahead import Ahead
from clawstate.interrupts.frames import Use
from clawstate.interrupts.holdings import (
    Holding,
    Owner,
    discard_own,
    forget,
    hold,
    hold_within,
    let_go,
)
from clawstate.interrupts.loading import load_modules
from clawstate.interrupts.mutex import Mutex, Signal

__all__ = [
    "Ahead",
    "Holding",
    "Mutex",
    "Owner",
    "Signal",
    "Use",
    "discard_own",
    "forget",
    "hold",
    "hold_within",
    "let_go",
    "load_modules",
]
