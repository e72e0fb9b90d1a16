"""`Use`: the call or `with` block that something is held for, and whether it is over."""

from __future__ import annotations

import _thread
import gc
import os
import sys
from threading import get_ident
from types import CodeType, FrameType

from clawstate.interrupts.greenlets import may_wait_in_greenlet
from clawstate.interrupts.with_blocks import with_block

_MAY_PAUSE = 0x20 | 0x80 | 0x200  # generators, coroutines, asynchronous generators


class Use:
    """
    What the frame *depth* calls above the caller does just now, by default call the caller.

    Where that is to enter a `with` block, the use ends with the block, else with the call of that
    frame.
    """

    __slots__ = ("_entry", "frame", "thread")

    def __init__(self, depth: int = 1) -> None:
        self.frame = sys._getframe(depth + 1)  # noqa: SLF001 - the only way to it
        self._entry = self.frame.f_lasti
        self.thread = get_ident()

    def is_block(self) -> bool:
        """Tell whether it is a `with` block."""
        return with_block(self.frame.f_code, self._entry) is not None

    def is_over(self) -> bool:
        """
        Tell whether no thread is in it any longer.

        Certain for the calling thread. Of another one, which goes on meanwhile, two answers in a
        row are to be believed.
        """
        frame, entry = self.frame, self._entry
        above = code_above(frame)
        block = with_block(frame.f_code, entry)
        place = frame.f_lasti
        if above is None:
            # A generator that waits is on no stack.
            waits = frame.f_code.co_flags & _MAY_PAUSE and block is not None
            return not (waits and block is not None and block.holds(place))
        if block is None or place == entry or block.holds(place):
            return False
        leaves = above.co_name == "__exit__" or frame.f_lineno == block.line
        return not leaves


def code_above(frame: FrameType) -> CodeType | None:
    """
    Return the code that *frame* calls, or its own if it calls nothing; `None` if it does not run.

    One that waits in a greenlet, or may, counts as one that calls nothing.
    """
    # A frame that knew itself, or one that it calls, would stay, and with it all below and what
    # they know, until garbage is collected: so no frame is returned, and this one has no name.
    return _code(_above(sys._getframe(), frame) or _above_elsewhere(frame))  # noqa: SLF001 - see above


def _code(frame: FrameType | None) -> CodeType | None:
    return None if frame is None else frame.f_code


def _above_elsewhere(frame: FrameType) -> FrameType | None:
    # Before CPython 3.12.3 the look may collect garbage under a lock of the interpreter, while a
    # thread that is about to start waits for that lock and keeps the interpreter to itself: both
    # wait for ever (python/cpython#106883). And to go from a frame to the one below makes an
    # object: what is collected for it may let the other thread leave that frame, whose memory is
    # then read in vain. So nothing is collected meanwhile.
    global _looks  # noqa: PLW0603 - see below
    looks = _looks
    if not looks.acquire(timeout=_PATIENCE):
        looks = _looks = _thread.allocate_lock()  # who had the other was cut off, or not forked
        looks.acquire()
    collects = gc.isenabled() or bool(_stopped)
    if collects:
        _stopped.append(collects)
    gc.disable()
    try:
        tops = sys._current_frames()  # noqa: SLF001 - see above
        tops.pop(get_ident(), None)
        for top in tops.values():
            found = _above(top, frame)
            if found is not None:
                return found
        waits = may_wait_in_greenlet(frame, (sys._getframe(), *tops.values()))  # noqa: SLF001
        return frame if waits else None
    finally:
        if collects:
            gc.enable()
        _stopped.clear()
        looks.release()


_looks = _thread.allocate_lock()
_PATIENCE = 0.5  # seconds: a look takes some microseconds
_stopped: list[bool] = []
"""Not empty during a look, and after one that was cut off: the next one lets garbage go again."""


def _after_fork() -> None:
    # The thread that looked is not here.
    global _looks  # noqa: PLW0603 - see above
    _looks = _thread.allocate_lock()
    if _stopped:
        _stopped.clear()
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def is_own(frame: FrameType) -> bool:
    """Tell whether *frame* runs in this thread."""
    return _above(sys._getframe(), frame) is not None  # noqa: SLF001 - see above


def _above(top: FrameType, frame: FrameType) -> FrameType | None:
    above = current = top
    while current is not frame:
        below = current.f_back
        if below is None:
            return None
        above, current = current, below
    return above
