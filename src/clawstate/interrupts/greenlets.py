"""Frames that wait in a greenlet (as of gevent, SQLAlchemy): they are on no thread's stack."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterable, Iterator
from types import FrameType, ModuleType

_RARELY = 20  # times as long as a search took passes before the next


def may_wait_in_greenlet(frame: FrameType, tops: Iterable[FrameType]) -> bool:
    """
    Tell whether *frame* may wait in a greenlet; *tops* are what the threads just execute.

    Never False for one that does. True as well while it is too early to search again.
    """
    module = sys.modules.get("greenlet")
    if module is None:
        return False
    running = {id(each) for top in tops for each in _downwards(top)}
    # What waits has nothing below it that runs: its greenlet was put aside as a whole.
    if any(id(each) in running for each in _downwards(frame)):
        return False
    return _is_in_greenlet(frame, module)


def _is_in_greenlet(frame: FrameType, module: ModuleType) -> bool:
    began = time.monotonic()
    if began < _next_search.get(id(frame), began):
        return True
    kind = module.greenlet
    # Not `isinstance`, which asks proxies of others for their class.
    waiting = [each for each in gc.get_objects() if issubclass(type(each), kind)]
    found = any(
        each is frame
        for greenlet in waiting
        if (top := greenlet.gr_frame) is not None
        for each in _downwards(top)
    )
    if len(_next_search) > _MOST:
        _next_search.clear()
    if found:  # otherwise the second look, which confirms it, may come at once
        ended = time.monotonic()
        _next_search[id(frame)] = ended + _RARELY * (ended - began)
    else:
        _next_search.pop(id(frame), None)
    return found


_next_search: dict[int, float] = {}
_MOST = 256


def _downwards(frame: FrameType) -> Iterator[FrameType]:
    current: FrameType | None = frame
    while current is not None:
        yield current
        current = current.f_back
