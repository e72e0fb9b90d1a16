"""
The locks of the import system that this thread holds for no import any longer.

An exception from a signal handler may come between the taking of such a lock and the block that
gives it back (`importlib._bootstrap` is written in Python). Whoever holds one goes on unharmed, for
they are re-entrant; every other thread that imports waits for ever (decision 020).
"""

from __future__ import annotations

import _imp
import contextlib
import sys
from importlib import _bootstrap
from threading import get_ident
from types import FrameType
from typing import Any, Final

_NAMES: Final = vars(_bootstrap)
# What CPython calls them; where it has others, nothing is given back.
_locks: Final[dict[str, Any]] = _NAMES.get("_module_locks", {})
_waits: Final[dict[int, Any]] = _NAMES.get("_blocking_on", {})
_UNDER_GLOBAL_LOCK: Final = frozenset(
    {"_find_spec", "_get_module_lock", "cb", "__enter__", "__exit__"}
)
_LOOKS: Final = 10  # that a lock is forgotten at: one that is being taken is not for so long


def release_abandoned() -> None:
    """Give back the locks of imports that this thread has left; harmless when there are none."""
    if not _locks and not _waits and not _imp.lock_held():
        return
    importing = _own_imports()
    if not any(frame.f_code.co_name in _UNDER_GLOBAL_LOCK for frame in importing):
        with contextlib.suppress(RuntimeError):  # it is another thread's, or nobody's
            while _imp.lock_held():
                _imp.release_lock()
    thread = get_ident()
    names = {frame.f_locals.get("name") for frame in importing}
    # A copy, in one step: other threads import meanwhile.
    for reference in _locks.copy().values():
        lock = reference()
        while lock is not None and lock.owner == thread and lock.name not in names:
            lock.release()
    if not importing:  # or an import of another thread may seem to wait for itself
        _waits.pop(thread, None)


class Forgotten:
    """
    Locks that are free while threads wait for them, for ever unless they are woken.

    A thread that was cut off as it was to wait has told the others to wait, but not the holder to
    wake them.
    """

    def __init__(self) -> None:
        self._looks: dict[Any, int] = {}

    def look(self) -> bool:
        """Wake those who wait for a lock that is forgotten for long; tell whether there is one."""
        found = [lock for reference in _locks.copy().values() if _is_forgotten(lock := reference())]
        self._looks = {lock: self._looks.get(lock, 0) + 1 for lock in found}
        for lock, looks in self._looks.items():
            if looks > _LOOKS:
                with contextlib.suppress(RuntimeError):  # somebody else did
                    lock.wakeup.release()
        return bool(found)


def _is_forgotten(lock: Any) -> bool:
    return lock is not None and not lock.count and not lock.waiters and lock.wakeup.locked()


def _own_imports() -> list[FrameType]:
    """Return the frames of the import system on the stack of this thread."""
    found = []
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - the only way to it
    while frame is not None:
        if frame.f_globals is _NAMES:
            found.append(frame)
        frame = frame.f_back
    return found
