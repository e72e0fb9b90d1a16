"""
What SQLite needs around a fork.

SQLite keeps notes about locks in the memory of the process. A child inherits the notes but not the
locks, so even a connection of its own would be unsafe while the parent's were open when it forked:
the parent, believing itself alone, would remove the log that the child writes to. So all
connections are closed before a fork, and opened again on both sides when they are needed.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """What can be brought to rest around a fork."""

    def pause(self) -> None:
        """Close everything and let nobody in until `resume`."""

    def resume(self, *, in_child: bool) -> None:
        """Let users in again."""


_OPEN: weakref.WeakSet[Forkable] = weakref.WeakSet()


def watch(forkable: Forkable) -> None:
    """Bring *forkable* to rest around every fork of this process."""
    _OPEN.add(forkable)


def _before() -> None:
    for each in list(_OPEN):
        each.pause()


def _in_parent() -> None:
    for each in list(_OPEN):
        each.resume(in_child=False)


def _in_child() -> None:
    for each in list(_OPEN):
        each.resume(in_child=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
